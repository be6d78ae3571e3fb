"""A tree that carries an earlier version of the patch set: brought up to date, never an edit lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.patch_upstream import BASE, EDITED, Upstream, after, digest, patched
from winvllm_build.errors import TreeStateError
from winvllm_build.patchset.status import FileState, TreeState

NEWER = {
    "a.py": BASE["a.py"].replace(b"line 3\n", b"line 3, another way\n"),
    "notes/readme": b"now patched\n",
}
"""The next version changes one patch, adds one, drops that of csrc/k.cu, and keeps the rest."""


@pytest.fixture
def outdated(tmp_path: Path) -> Upstream:
    """The old set applied in the tree, the new one in the patch folder."""
    tree = patched(tmp_path / "old")
    tree.apply()
    author = tree.copied(tmp_path / "new")
    author.write({**NEWER, "csrc/k.cu": BASE["csrc/k.cu"]})
    author.regen()
    tree.patches = author.patches
    return tree


def newer() -> dict[str, bytes]:
    merged = {**after(), **NEWER, "csrc/k.cu": BASE["csrc/k.cu"]}
    return dict(sorted(merged.items()))


def test_status_tells_an_older_version_from_an_edit(outdated: Upstream) -> None:
    found = outdated.status()
    assert found.state is TreeState.OUTDATED
    assert {f.path for f in found.having(FileState.OUTDATED)} == {"a.py", "csrc/k.cu"}
    assert {f.path for f in found.having(FileState.PRISTINE)} == {"notes/readme"}


def test_apply_brings_it_up_to_date_and_rewrites_only_what_differs(outdated: Upstream) -> None:
    before = digest(outdated.folder)
    done = outdated.apply()
    assert set(done.files) == {"a.py", "csrc/k.cu", "notes/readme"}
    assert done.saved is None
    assert outdated.content() == newer()
    assert outdated.status().state is TreeState.APPLIED
    assert outdated.index_tree() == done.tree
    now = digest(outdated.folder)
    for kept in ("dos.bat", "csrc/new/n.cuh"):
        assert now[kept] == before[kept]
    assert outdated.apply().already


def test_unapply_takes_the_older_version_back(outdated: Upstream) -> None:
    outdated.unapply()
    assert outdated.content() == dict(BASE)
    assert outdated.status().state is TreeState.PRISTINE


@pytest.mark.parametrize("name", ["a.py", "csrc/k.cu", "dos.bat"])
def test_an_edit_on_top_is_still_an_edit(outdated: Upstream, name: str) -> None:
    edited = outdated.content()[name] + b"mine\n"
    outdated.write({name: edited})
    if name == "csrc/k.cu":  # no patch of the new set touches it: it is the user's own file now
        assert outdated.apply().saved is None
    else:
        with pytest.raises(TreeStateError):
            outdated.apply()
    assert outdated.content()[name] == edited


def test_a_newer_set_without_a_deletion_brings_the_file_back(tmp_path: Path) -> None:
    tree = patched(tmp_path / "old")
    tree.apply()
    author = tree.copied(tmp_path / "new")
    author.write({"csrc/old.cu": BASE["csrc/old.cu"]})
    author.regen(new=("csrc/old.cu",))
    tree.patches = author.patches
    assert EDITED["csrc/old.cu"] is None
    tree.apply()
    assert tree.content()["csrc/old.cu"] == BASE["csrc/old.cu"]


def test_a_newer_set_that_only_adds_a_patch_is_no_half_applied_one(tmp_path: Path) -> None:
    tree = patched(tmp_path / "old")
    tree.apply()
    author = tree.copied(tmp_path / "new")
    author.write({"notes/readme": b"now patched\n"})
    author.regen()
    tree.patches = author.patches
    assert tree.status().state is TreeState.OUTDATED
    done = tree.apply()
    assert (done.files, done.saved) == (("notes/readme",), None)
    assert tree.content() == {**after(), "notes/readme": b"now patched\n"}
    tree.write({"a.py": BASE["a.py"]})
    assert tree.status().state is TreeState.PARTIAL
