"""Vendored dependencies with the patches that the set has for them, in copies of their own."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from winvllm_build.errors import PatchError, TreeStateError
from winvllm_build.git import NO_OBJECT, Oid, RepoPath
from winvllm_build.patchset import advice
from winvllm_build.patchset.blob import blob_id, patched
from winvllm_build.patchset.layers import Selection
from winvllm_build.patchset.patchset import Patch, PatchSet
from winvllm_build.patchset.tree import Entry
from winvllm_build.sources.dependency import Dependency, Outcome
from winvllm_build.sources.pins import DependencyPin
from winvllm_build.workspace import locked, staged_folder

EXECUTABLE: Final = "100755"
LOCK_SECONDS: Final = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """One dependency's folder and what is to become of its files."""

    pin: DependencyPin
    folder: Path
    patches: PatchSet
    wanted: Mapping[RepoPath, Entry]

    def file(self, path: RepoPath) -> Path:
        """Where a patched file lies; upstream may compile a folder inside the repository."""
        inside = f"{self.pin.folder}/" if self.pin.folder else ""
        if not path.startswith(inside):
            raise PatchError(
                f"{self.pin.name}: {path} has a patch but lies outside {self.pin.folder}, all that is built",
                fix=f"delete the patch in {self.patches.folder}",
            )
        return self.folder.joinpath(*path[len(inside) :].split("/"))

    def patch_of(self, path: RepoPath) -> Patch:
        found = [one for one in self.patches.of(self.pin.name) if one.path == path]
        if len(found) != 1:
            layers = " and ".join(one.layer for one in found)
            raise PatchError(
                f"{self.pin.name}: {path} is changed by the layers {layers}",
                fix="let one layer alone change a file of a dependency",
            )
        return found[0]


def with_patches(
    outcomes: Sequence[Outcome],
    pins: Sequence[DependencyPin],
    patches: PatchSet,
    selection: Selection,
    *,
    own: frozenset[str],
    on_event: Callable[[str], None],
) -> tuple[Outcome, ...]:
    """Every dependency as it was, but those that have patches as patched copies beside the originals.

    A folder of the user's own is never written to: it has to be patched already.

    Args:
        outcomes: what `acquire_dependencies` found, in the order of `pins`.
        pins: the dependencies.
        patches: the set; its targets beside vLLM are dependencies' names.
        selection: which layers of it.
        own: the names of those that the user gave folders for.
        on_event: told what is patched.

    Raises:
        PatchError: a file is not the one its patch is for; nothing is left out silently.
        TreeStateError: a folder of the user's own is not patched.
        StorageError: a copy cannot be written.
        BusyError: another run writes the same copy.
    """
    named = {pin.name: pin for pin in pins}
    return tuple(
        _patched(one, named[one.name], patches, selection, own=one.name in own, tell=on_event)
        if isinstance(one, Dependency) and one.name in patches.lock.targets
        else one
        for one in outcomes
    )


def _patched(
    found: Dependency,
    pin: DependencyPin,
    patches: PatchSet,
    selection: Selection,
    *,
    own: bool,
    tell: Callable[[str], None],
) -> Dependency:
    wanted = patches.selected(selection, pin.name)
    work = _Work(pin=pin, folder=found.folder, patches=patches, wanted=wanted)
    left = _unpatched(work)
    if not left:
        return found
    for path in left:
        _refuse_other(work, path, own=own)
    if own:
        raise _own_unpatched(work, left, selection)
    content = "\n".join(f"{path} {entry.post} {entry.modes[1]}" for path, entry in sorted(wanted.items()))
    digest = hashlib.sha256(content.encode()).hexdigest()[:6]
    copy = replace(work, folder=found.folder.with_name(f"{found.folder.name}+{digest}"))
    with locked(
        copy.folder.with_name(f"{copy.folder.name}.lock"), f"the copy {copy.folder}",
        wait=LOCK_SECONDS, on_wait=tell,
    ):  # fmt: skip
        if _unpatched(copy):
            tell(f"{pin.name}: {len(wanted)} files patched in {copy.folder}")
            _make(work, copy.folder)
    description = f"{found.description}, {len(wanted)} files patched"
    return replace(found, folder=copy.folder, description=description)


def _unpatched(work: _Work) -> list[RepoPath]:
    return [path for path, entry in work.wanted.items() if _present(work.file(path)) != entry.post]


def _present(file: Path) -> Oid:
    """The id of what is there, `NO_OBJECT` for nothing."""
    return blob_id(file.read_bytes()) if file.is_file() else NO_OBJECT


def _refuse_other(work: _Work, path: RepoPath, *, own: bool) -> None:
    """Refuse a file that is neither upstream's pinned one nor the patched one."""
    here, entry = _present(work.file(path)), work.wanted[path]
    if here == entry.pre:
        return
    what = "is not there" if here == NO_OBJECT else f"is {here[:12]}"
    commit = work.pin.commit or work.pin.revision
    wanted = f"{entry.pre[:12]} of {commit[:12]}"
    raise PatchError(
        f"{work.pin.name}: {path} {what} in {work.folder}; its patch is for {wanted}",
        fix=f"give a folder of {work.pin.url} at {commit}"
        if own
        else f"delete {work.folder} and run the command again; if it stays, run "
        f"`{advice.command('lint', work.patches.tag, root=work.patches.root)}`",
    )


def _own_unpatched(work: _Work, left: Sequence[RepoPath], selection: Selection) -> TreeStateError:
    apply = advice.command(
        "apply", work.patches.tag, *selection.options, root=work.patches.root, tree=work.folder,
        target=work.pin.name,
    )  # fmt: skip
    return TreeStateError(
        f"{work.pin.name}: your folder {work.folder} lacks the patches of {', '.join(left)}",
        fix=f"`{apply}` in a git checkout, or leave the folder out: the tool gets {work.pin.name} itself",
    )


def _make(work: _Work, copy: Path) -> None:
    shutil.rmtree(copy, ignore_errors=True)
    with staged_folder(copy) as part:
        shutil.copytree(work.folder, part, dirs_exist_ok=True)
        staged = replace(work, folder=part)
        for path, entry in work.wanted.items():
            _write(staged, path, entry)


def _write(staged: _Work, path: RepoPath, entry: Entry) -> None:
    file = staged.file(path)
    if _present(file) == entry.post:
        return
    if entry.post == NO_OBJECT:
        file.unlink()
        return
    before = b"" if entry.pre == NO_OBJECT else file.read_bytes()
    after = patched(staged.patch_of(path).content.diff, before)
    if after is None or blob_id(after) != entry.post:
        raise PatchError(
            f"{staged.pin.name}: the patch of {path} does not make what the lock says",
            fix=f"`{advice.command('lint', staged.patches.tag, root=staged.patches.root)}`",
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    file.write_bytes(after)
    file.chmod(0o755 if entry.modes[1] == EXECUTABLE else 0o644)
