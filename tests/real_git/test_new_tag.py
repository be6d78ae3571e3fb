"""Porting a patch set to a new tag, by the steps of CONTRIBUTING.md, on a small upstream."""

from __future__ import annotations

import json
import re
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


def test_a_set_is_ported_by_the_manuals_steps(upstream: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--patches", str(upstream.patches)]
    (upstream.patches / NEXT).mkdir()
    pin(upstream, NEXT, upstream.git.line("rev-parse", f"refs/tags/{NEXT}"))
    assert run(["port", NEXT, "--dry-run", *words]) == 3
    assert not (upstream.patches / NEXT / "patchset.lock").exists()
    capsys.readouterr()
    assert run(["port", NEXT, "--json", *words]) == 3
    tree = Path(json.loads(capsys.readouterr().out)["under_way"]["worktree"])
    assert run(["port", NEXT, "--continue", *words]) == 3
    assert "csrc/k.cu: conflict lines are left" in capsys.readouterr().err
    by_hand(tree, "csrc/k.cu")
    (tree / "csrc" / "added.cuh").write_bytes(b"// by hand\n")
    subprocess.run(["git", "-C", tree, "add", "csrc/added.cuh"], check=True)
    assert run(["port", NEXT, "--continue", *words]) == 0
    capsys.readouterr()
    assert run(["lint", NEXT, *words]) == 1
    assert "csrc/added.cuh" in capsys.readouterr().out
    assert run(["show", "--interdiff", TAG, NEXT, *words]) == 0
    assert "+unsigned long b;" in capsys.readouterr().out
    made = {str(patch.path): patch for patch in load(upstream.patches, NEXT).patches}
    assert set(made) == {"a.py", "csrc/added.cuh", "csrc/k.cu", "csrc/new/n.cuh", "csrc/old.cu", "dos.bat"}
    assert made["a.py"].content.header.subject == "Change a.py"
    assert made["a.py"].content.header.get("Since") == TAG
    assert made["csrc/added.cuh"].content.header.get("Since") == NEXT
    assert b"+unsigned long b;" in made["csrc/k.cu"].content.diff.text


def test_a_source_is_made_once_and_told_as_data(
    upstream: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert sources.source(TAG, tree=tmp_path / "t", patches=upstream.patches, as_json=True) == 0
        told = json.loads(capsys.readouterr().out)
        assert (told["worktree"], told["commit"]) == (str(tmp_path / "t"), upstream.commit)


def test_the_manual_names_these_steps(checkout: Path) -> None:
    text = (checkout / "CONTRIBUTING.md").read_text(encoding="utf-8")
    steps = text.partition("## Port to a new tag")[2].partition("\n## ")[0]
    for command in ("port v0.19.0 --dry-run", "port v0.19.0 --continue", "lint v0.19.0", "show --interdiff"):
        assert f"winvllm-build {command}" in steps
