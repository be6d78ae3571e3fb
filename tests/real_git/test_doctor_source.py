"""`doctor patches` on damaged sources, another git, and what killed runs left."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.doctor_patient import MANIFEST, OF_FILES, Damage, Patient, less_context
from tests.patch_upstream import TAG, nothing
from winvllm_build import process
from winvllm_build.choices import SourceKind
from winvllm_build.errors import TreeStateError
from winvllm_build.git import Git, Oid, find_git
from winvllm_build.review.diagnosis import Part, State
from winvllm_build.sources.pins import read_pins
from winvllm_build.sources.source import acquire, worktree


def moved_ref(patient: Patient) -> None:
    git = Git(patient.repository)
    other = git.commit_tree(git.tree_of(patient.upstream.commit), "another")
    (patient.repository / "x").mkdir()
    blob = git.line("hash-object", "-w", "--stdin", stdin=b"other\n")
    with git.temporary_index(git.tree_of(other)) as index:
        git.out("update-index", "-z", "--index-info", stdin=f"100644 {blob}\ta.py\0".encode(), index=index)
        made = Oid(git.line("write-tree", index=index))
    git.out("update-ref", f"refs/winvllm/{TAG}/base-git", git.commit_tree(made, "another"))


def loose(patient: Patient, oid: str) -> Path:
    """The file of an object, unpacked if need be."""
    packs = patient.repository / "objects" / "pack"
    for pack in sorted(packs.glob("*.pack")):
        content = pack.read_bytes()
        for file in packs.glob(f"{pack.stem}.*"):
            file.chmod(0o644)
            file.unlink()
        Git(patient.repository).out("unpack-objects", "-q", stdin=content)
    file = patient.repository / "objects" / oid[:2] / oid[2:]
    assert file.is_file()
    file.chmod(0o644)
    return file


def blob_of(patient: Patient, path: str = "a.py") -> str:
    return patient.upstream.git.line("rev-parse", f"{patient.upstream.commit}:{path}")


def blob_lost(patient: Patient) -> None:
    loose(patient, blob_of(patient)).unlink()


def blob_exchanged(patient: Patient) -> None:
    file = loose(patient, blob_of(patient))
    file.write_bytes(loose(patient, blob_of(patient, "csrc/k.cu")).read_bytes())


def blob_cut(patient: Patient) -> None:
    file = loose(patient, blob_of(patient))
    file.write_bytes(file.read_bytes()[:-5])


def commit_lost(patient: Patient) -> None:
    loose(patient, patient.upstream.commit).unlink()


def tree_lost(patient: Patient) -> None:
    loose(patient, patient.upstream.git.tree_of(patient.upstream.commit)).unlink()


def no_repository(patient: Patient) -> None:
    (patient.repository / "HEAD").write_bytes(b"\0\0\0")


OF_SOURCE: dict[str, tuple[Damage, str]] = {
    "ref moved": (moved_ref, "is of another commit"),
    "blob lost": (blob_lost, "is damaged"),
    "blob exchanged": (blob_exchanged, "is damaged"),
    "blob cut": (blob_cut, "is damaged"),
    "commit lost": (commit_lost, "is damaged"),
    "tree lost": (tree_lost, "is damaged"),
    "repository": (no_repository, "cannot be read"),
}


@pytest.mark.parametrize("name", OF_SOURCE)
def test_a_damaged_source_is_the_tag_s_fault(patient: Patient, name: str) -> None:
    damage, words = OF_SOURCE[name]
    damage(patient)
    found = patient.examine()
    assert found.culprits == (Part.TAG,)
    assert words in found.sentence
    assert str(patient.repository) in found.sentence
    assert set(found.agreeing) == {Part.PATCHES, Part.LOCK, Part.TOOL}
    assert any(f"winvllm-build source {TAG}" in check.fix for check in found.checks)


def test_a_moved_ref_is_repaired_by_its_fix(patient: Patient) -> None:
    moved_ref(patient)
    (fix,) = [check.fix for check in patient.examine().checks if check.state is State.WRONG]
    assert process.capture(shlex.split(fix.partition(";")[0])).code == 0
    patient.acquire()
    assert patient.examine().is_healthy


def test_a_damaged_source_beside_a_right_tree(patient: Patient) -> None:
    blob_lost(patient)
    found = patient.examine(tree=patient.upstream.folder)
    assert found.culprits == (Part.TAG,)
    OF_FILES["patch: added line"][0](patient)
    found = patient.examine(tree=patient.upstream.folder)
    assert found.culprits == (Part.PATCHES, Part.TAG)


def test_a_tree_of_another_commit(patient: Patient) -> None:
    patient.upstream.write({"a.py": b"on its own way\n"})
    patient.upstream.commit_all("mine")
    found = patient.examine(tree=patient.upstream.folder)
    assert found.culprits == (Part.TAG,)
    assert f"HEAD of {patient.upstream.folder} is of another commit" in found.sentence
    (fix,) = [check.fix for check in found.checks if check.state is State.WRONG]
    assert process.capture(shlex.split(fix)).code == 0
    assert patient.examine(tree=patient.upstream.folder).is_healthy


def test_what_is_no_tree_is_refused(patient: Patient, tmp_path: Path) -> None:
    with pytest.raises(TreeStateError, match="not a source tree"):
        patient.examine(tree=tmp_path)


def test_an_archive_pinned_with_another_hash(patient: Patient) -> None:
    sdist = 'sdist = {{ project = "u", version = "1", sha256 = "{}" }}\n'
    more = sdist.format("a" * 64)
    patient.upstream.manifest(patient.upstream.commit, more)
    pin = read_pins(patient.folder / MANIFEST).upstream.sdist
    assert pin
    patient.workspace.sources.joinpath("u").mkdir(parents=True)
    shutil.move(patient.repository, patient.workspace.sources / "u" / "repo.git")
    git = Git(patient.workspace.sources / "u" / "repo.git")
    base = git.tree_of(f"refs/winvllm/{TAG}/base-git")
    git.out("update-ref", "-d", f"refs/winvllm/{TAG}/base-git")
    git.out(
        "update-ref", f"refs/winvllm/{TAG}/base-sdist", git.commit_tree(base, pin.commit_message.rstrip("\n"))
    )
    assert patient.examine().is_healthy
    patient.upstream.manifest(patient.upstream.commit, sdist.format("b" * 64))
    found = patient.examine()
    assert found.culprits == (Part.TAG,)
    assert "the manifest pins another archive than the one at hand" in found.sentence


OTHER_GIT = """\
#!{python}
import os, sys
arguments = sys.argv[1:]
if "-O/dev/null" in arguments:
    arguments.insert(arguments.index("-O/dev/null"), "{option}")
