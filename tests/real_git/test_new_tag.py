"""Porting a patch set to a new tag, by the steps of CONTRIBUTING.md, on a small upstream."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.patch_upstream import BASE, HEADER, TAG, Upstream, patched
from winvllm_build.cli import sources
from winvllm_build.cli.main import run
from winvllm_build.patchset.patchset import load

NEXT = "v1.3.0"
CHANGED = {
    "a.py": BASE["a.py"].replace(b"line 15\n", b"line 15 of the next tag\n"),
    "csrc/k.cu": BASE["csrc/k.cu"].replace(b"int b;", b"unsigned b;"),
}
"""The next tag changes a.py away from the patch's hunks, and the very line the patch of csrc/k.cu changes."""


def by_hand(tree: Path, path: str) -> None:
    """What a person does about a conflict: keep the next tag's type, long."""
    text = (tree / path).read_bytes()
    assert b"<<<<<<<" in text
    kept = re.sub(rb"<<<<<<<.*?\n.*?>>>>>>>[^\n]*\n", b"unsigned long b;\n", text, flags=re.DOTALL)
    (tree / path).write_bytes(kept)
    subprocess.run(["git", "-C", tree, "add", path], check=True)


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    """A repository with both tags, and a described patch set of the first."""
    made = patched(tmp_path / "up")
    file = made.patch_file("a.py")
    diff = file.read_bytes().partition(b"\n\n")[2]
    file.write_bytes(HEADER.format(path="a.py").encode() + b"\n" + diff)
    made.relock()
    made.git.out("update-ref", f"refs/tags/{TAG}", made.commit)
    pin(made, TAG, made.commit)
    made.write(CHANGED)
    made.git.out("update-ref", f"refs/tags/{NEXT}", made.commit_all("next"))
    return made


def pin(upstream: Upstream, tag: str, commit: str) -> None:
    lines = ("schema = 1", "[upstream]", f'url = "{upstream.folder.as_uri()}"', f'tag = "{tag}"')
    text = "\n".join([*lines, f'commit = "{commit}"', ""])
    (upstream.patches / tag / "patchset.toml").write_text(text, encoding="utf-8")


def test_a_set_is_ported_by_the_manuals_steps(
    upstream: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    patches = ["--patches", str(upstream.patches)]
    assert sources.source(TAG, tree=tmp_path / TAG, patches=upstream.patches) == 0
    shutil.copytree(upstream.patches / TAG, upstream.patches / NEXT)
    (upstream.patches / NEXT / "patchset.lock").unlink()
    pin(upstream, NEXT, upstream.git.line("rev-parse", f"refs/tags/{NEXT}"))
    tree = tmp_path / NEXT
    assert sources.source(NEXT, tree=tree, patches=upstream.patches) == 0
    refused = []
    for patch in sorted((upstream.patches / NEXT / "windows" / "vllm").rglob("*.patch")):
        words = ["git", "-C", str(tree), "apply", "--3way", "--whitespace=nowarn", str(patch)]
        if subprocess.run(words, check=False, capture_output=True).returncode != 0:
            refused.append(patch.name)
    assert refused == ["k.cu.patch"]
    where = [NEXT, "--tree", str(tree), *patches]
    assert run(["regen", "--new", "*", *where]) == 10
    assert "unmerged" in capsys.readouterr().err
    by_hand(tree, "csrc/k.cu")
    (tree / "csrc" / "added.cuh").write_bytes(b"// by hand\n")
    assert run(["regen", "--new", "*", *where]) == 0
    assert run(["regen", "--check", *where]) == 0
    assert run(["status", *where]) == 0
    made = {str(patch.path): patch for patch in load(upstream.patches, NEXT).patches}
    assert set(made) == {"a.py", "csrc/added.cuh", "csrc/k.cu", "csrc/new/n.cuh", "csrc/old.cu", "dos.bat"}
    assert made["a.py"].content.header.subject == "Change a.py"
    assert made["a.py"].content.header.get("Since") == TAG
    assert made["csrc/added.cuh"].content.header.get("Since") == NEXT
    assert b"+unsigned long b;" in made["csrc/k.cu"].content.diff.text
    assert run(["status", TAG, "--tree", str(tmp_path / TAG), *patches]) == 0


def test_a_source_is_made_once_and_told_as_data(
    upstream: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert sources.source(TAG, tree=tmp_path / "t", patches=upstream.patches, as_json=True) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["worktree"], told["commit"]) == (str(tmp_path / "t"), upstream.commit)


def test_the_manual_names_these_steps(checkout: Path) -> None:
    text = (checkout / "CONTRIBUTING.md").read_text(encoding="utf-8")
    steps = text.partition("## Add a tag")[2].partition("\n## ")[0]
    for command in ("winvllm-build source", "apply --3way --whitespace=nowarn", "regen", "--new '*'"):
        assert command in steps
