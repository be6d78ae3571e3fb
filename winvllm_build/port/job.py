"""What is ported where: both tags, their sources in one repository, and the folder of patch sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from winvllm_build import data
from winvllm_build.choices import SourceKind
from winvllm_build.errors import UNOBTAINABLE, UsageError
from winvllm_build.git import Git
from winvllm_build.index import Index
from winvllm_build.patchset import advice, lock, patchset
from winvllm_build.patchset.patchset import PatchSet
from winvllm_build.sources.pins import SourcePin
from winvllm_build.sources.remote import Remotes
from winvllm_build.sources.source import Source, acquire
from winvllm_build.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """Where sources come from."""

    workspace: Workspace
    index: Index
    remotes: Remotes
    offline: bool
    tell: Callable[[str], None]

    def source(self, pin: SourcePin, kind: SourceKind = SourceKind.AUTO) -> Source:
        return acquire(
            pin, kind=kind, location=None, workspace=self.workspace, offline=self.offline, on_event=self.tell,
            index=self.index, remotes=self.remotes,
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One port."""

    root: Path
    old: PatchSet
    new: str
    old_source: Source
    new_source: Source
    doors: Doors

    @property
    def folder(self) -> Path:
        """Where the new set lies."""
        return self.root / self.new

    @property
    def repository(self) -> Git:
        return Git(self.new_source.repository)

    @property
    def objects(self) -> Path:
        return self.new_source.repository / "objects"

    def command(self, *options: str) -> str:
        """A command line about this port."""
        return advice.command("port", self.new, *options, root=self.root)


def previous(root: Path, new: str) -> str:
    """The newest set older than `new`, else the newest of all; a tag that is only pinned is none.

    Raises:
        UsageError: there is no other set.
    """
    known = [tag for tag in patchset.tags(root) if tag != new and (root / tag / lock.FILE).is_file()]
    if not known:
        raise UsageError(f"there is no patch set in {root} to port from", fix="name another with --patches")
    ordered = patchset.in_order([*known, new])
    older = ordered[: ordered.index(new)]
    return older[-1] if older else known[-1]


def both_sources(old: SourcePin, new: SourcePin, doors: Doors) -> tuple[Source, Source]:
    """Both tags' sources, of the same kind where that can be had: an archive lacks some of the tag's files.

    Raises:
        SourceError: a source is not what its pin says, or cannot be had.
    """
    first, second = doors.source(old), doors.source(new)
    if first.kind is second.kind:
        return first, second
    for kind in (SourceKind.GIT, SourceKind.SDIST):
        try:
            return doors.source(old, kind), doors.source(new, kind)
        except UNOBTAINABLE:
            continue
    doors.tell(f"{first.description} is compared with {second.description}: files that only one has count")
    return first, second


def refuse_installed(root: Path, command: str) -> None:
    """Patch sets of the installed package are not written to.

    Raises:
        UsageError: `root` is such a folder.
    """
    if data.is_installed(root):
        raise UsageError(
            f"{root} belongs to the installed package; patches are not written there",
            fix=f"copy that folder, then: {command} --patches FOLDER",
        )