os.execv("{real}", ["git", *arguments])
"""


@pytest.fixture
def other_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Puts a git on PATH that writes its diffs otherwise."""

    def install(option: str) -> None:
        real, folder = find_git(), tmp_path / "bin"
        folder.mkdir()
        script = folder / "git"
        script.write_text(OTHER_GIT.format(python=sys.executable, option=option, real=real))
        script.chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        find_git.cache_clear()

    yield install
    find_git.cache_clear()


@pytest.mark.skipif(os.name == "nt", reason="a script in place of git")
@pytest.mark.parametrize("option", ["-U5", "--no-indent-heuristic", "--src-prefix=x/"])
def test_a_git_that_writes_otherwise_is_the_tool_s_fault(
    patient: Patient, other_git: Callable[[str], None], option: str
) -> None:
    other_git(option)
    found = patient.examine()
    assert found.culprits == (Part.TOOL,)
    assert "gives other results than it should" in found.sentence
    assert set(found.agreeing) == {Part.PATCHES, Part.LOCK, Part.TAG}


def test_patches_that_were_locked_as_they_came(patient: Patient) -> None:
    less_context(patient)
    patient.upstream.write({"csrc/old.cu": b"int gone;\n"})
    patient.upstream.git.out("reset", "-q", "--hard")
    patient.upstream.relock()
    found = patient.examine()
    assert found.culprits == (Part.PATCHES, Part.TOOL)
    assert "git writes 1 patches otherwise than they were locked (a.py)" in found.sentence


LEFT: dict[str, Callable[[Patient], Path]] = {
    "patch set": lambda p: p.folder / "windows" / "vllm" / ".a.py.patch.abc.tmp",
    "tree begun": lambda p: p.workspace.trees / ".v1.2.3-sm86.begun",
    "source begun": lambda p: p.workspace.sources / "tree" / ".repo.git.abc.part",
    "shallow lock": lambda p: p.repository / "shallow.lock",
    "pack": lambda p: p.repository / "objects" / "pack" / "tmp_pack_abc",
    "keep file": lambda p: p.repository / "objects" / "pack" / "pack-abc.keep",
    "staged file": lambda p: p.upstream.folder / ".winvllm-0123456789abcdef.part",
    "drop": lambda p: p.workspace.sources / "tree" / "drop-0123456789ab.json",
    "regen": lambda p: p.upstream.folder / ".git" / "winvllm" / "regen.json",
    "index": lambda p: p.upstream.folder / ".git" / "winvllm" / "index-123",
}


@pytest.mark.parametrize("name", LEFT)
def test_what_a_killed_run_left(patient: Patient, name: str) -> None:
    file = LEFT[name](patient)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"")
    found = patient.examine(tree=patient.upstream.folder)
    assert not found.is_healthy
    assert found.culprits == ()
    assert found.sentence.startswith(
        "1 thing is left over from killed runs; patch files, lock, tag and tool agree"
    )
    assert any(str(file) in " ".join([check.words, *check.evidence]) for check in found.checks)


def test_a_journal_of_a_dead_run_and_one_of_a_living(patient: Patient) -> None:
    tree = patient.workspace.trees / f"{TAG}-sm86"
    pin = read_pins(patient.folder / MANIFEST).upstream
    source = acquire(pin, kind=SourceKind.AUTO, location=None, workspace=patient.workspace, offline=True,
                     on_event=nothing)  # fmt: skip
    worktree(source, tree)
    private = Git(tree).private_path("winvllm")
    private.mkdir()
    (private / "journal.json").write_text('{"operation": "apply", "pid": 1, "started": 0}')
    found = patient.examine()
    assert any(f"an interrupted apply in {tree}" in check.words for check in found.checks)
    assert not found.is_healthy
    mine = {"operation": "apply", "pid": os.getpid(), "started": psutil.Process().create_time()}
    (private / "journal.json").write_text(json.dumps(mine))
    assert patient.examine().is_healthy


def test_a_worktree_whose_folder_is_gone(patient: Patient) -> None:
    test_tree = patient.workspace.trees / "gone"
    Git(patient.repository).out("worktree", "add", "-q", "--detach", str(test_tree), patient.upstream.commit)
    assert patient.examine().is_healthy
    shutil.rmtree(test_tree)
    found = patient.examine()
    (left,) = [check for check in found.checks if check.state is State.LEFT]
    assert str(test_tree) in left.words
    assert process.capture(shlex.split(left.fix)).code == 0
    assert patient.examine().is_healthy


def test_saved_trees_are_told_and_are_no_fault(patient: Patient) -> None:
    patient.upstream.write({"a.py": b"mine\n"})
    patient.upstream.apply(restore=True)
    found = patient.examine(tree=patient.upstream.folder)
    assert found.is_healthy
    assert any("1 trees that --restore kept" in check.words for check in found.checks)
