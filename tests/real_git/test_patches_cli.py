"""`apply`, `status` and `regen` from the command line: output, JSON and exit codes."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.patch_upstream import BASE, TAG, Upstream, after, nothing
from winvllm_build.build.trees import tree_folder
from winvllm_build.choices import SourceKind
from winvllm_build.cli.main import run
from winvllm_build.sources.pins import read_pins
from winvllm_build.sources.source import acquire, worktree
from winvllm_build.workspace import Workspace, locked


def places(upstream: Upstream) -> list[str]:
    return ["--patches", str(upstream.patches), "--tree", str(upstream.folder)]


def test_apply_status_and_back(upstream: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", *places(upstream)]) == 0
    assert "pristine" in capsys.readouterr().out
    assert run(["apply", TAG, *places(upstream)]) == 0
    assert f"{TAG}: 5 patches applied to" in capsys.readouterr().out
    assert upstream.content() == after()
    assert run(["apply", *places(upstream)]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert run(["apply", "--reverse", *places(upstream)]) == 0
    assert upstream.content() == dict(BASE)


def test_a_dry_run_lists_the_files(upstream: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["apply", "--dry-run", *places(upstream)]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split() for line in listed[:-1]] == [
        ["+2", "-2", "a.py"], ["+1", "-1", "csrc/k.cu"], ["+1", "-0", "csrc/new/n.cuh"],
        ["+0", "-1", "csrc/old.cu"], ["+1", "-1", "dos.bat"], ["+5", "-5", "lines", "in", "5", "files"],
    ]  # fmt: skip
    assert "nothing was written" in listed[-1]
    assert upstream.content() == dict(BASE)
    upstream.apply()
    assert run(["apply", "--dry-run", "--reverse", *places(upstream)]) == 0
    assert capsys.readouterr().out.splitlines()[3].split() == ["+1", "-0", "csrc/old.cu"]


def test_json_is_data_only(upstream: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    for command, key in (("status", "state"), ("apply", "tree"), ("regen", "written")):
        assert run([command, "--json", *places(upstream)]) == 0
        assert key in json.loads(capsys.readouterr().out)
    upstream.write({"a.py": b"mine\n"})
    assert run(["apply", "--json", *places(upstream)]) == 10
    assert json.loads(capsys.readouterr().out)["error"]["class"] == "TreeStateError"


def test_regen_says_what_it_takes_away(upstream: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    """A note whose hunk is gone, once; a patch whose file is upstream's again."""
    upstream.apply()
    file = upstream.patch_file("a.py")
    gone = next(patch for patch in upstream.load().patches if patch.path == "a.py").content.diff.hunks[0].id
    head, _, diff = file.read_bytes().partition(b"\n\n")
    file.write_bytes(head + f"\nHunk: {gone} words\n\n".encode() + diff)
    edited = after()["a.py"].replace(b"line three", b"line 3, edited")
    upstream.write({"a.py": edited, "csrc/k.cu": BASE["csrc/k.cu"]})
    assert run(["regen", *places(upstream)]) == 0
    told = capsys.readouterr()
    assert f"removed  {TAG}/windows/vllm/csrc/k.cu.patch" in told.out
    assert "are as upstream has them" in " ".join(told.err.split())
    assert told.err.count(gone) == 1
    assert not upstream.patch_file("csrc/k.cu").exists()


