"""A port made ready: the old set read and proven against its lock, both sources in one repository."""

from __future__ import annotations

from pathlib import Path

from winvllm_build.errors import UsageError
from winvllm_build.intake.unpinned import released_source
from winvllm_build.patchset import manifest
from winvllm_build.patchset.patchset import load
from winvllm_build.port.job import Doors, Job, both_sources, previous
from winvllm_build.sources.pins import SourcePin, read_pins


def open_job(root: Path, new: str, doors: Doors, *, old: str | None = None) -> Job:
    """What `port` needs; a new tag without a manifest is taken as the package index has it.

    Args:
        root: the folder of patch sets.
        new: the tag to port to.
        doors: where sources come from.
        old: the tag to port from; None for the newest that is older.

    Raises:
        UsageError: there is nothing to port from, or `new` is no tag.
        PatchError: the old set is damaged.
        SourceError: a source cannot be had, or is not what its pin says.
    """
    before = old or previous(root, new)
    if before == new:
        raise UsageError(f"{new} cannot be ported to itself", fix="name another tag with --from")
    patch_set = load(root, before)
    first, second = both_sources(patch_set.pin, _pin(root, new, patch_set.pin, doors), doors)
    return Job(root=root, old=patch_set, new=new, old_source=first, new_source=second, doors=doors)


def add_manifest(root: Path, new: str, doors: Doors, *, old: str) -> None:
    """Pin the new tag, with the old manifest as the model.

    Raises:
        SourceError: the tag's source cannot be had.
        StorageError: the manifest cannot be written.
    """
    from winvllm_build.intake.add import add_tag  # noqa: PLC0415 - the CMake reader costs 50 ms

    doors.tell(f"{new} is not pinned yet: tags add {new}")
    made = add_tag(
        root, new, previous=old, workspace=doors.workspace, index=doors.index, offline=doors.offline,
        on_event=doors.tell, remotes=doors.remotes,
    )  # fmt: skip
    doors.tell(f"pinned in {made.manifest}")
    for words in made.todos:
        doors.tell(f"  left to write: {words}")


def _pin(root: Path, new: str, old: SourcePin, doors: Doors) -> SourcePin:
    file = root / new / manifest.FILE
    if file.is_file():
        return read_pins(file).upstream
    pin, _ = released_source(
        new, workspace=doors.workspace, index=doors.index, offline=doors.offline, on_event=doors.tell,
        url=old.url,
    )  # fmt: skip
    return pin
