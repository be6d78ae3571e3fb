"""The set of v0.14.1 as others get it and give it back: exported, applied with plain git, imported again."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.import_cases import without_ids
from tests.real_vllm.conftest import TAG
from winvllm_build.cli.main import run
from winvllm_build.git import Git, Oid
from winvllm_build.patchset.patchset import PatchSet, load
from winvllm_build.sources.source import Source

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Path:
    """A folder with the set in both forms."""
    folder = tmp_path_factory.mktemp("exported")
    for form in ("patch", "mbox"):
        words = ["export", TAG, "--format", form, "-o", str(folder / f"all.{form}")]
        assert run([*words, "--patches", str(checkout / "patches")]) == 0
    return folder


@pytest.fixture
def own_tree(published: Source, tmp_path: Path) -> Path:
    """A clone of the published source that git alone knows about."""
    git = Git(published.repository)
    folder = tmp_path / "clone"
    git.out("init", "-q", "--template=", str(folder))
    (folder / ".git/objects/info/alternates").write_text(f"{published.repository.as_posix()}/objects\n")
    Git(folder).out("update-ref", "HEAD", published.commit)
    Git(folder).out("reset", "-q", "--hard")
    return folder


def users_git(folder: Path, *arguments: str) -> bytes:
    environment = {name: value for name, value in os.environ.items() if name != "GIT_ATTR_SOURCE"}
    plain = ["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]
    done = subprocess.run(
        ["git", "-C", folder, *plain, *arguments], capture_output=True, check=False, env=environment
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def patched(patch_set: PatchSet, published: Source) -> Oid:
    pair = patch_set.target("vllm").pair_of(published.tree)
    assert pair is not None
    assert pair.patched is not None
    return pair.patched


def test_git_apply_gives_the_patched_tree(
    files: Path, own_tree: Path, patch_set: PatchSet, published: Source
) -> None:
    one = str(files / "all.patch")
    for step in (["--check"], ["--index", "--whitespace=nowarn"], ["--check", "--reverse"]):
        users_git(own_tree, "apply", *step, one)
    assert users_git(own_tree, "write-tree").decode().strip() == patched(patch_set, published)


def test_git_am_gives_the_patched_tree(
    files: Path, own_tree: Path, patch_set: PatchSet, published: Source
) -> None:
    users_git(own_tree, "am", "-q", "--keep-cr", "--keep-non-patch", str(files / "all.mbox"))
    assert Git(own_tree).tree_of("HEAD") == patched(patch_set, published)
    subjects = users_git(own_tree, "log", "--format=%s", f"-{len(patch_set.patches)}").decode().splitlines()
    assert sorted(subjects) == sorted(patch.content.header.subject for patch in patch_set.patches)


@pytest.mark.skipif(shutil.which("patch") is None, reason="patch is not installed")
def test_patch_gives_the_patched_tree(
    files: Path, own_tree: Path, patch_set: PatchSet, published: Source
) -> None:
    shutil.move(own_tree / ".git", own_tree.parent / "away")
    done = subprocess.run(
        ["patch", "-p1", "--binary", "-i", files / "all.patch"],
        cwd=own_tree,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count(b"patching file") == len(patch_set.patches)
    assert b"fuzz" not in done.stdout
    assert b"offset" not in done.stdout
    shutil.move(own_tree.parent / "away", own_tree / ".git")
    users_git(own_tree, "add", "-A")
    assert users_git(own_tree, "write-tree").decode().strip() == patched(patch_set, published)


SHAPES: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda patch: patch,
    "CRLF": lambda patch: patch.replace(b"\n", b"\r\n"),
    "UTF-16 of PowerShell": lambda patch: patch.replace(b"\n", b"\r\n").decode().encode("utf-16"),
    "no ids": without_ids,
}


@pytest.mark.usefixtures("hostile_git")
@pytest.mark.parametrize("shape", SHAPES)
def test_it_comes_back_as_it_went(
    files: Path, own_tree: Path, patch_set: PatchSet, tmp_path: Path, shape: str
) -> None:
    given = tmp_path / "given.patch"
    given.write_bytes(SHAPES[shape]((files / "all.patch").read_bytes()))
    assert imported(patch_set, tmp_path, own_tree, str(given)) == {
        patch.path: patch.content.diff.text for patch in patch_set.patches
    }


def test_the_mails_of_plain_git_bring_the_headers_back(
    files: Path, own_tree: Path, patch_set: PatchSet, tmp_path: Path
) -> None:
    """Not our mails: those that git writes of the commits that it made of ours."""
    users_git(own_tree, "am", "-q", "--keep-cr", str(files / "all.mbox"))
    mails = tmp_path / "mails"
    users_git(
        own_tree, "format-patch", "-q", "--abbrev=8", "-U2", "-o", str(mails), f"-{len(patch_set.patches)}"
    )
    users_git(own_tree, "reset", "-q", "--hard", f"HEAD~{len(patch_set.patches)}")
    imported(patch_set, tmp_path, own_tree, str(mails))
    made = {patch.path: patch for patch in load(tmp_path / "sets", TAG).patches}
    for old in patch_set.patches:
        assert made[old.path].content.serialise() == old.content.serialise()


def imported(patch_set: PatchSet, top: Path, tree: Path, source: str) -> dict[str, bytes]:
    """What an empty set has after the import."""
    folder = top / "sets" / TAG
    folder.mkdir(parents=True)
    shutil.copy(patch_set.folder / "patchset.toml", folder)
    words = ["import", source, TAG, "--patches", str(top / "sets"), "--tree", str(tree)]
    assert run(words) == 0
    made = load(top / "sets", TAG)
    assert made.target("vllm").trees == patch_set.target("vllm").trees
    return {patch.path: patch.content.diff.text for patch in made.patches}


def test_two_shapes_of_the_set_do_not_differ(
    files: Path, own_tree: Path, patch_set: PatchSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(patch_set, tmp_path, own_tree, str(files / "all.mbox"))
    capsys.readouterr()
    optional = len(load(patch_set.root, TAG).patches) - len(patch_set.patches)
    words = ["show", "--interdiff", TAG, str(tmp_path / "sets" / TAG), "--exit-code"]
    assert run([*words, "--patches", str(patch_set.root)]) == int(optional > 0)
    same = f"patches: {len(patch_set.patches)} same, 0 changed, 0 moved, {optional} gone, 0 new"
    assert same in capsys.readouterr().out