def test_exit_codes(upstream: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = ["--tree", str(tmp_path)]
    assert run(["status", "--patches", str(upstream.patches), *tree]) == 10
    assert "foreign" in capsys.readouterr().out
    assert run(["apply", "v9", *places(upstream)]) == 9
    assert "available: v1.2.3" in capsys.readouterr().err
    assert run(["apply", TAG, "--tag", "v9", *places(upstream)]) == 2
    assert run(["regen", "--relock", "--check", *places(upstream)]) == 2
    assert run(["apply", "--patches", str(upstream.patches)]) == 2
    upstream.write({"a.py": b"mine\n"})
    assert run(["status", *places(upstream)]) == 1
    assert run(["apply", "--check", *places(upstream)]) == 1
    assert run(["regen", "--check", *places(upstream)]) == 1
    assert run(["apply", "--restore", *places(upstream)]) == 0
    assert "refs/winvllm/saved/" in capsys.readouterr().err
    assert upstream.content() == after()


@pytest.fixture
def built(upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The worktree of a build in the tool's workspace, its lock files beside it."""
    upstream.git.out("update-ref", f"refs/tags/{TAG}", upstream.commit)
    manifest = upstream.patches / TAG / "patchset.toml"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text.replace("https://example.invalid/u", upstream.folder.as_uri()), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return laid_down(upstream, ["8.6"])


def laid_down(upstream: Upstream, archs: list[str]) -> Path:
    workspace = Workspace.default()
    pin = read_pins(upstream.patches / TAG / "patchset.toml").upstream
    source = acquire(
        pin, kind=SourceKind.GIT, location=None, workspace=workspace, offline=False, on_event=nothing
    )
    folder = tree_folder(workspace, TAG, archs)
    with locked(folder.with_name(f"{folder.name}.lock"), f"the tree {folder}"):
        return worktree(source, folder)


def test_the_tree_of_a_build_is_found_beside_its_locks(
    upstream: Upstream, built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert {f"{built.name}.lock", f"{built.name}.lock.owner"} < {p.name for p in built.parent.iterdir()}
    patches = ["--patches", str(upstream.patches)]
    assert run(["status", *patches]) == 0
    assert capsys.readouterr().out.startswith(f"{built}: pristine")
    assert run(["apply", *patches]) == 0
    assert run(["status", *patches]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{built}: applied")
    assert run(["regen", *patches]) == 0
    assert "0 written" in capsys.readouterr().out


def test_of_several_trees_each_command_is_printed(
    upstream: Upstream, built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = laid_down(upstream, ["7.5", "8.9"])
    patches = ["--patches", str(upstream.patches)]
    for command in (["status"], ["apply", "--reverse"], ["regen", "--check", "--new", "*"]):
        assert run([*command, *patches]) == 2
        verb, *options = command
        quoted = " ".join(['"*"' if word == "*" else word for word in [TAG, *options]])
        fix = capsys.readouterr().err.splitlines()[-2:]
        assert fix == [
            f"  winvllm-build {verb} {quoted} --tree {folder} --patches {upstream.patches}"
            for folder in (other, built)
        ]
    assert run(["apply", TAG, "--tree", str(built), *patches]) == 0
    capsys.readouterr()
    assert run(["regen", "--check", *patches]) == 2
    said = shlex.split(capsys.readouterr().err.splitlines()[-1])
    assert said[0] == "winvllm-build"
    assert run(said[1:]) == 0


def test_inside_a_tree_that_tree_is_meant(
    upstream: Upstream, built: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (upstream.folder / "vllm").mkdir()
    monkeypatch.chdir(upstream.folder / "csrc")
    assert run(["status", "--patches", str(upstream.patches)]) == 0
    assert capsys.readouterr().out.startswith(f"{upstream.folder}: pristine")
    monkeypatch.chdir(built / "csrc")
    assert run(["status", "--patches", str(upstream.patches)]) == 0
    assert capsys.readouterr().out.startswith(f"{built}: pristine")


def test_without_any_tree_the_way_to_one_is_printed(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["status", "--patches", str(upstream.patches)]) == 2
    assert f"winvllm-build source {TAG} --tree FOLDER" in capsys.readouterr().err
    assert run(["status", "--target", "cutlass", "--patches", str(upstream.patches)]) == 2
    assert "--tree" in capsys.readouterr().err


def test_status_names_what_deviates_first(upstream: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["apply", *places(upstream)]) == 0
    capsys.readouterr()
    assert run(["status", *places(upstream)]) == 0
    assert capsys.readouterr().out == f"{upstream.folder}: applied ({TAG}, 5 patched files)\n"
    assert run(["status", "-v", *places(upstream)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        f"  applied   {name}" for name in ("a.py", "csrc/k.cu", "csrc/new/n.cuh", "csrc/old.cu", "dos.bat")
    ]
    upstream.write({"csrc/k.cu": b"mine\n", "dos.bat": BASE["dos.bat"]})
    assert run(["status", *places(upstream)]) == 1
    first, *files = capsys.readouterr().out.splitlines()
    assert first.endswith("dirty (v1.2.3, 5 patched files: 1 dirty, 1 pristine, 3 applied)")
    assert files[:2] == ["  dirty     csrc/k.cu - it was edited", "  pristine  dos.bat"]
    assert len(files) == 5


def test_a_fix_can_be_copied_and_run(upstream: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    upstream.write({"a.py": b"mine\n"})
    assert run(["apply", *places(upstream)]) == 10
    fix = capsys.readouterr().err.splitlines()[-1].removeprefix("fix: ").partition(" (it first")[0]
    assert run(shlex.split(fix)[1:]) == 0
    assert upstream.content() == after()


@pytest.mark.parametrize("command", ["apply", "status", "regen"])
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    assert "Examples:" in capsys.readouterr().out
