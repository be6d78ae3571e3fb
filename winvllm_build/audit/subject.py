"""What is scanned: the files of a tag, as upstream has them or with a set applied, or those of a folder."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.audit.files import Files
from winvllm_build.choices import SourceKind
from winvllm_build.errors import TreeStateError, UsageError
from winvllm_build.git import Git, Oid
from winvllm_build.index import Index
from winvllm_build.intake.checkout import Checkout
from winvllm_build.intake.unpinned import released_source
from winvllm_build.patchset import manifest, tree
from winvllm_build.patchset.layers import compose, select
from winvllm_build.patchset.patchset import MAIN_TARGET, Patch, load
from winvllm_build.patchset.worktree import open_worktree, scratch_of
from winvllm_build.sources.pins import read_pins
from winvllm_build.sources.source import Source, acquire
from winvllm_build.workspace import Workspace

RELEASE: Final = re.compile(r"v\d[\w.]*")
"""A word like this is a tag, even where a folder has the same name."""
REGULAR: Final = "100"
"""How the mode of a file begins that is neither a link nor another repository."""
BUILD_FILE: Final = "CMakeLists.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Where sources come from."""

    workspace: Workspace
    index: Index
    offline: bool
    tell: Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was asked for.

    Attributes:
        name: a tag or a folder.
        root: the folder of patch sets.
        patched: with the set of the tag applied.
        layers: optional layers of it.
    """

    name: str
    root: Path
    patched: bool = False
    layers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One tree, with what is known about it.

    Attributes:
        name: the tag, or the folder as it was named.
        git: has the tree's objects.
        checkout: the tree.
        base: the tree before patches.
        objects: where git finds the objects of `base`.
        layers: what is applied; empty where nothing is.
        set_folder: the folder of the tag's patch set, where there is one.
        patches: those of the set for vLLM itself, where it is applied.
    """

    name: str
    git: Git
    checkout: Checkout
    base: Oid
    objects: Path
    layers: tuple[str, ...] = ()
    set_folder: Path | None = None
    patches: tuple[Patch, ...] = ()

    @property
    def files(self) -> Files:
        return files_of(self.checkout)

    @property
    def buildable(self) -> Checkout | None:
        """The tree for who reads CMake; None for a folder that is only a part of vLLM."""
        return self.checkout if BUILD_FILE in self.checkout.entries else None


def files_of(checkout: Checkout) -> Files:
    """The regular files of a tree."""
    names = [path for path, entry in checkout.entries.items() if entry.mode.startswith(REGULAR)]
    return Files(names, checkout.content, checkout.fetch)


@contextmanager
def opened(wanted: Wanted, doors: Doors) -> Iterator[Subject]:
    """The tree that was asked for; computed objects vanish with the block.

    Raises:
        UsageError: neither a tag nor a folder, or no layer of that name.
        SourceError: the source cannot be had, or is not what its pin says.
        PatchError: the set is damaged, or does not fit.
        ConflictError: two layers cannot be combined.
    """
    if is_folder(wanted.name):
        with _folder(wanted) as made:
            yield made
        return
    source = _source(wanted, doors)
    if not wanted.patched:
        set_folder = wanted.root / wanted.name
        yield Subject(
            name=wanted.name, git=Git(source.repository), checkout=Checkout.of(source), base=source.tree,
            objects=source.repository / "objects",
            set_folder=set_folder if (set_folder / manifest.FILE).is_file() else None,
        )  # fmt: skip
        return
    with _patched(wanted, source) as made:
        yield made


def is_folder(word: str) -> bool:
    """Whether a word on the command line means a folder; `./v0.14.1` does, `v0.14.1` does not."""
    return not RELEASE.fullmatch(word) and Path(word).is_dir()


def has_set(wanted: Wanted) -> bool:
    """Whether there is a patch set for what was asked for."""
    return not is_folder(wanted.name) and (wanted.root / wanted.name / manifest.FILE).is_file()


def _source(wanted: Wanted, doors: Doors) -> Source:
    tag = wanted.name
    if "/" in tag or "\\" in tag:
        raise UsageError(
            f"{tag} is not a folder", fix="name a folder of vLLM's source, or a tag like v0.14.1"
        )
    file = wanted.root / tag / manifest.FILE
    if file.is_file():
        return acquire(
            read_pins(file).upstream, kind=SourceKind.AUTO, location=None, workspace=doors.workspace,
            offline=doors.offline, on_event=doors.tell, index=doors.index,
        )  # fmt: skip
    return released_source(
        tag, workspace=doors.workspace, index=doors.index, offline=doors.offline, on_event=doors.tell
    )[1]


@contextmanager
def _patched(wanted: Wanted, source: Source) -> Iterator[Subject]:
    """The tree that the set makes of the source, proven against its lock."""
    patch_set = load(wanted.root, wanted.name, allow_open=True)
    chosen = select(patch_set.manifest, wanted.layers)
    patches = patch_set.of(MAIN_TARGET)
    fix = f"winvllm-build doctor patches {wanted.name}"
    with scratch_of(source.repository / "objects") as git:
        made = compose(git, patches, chosen, source.tree, fix=fix)
        tree.prove(
            patch_set.selected(chosen), tree.difference(git, source.tree, made),
            what=f"the set {wanted.name} makes something else of this source than its lock says", fix=fix,
        )  # fmt: skip
        yield Subject(
            name=wanted.name, git=git, checkout=Checkout(git, made, wanted.name), base=source.tree,
            objects=source.repository / "objects", layers=chosen.layers, set_folder=patch_set.folder,
            patches=tuple(patch for patch in patches if patch.layer in chosen.layers),
        )  # fmt: skip


@contextmanager
def _folder(wanted: Wanted) -> Iterator[Subject]:
    """A folder's files as objects; what git ignores there is left out, and nothing is written there."""
    folder = Path(wanted.name).absolute()
    if wanted.patched:
        raise UsageError(
            f"{folder} is a folder: no set is known to fit it, and it may be patched already",
            fix="leave out --patched: a folder is scanned as it is; or name a tag",
        )
    with (
        tempfile.TemporaryDirectory(prefix="winvllm-no-objects-") as empty,
        scratch_of(Path(empty)) as git,  # on the repository's own objects, git would touch their times
    ):
        inside = Git(folder, environment={**git.environment, "GIT_WORK_TREE": str(folder)})
        index = git.folder / "folder-index"
        names = b"".join(name + b"\0" for name in _names(folder, inside) if _is_file(folder, name))
        inside.out("update-index", "--add", "-z", "--stdin", stdin=names, index=index)
        made = Oid(inside.line("write-tree", index=index))
        yield Subject(
            name=wanted.name, git=git, checkout=Checkout(git, made, wanted.name), base=made,
            objects=git.folder / "objects",
        )  # fmt: skip


def _names(folder: Path, inside: Git) -> list[bytes]:
    """What git would add there and what it has: only its index knows of ignored files that are tracked."""
    listing = ("ls-files", "--others", "--exclude-standard", "-z")
    try:
        said = open_worktree(folder).git.out(*listing, "--cached")
    except TreeStateError:
        said = inside.out(*listing)
    return sorted({name for name in said.split(b"\0") if name})


def _is_file(folder: Path, name: bytes) -> bool:
    try:
        return stat.S_ISREG((folder / os.fsdecode(name)).lstat().st_mode)
    except OSError:
        return False
