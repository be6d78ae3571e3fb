"""Code that left its file is found where it went, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from winvllm_build.git import Git, Oid, RepoPath
from winvllm_build.patchset import tree
from winvllm_build.patchset.diff import Diff
from winvllm_build.patchset.worktree import scratch_of
from winvllm_build.port.locate import Lost, likeness, locate, locate_all


def body(name: str, count: int = 30) -> bytes:
    return b"".join(
        f"    value_{number} = compute_{name}(number={number})\n".encode() for number in range(count)
    )


OLD: Mapping[str, bytes] = {
    "gone.py": body("gone"),
    "split.py": body("split") + b"\n\n" + body("kept"),
    "short.py": b"a = 1\nb = 2\nc = 3\nd = 4\n",
    "same.py": body("same"),
}
NEW: Mapping[str, bytes] = {
    "new/home.py": b"class Home:\n" + body("gone").replace(b"    value", b"        value"),
    "sp ace/näme:half.py": b"# moved here\n" + body("split"),
    "split.py": body("kept"),
    "same.py": body("same"),
    "decoy.py": b"value_14 = compute_gone(number=14)\n",
    "binary.bin": b"\0" + body("gone"),
}


@pytest.fixture
def git(tmp_path: Path) -> Iterator[Git]:
    made = Git(tmp_path)
    made.run("init", "-q", "--bare", "--template=", ".")
    with scratch_of(tmp_path / "objects") as opened:
        yield opened


def tree_from(git: Git, files: Mapping[str, bytes]) -> Oid:
    records = b""
    for name, content in files.items():
        oid = git.line("hash-object", "-w", "--no-filters", "--stdin", stdin=content)
        records += f"100644 {oid}\t{name}\0".encode()
    with git.temporary_index() as index:
        git.out("update-index", "-z", "--add", "--index-info", stdin=records, index=index)
        return Oid(git.line("write-tree", index=index))


def patches(git: Git) -> dict[RepoPath, Diff]:
    """A changed line in the middle of each file."""
    changed = {
        name: content.replace(b"number=15)", b"number=15, win=True)", 1).replace(b"c = 3", b"c = 33")
        for name, content in OLD.items()
    }
    return tree.export(git, tree_from(git, OLD), tree_from(git, changed))


def test_the_file_with_the_lines_is_named(git: Git) -> None:
    diffs, new = patches(git), tree_from(git, NEW)
    found = locate(git, new, diffs[RepoPath("gone.py")])
    assert [(place.path, place.found, place.sought, place.whole) for place in found] == [
        ("new/home.py", 3, 3, 1)
    ]
    assert found[0].words == "3 of 3 of its longest lines are in new/home.py"


def test_lines_that_are_still_in_the_file_are_not_looked_for(git: Git) -> None:
    diffs, new = patches(git), tree_from(git, NEW)
    path = RepoPath("split.py")
    assert [place.path for place in locate(git, new, diffs[path], place=path)] == ["sp ace/näme:half.py"]
    same = RepoPath("same.py")
    assert locate(git, new, diffs[same], place=same) == ()


def test_short_lines_and_nothing_found_name_no_file(git: Git) -> None:
    diffs, new = patches(git), tree_from(git, NEW)
    assert locate(git, new, diffs[RepoPath("short.py")]) == ()
    assert locate(git, tree_from(git, {"x.py": b"x\n"}), diffs[RepoPath("gone.py")]) == ()
    assert locate_all(git, new, {}) == {}


def test_several_patches_take_one_search(git: Git) -> None:
    diffs, new = patches(git), tree_from(git, NEW)
    found = locate_all(git, new, {path: Lost(diff=diff) for path, diff in diffs.items()})
    assert {path: [place.path for place in places] for path, places in found.items()} == {
        "gone.py": ["new/home.py"], "split.py": ["sp ace/näme:half.py"], "short.py": [], "same.py": [],
    }  # fmt: skip


def test_a_file_that_is_somewhat_like_the_one_that_is_gone(git: Git) -> None:
    old = tree_from(git, OLD)
    mixed = body("gone", 12) + body("else", 20)
    new = tree_from(git, {"new/home.py": mixed, "same.py": OLD["same.py"]})
    found = likeness(git, RepoPath("gone.py"), old=old, new=new)
    assert found is not None
    assert found.new == "new/home.py"
    assert 25 <= found.similarity < 50
    assert likeness(git, RepoPath("same.py"), old=old, new=new) is None
    assert likeness(git, RepoPath("never.py"), old=old, new=new) is None
