"""The sources a report is made of: the published archive of each release, or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.choices import SourceKind
from winvllm_build.errors import UNOBTAINABLE, OfflineError
from winvllm_build.git import Git, Oid
from winvllm_build.intake.unpinned import ReleasedTag, cached_pin, released_source, released_tags
from winvllm_build.patchset import manifest, patchset
from winvllm_build.patchset.patchset import PatchSet
from winvllm_build.port.job import Doors
from winvllm_build.sources.pins import SourcePin, read_pins
from winvllm_build.sources.source import Source, target_name
from winvllm_build.workspace import Workspace

WHEELS_ONLY: Final = "only wheels were published, no source archive"
REF: Final = "refs/winvllm/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One release of a report.

    Attributes:
        tag: its name.
        source: its files; None where they cannot be had.
        sha256: of its published archive.
        missing: why there are no files.
    """

    tag: str
    source: Source | None
    sha256: str | None = None
    missing: str = ""


class Sources:
    """Where a report gets its trees from.

    Args:
        old: the set that is carried.
        root: the folder of patch sets; what it pins needs no archive.
        doors: the network and the tool's own repository.
    """

    def __init__(self, old: PatchSet, root: Path, doors: Doors) -> None:
        self.old = old
        self.root = root
        self.doors = doors
        self._old: dict[SourceKind, Source] = {}

    def known(self) -> tuple[ReleasedTag, ...]:
        """The releases of the index; offline those whose files are here.

        Raises:
            OfflineError: the index does not answer, or offline there are none.
        """
        if not self.doors.offline:
            return released_tags(self.doors.index)
        found = _cached(self.doors.workspace, self.old.pin)
        if not found:
            raise OfflineError("no release's files are cached", fix="run once without --offline")
        return found

    def first(self) -> Source:
        """The old tag's files: from its archive where one is pinned, as those of the other tags are.

        Raises:
            SourceError: they cannot be had.
        """
        kind = SourceKind.AUTO if self.old.pin.sdist is None else SourceKind.SDIST
        try:
            return self.doors.source(self.old.pin, kind)
        except UNOBTAINABLE:
            if kind is SourceKind.AUTO:
                raise
            return self.doors.source(self.old.pin)

    def columns(self, tags: Sequence[ReleasedTag], *, on_tag: Callable[[str], None]) -> Iterator[Column]:
        """One column for each release, in the given order; `on_tag` is told before each."""
        for released in tags:
            on_tag(released.tag)
            try:
                yield self._column(released)
            except UNOBTAINABLE as error:
                reason = error.message.splitlines()[0]
                yield Column(tag=released.tag, source=None, missing=reason)

    def base_for(self, source: Source) -> Oid:
        """The old tag's tree, of the same kind where that can be had: an archive lacks some files."""
        if source.kind not in self._old:
            self._old[source.kind] = self._old_of(source.kind)
        return self._old[source.kind].tree

    def _old_of(self, kind: SourceKind) -> Source:
        first = self.first()
        if first.kind is kind:
            return first
        try:
            return self.doors.source(self.old.pin, kind)
        except UNOBTAINABLE:
            return first

    def _column(self, released: ReleasedTag) -> Column:
        doors, tag = self.doors, released.tag
        pin = cached_pin(tag, workspace=doors.workspace, url=self.old.pin.url)
        if pin is not None:
            return _of(doors.source(pin, SourceKind.SDIST), pin)
        pinned = self.root / tag / manifest.FILE
        if released.has_sdist:
            try:
                pin, source = released_source(
                    tag, workspace=doors.workspace, index=doors.index, offline=doors.offline,
                    on_event=doors.tell, url=self.old.pin.url,
                )  # fmt: skip
            except UNOBTAINABLE:
                if not pinned.is_file():
                    raise
            else:
                return _of(source, pin)
        if pinned.is_file():
            pin = read_pins(pinned).upstream
            return _of(doors.source(pin), pin)
        return Column(tag=tag, source=None, missing=WHEELS_ONLY)


def _of(source: Source, pin: SourcePin) -> Column:
    return Column(tag=source.tag, source=source, sha256=pin.sdist.sha256 if pin.sdist else None)


def _cached(workspace: Workspace, pin: SourcePin) -> tuple[ReleasedTag, ...]:
    """The tags whose files are in the tool's repository."""
    folder = workspace.sources / target_name(pin) / "repo.git"
    if not folder.is_dir():
        return ()
    names = Git(folder).line("for-each-ref", "--format=%(refname)", REF).splitlines()
    tags = {name.removeprefix(REF).split("/")[0] for name in names if "/base-" in name}
    return tuple(
        ReleasedTag(tag=tag, version=tag.removeprefix("v"), has_sdist=True)
        for tag in patchset.in_order([*tags])
        if tag.startswith("v")
    )
