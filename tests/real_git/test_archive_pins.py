"""A tag pinned by its source archive alone: taken, patched, locked; git later, by prefix or by commit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.small_vllm import NEW, OLD, SmallVllm, git, unheard
from winvllm_build.choices import SourceKind
from winvllm_build.errors import PatchError, RefusedError, SourceError, TreeStateError
from winvllm_build.git import Oid
from winvllm_build.intake.unpinned import released_source
from winvllm_build.patchset.apply import apply
from winvllm_build.patchset.lock import read as read_lock
from winvllm_build.patchset.patchset import load
from winvllm_build.patchset.regen import regen
from winvllm_build.patchset.status import TreeState, status
from winvllm_build.sources.pins import SourcePin, read_pins
from winvllm_build.sources.remote import Remotes
from winvllm_build.sources.source import Source, acquire, worktree

PATCHED = "csrc/a.cu"


@pytest.fixture
def small(tmp_path: Path) -> SmallVllm:
    return SmallVllm.make(tmp_path)


def pin_of(small: SmallVllm) -> SourcePin:
    pin, _ = released_source(
        NEW, workspace=small.workspace, index=small.index(), offline=False, on_event=unheard,
        url=small.upstream.as_uri(),
    )  # fmt: skip
    return pin


def take(small: SmallVllm, pin: SourcePin, kind: SourceKind, location: Path | None = None) -> Source:
    return acquire(
        pin, kind=kind, location=None if location is None else str(location), workspace=small.workspace,
        offline=False, on_event=unheard, index=small.index(), remotes=Remotes(),
    )  # fmt: skip


def write(small: SmallVllm, pin: SourcePin) -> Path:
    assert pin.sdist is not None
    file = small.patches / NEW / "patchset.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = ["schema = 1", "[upstream]", f'url = "{pin.url}"', f'tag = "{pin.tag}"']
    lines += [f'commit = "{pin.commit}"'] if pin.commit else []
    lines += [f'abbreviated = "{pin.abbreviated}"'] if pin.abbreviated else []
    sdist = f'project = "vllm", version = "{pin.sdist.version}", sha256 = "{pin.sdist.sha256}"'
    file.write_text("\n".join([*lines, f"sdist = {{ {sdist} }}", ""]), encoding="utf-8")
    assert read_pins(file).upstream == pin
    return file


def patched(small: SmallVllm) -> SourcePin:
    """A set of one patch, written and locked on the archive's tree."""
    pin = pin_of(small)
    write(small, pin)
    tree = worktree(take(small, pin, SourceKind.AUTO), small.workspace.trees / "work")
    file = tree / PATCHED
    file.write_bytes(file.read_bytes().replace(b"line 7\n", b"line seven\n"))
    regen(small.patches, NEW, tree, on_event=unheard)
    return pin


def test_the_archive_is_taken_before_git(small: SmallVllm) -> None:
    pin = pin_of(small)
    assert take(small, pin, SourceKind.AUTO).kind is SourceKind.SDIST
    assert take(small, replace(pin, commit=small.commits[NEW]), SourceKind.GIT).kind is SourceKind.GIT
    assert take(small, pin, SourceKind.AUTO).kind is SourceKind.SDIST


def test_git_is_taken_if_its_commit_begins_as_the_archive_says(small: SmallVllm) -> None:
    pin = pin_of(small)
    assert take(small, pin, SourceKind.GIT).commit == small.commits[NEW]
    assert take(small, pin, SourceKind.LOCAL, small.upstream).commit == small.commits[NEW]
    assert take(small, pin, SourceKind.GIT).description.endswith("cached")


def test_another_commit_is_refused(small: SmallVllm) -> None:
    pin = pin_of(small)
    git(small.upstream, "tag", "-f", NEW, OLD)
    with pytest.raises(SourceError, match="has moved") as caught:
        take(small, pin, SourceKind.GIT)
    assert small.commits[OLD] in caught.value.message
    with pytest.raises(SourceError, match=f"does not have commit {pin.abbreviated}"):
        take(small, pin, SourceKind.LOCAL, small.upstream)


def test_without_any_digits_git_is_not_believed(small: SmallVllm) -> None:
    bare = replace(pin_of(small), abbreviated=None)
    with pytest.raises(RefusedError, match="no commit is pinned") as caught:
        take(small, bare, SourceKind.GIT)
    assert caught.value.fix is not None
    assert "tags add v1.1.0 --update" in caught.value.fix


def test_patches_are_locked_on_the_archives_commit(small: SmallVllm) -> None:
    pin = patched(small)
    assert pin.sdist is not None
    found = load(small.patches, NEW).target("vllm")
    tree = git(small.upstream, "rev-parse", f"{NEW}^{{tree}}")
    assert found.commit == pin.sdist.commit_id(Oid(tree))
    assert {kind: pair.base for kind, pair in found.trees.items()} == {"sdist": tree}


def test_another_archive_is_another_lock(small: SmallVllm) -> None:
    pin = patched(small)
    assert pin.sdist is not None
    write(small, replace(pin, sdist=replace(pin.sdist, sha256="0" * 64)))
    with pytest.raises(PatchError, match="the lock is for commit"):
        load(small.patches, NEW)


@pytest.mark.parametrize("known", ["prefix", "commit"])
def test_a_checkout_of_the_tag_is_patched_too(small: SmallVllm, known: str) -> None:
    pin = patched(small)
    if known == "commit":
        write(small, replace(pin, commit=small.commits[NEW]))
    patches = load(small.patches, NEW)
    git(small.upstream, "checkout", "-qf", NEW)
    apply(patches, small.upstream, on_event=unheard)
    assert status(patches, small.upstream).state is TreeState.APPLIED
    assert b"line seven\n" in (small.upstream / PATCHED).read_bytes()


def test_a_later_commit_is_written_when_the_set_is_written(small: SmallVllm) -> None:
    pin = patched(small)
    write(small, replace(pin, commit=small.commits[NEW]))
    regen(small.patches, NEW, small.workspace.trees / "work", on_event=unheard)
    lock = read_lock(small.patches / NEW / "patchset.lock")
    assert lock is not None
    assert lock.targets["vllm"].commit == small.commits[NEW]
    assert list(lock.targets["vllm"].trees) == ["sdist"]
    load(small.patches, NEW)


def test_another_head_is_refused_with_the_way_back(small: SmallVllm) -> None:
    patched(small)
    git(small.upstream, "checkout", "-qf", OLD)
    with pytest.raises(TreeStateError) as caught:
        apply(load(small.patches, NEW), small.upstream, on_event=unheard)
    assert "the patches are for the commit" in caught.value.message
    (small.upstream / PATCHED).write_text("other\n")
    with pytest.raises(TreeStateError, match=r"the tool's own commit of vllm 1\.1\.0") as second:
        regen(small.patches, NEW, small.upstream, on_event=unheard)
    assert second.value.fix is not None
    assert second.value.fix.startswith("winvllm-build source v1.1.0 --tree FOLDER")
