"""`audit device`: every patched source compiled before and after, and compared."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from winvllm_build.audit.device import elsewhere, generators, record
from winvllm_build.audit.device.choice import Chosen
from winvllm_build.audit.device.record import Difference, Records, Unit, Unproven
from winvllm_build.audit.device.rounds import Result, Round
from winvllm_build.audit.device.setting import Wanted, acquired, configured, require_linux
from winvllm_build.audit.device.subject import Subject
from winvllm_build.audit.device.where import archs_for
from winvllm_build.errors import CompileError, ConfigureError, PatchError
from winvllm_build.git import RepoPath
from winvllm_build.sources.pins import Pins
from winvllm_build.sources.source import Source

DEFAULT_ARCHS: Final = ("8.6",)
NOWHERE: Final = "no unit that upstream's CMake compiles on Linux has it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked for.

    Attributes:
        wanted: the patch set and where everything is.
        archs: architectures to configure for, one list each; none means 8.6, and for files that such a build
            leaves out the first architecture that has them.
        jobs: units at a time.
        units: sources to compile besides those chosen.
        every: compile every unit that has a patched file in it.
        again: compile what is in the record, too.
        record: write the record.
    """

    wanted: Wanted
    archs: tuple[str, ...] = ()
    jobs: int = 2
    units: tuple[str, ...] = ()
    every: bool = False
    again: bool = False
    record: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """One unit of `total` for this list of architectures is finished."""

    number: int
    total: int
    name: str
    unit: Unit | None
    why: str
    seconds: float
    reused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found; `record` is the file that was written."""

    tag: str
    done: tuple[Done, ...]
    unproven: tuple[Unproven, ...]
    seconds: float
    record: Path | None

    @property
    def units(self) -> tuple[Unit, ...]:
        return tuple(one.unit for one in self.done if one.unit is not None)

    @property
    def unexplained(self) -> tuple[tuple[Unit, Difference], ...]:
        """What differs, and no header says why."""
        return tuple((unit, found) for unit in self.units for found in unit.differences if not found.reason)


def run(request: Request, on_done: Callable[[Done], None]) -> Report:
    """Compare the patched files of a set.

    What does not compile here is no error: it is unproven.

    Raises:
        WinvllmError: a subclass for each thing that is missing.
    """
    require_linux()
    begun = time.monotonic()
    source, pins = acquired(request.wanted)
    audit = _Audit(request=request, source=source, pins=pins, on_done=on_done)
    audit.run()
    return Report(
        tag=request.wanted.patches.tag, done=tuple(audit.done), unproven=audit.records.unproven,
        seconds=time.monotonic() - begun, record=audit.written(),
    )  # fmt: skip


@dataclass(slots=True, kw_only=True)
class _Audit:
    """One run; `records` is what it found, `known` what was found before, `others` for other tags."""

    request: Request
    source: Source
    pins: Pins
    on_done: Callable[[Done], None]
    done: list[Done] = field(default_factory=list)
    records: Records = field(default_factory=Records)
    known: Records = field(init=False)
    others: tuple[Unit, ...] = ()
    subject: Subject = field(init=False)

    def __post_init__(self) -> None:
        patches = self.request.wanted.patches
        self.subject = Subject.of(patches, self.source)
        self.known = Records()
        if not self.request.again:
            self.others = elsewhere.units(patches.folder, self.subject.pairs)
            held = record.read(patches.folder).current(self.subject.pairs)
            with contextlib.suppress(PatchError):  # what an earlier run left is a help, not a duty
                held = held.with_units(record.read(self.progress).current(self.subject.pairs).units, ())
            self.known = held

    @property
    def progress(self) -> Path:
        """Where each unit is noted as soon as it is known, for the next run."""
        return self.request.wanted.workspace.root / "audit" / self.subject.patches.tag

    def run(self) -> None:
        first = self.request.archs or DEFAULT_ARCHS
        left: tuple[RepoPath, ...] = self.subject.compiled
        further: dict[str, tuple[RepoPath, ...]] = {}
        for number, arch in enumerate(first):
            with configured(self.request.wanted, self.source, self.pins, (arch,)) as setting:
                if number == 0:
                    self._take_generators(setting.tree)
                one = Round(setting, self.subject)
                self._take(one, one.chosen(every=self.request.every, named=self.request.units))
                left = tuple(path for path in left if path in one.uncovered())
                if number == len(first) - 1:
                    further = dict(archs_for(self.source, left, one.includes))
        if not self.request.archs:
            left = self._further(further, left)
        why = (
            f"no unit of a build for {', '.join(self.request.archs)} has it"
            if self.request.archs
            else NOWHERE
        )
        self._note((), [self._open(path, "", None, why) for path in left])

    def _further(
        self, wanted: dict[str, tuple[RepoPath, ...]], left: Iterable[RepoPath]
    ) -> tuple[RepoPath, ...]:
        """Configure for what the first architecture leaves out; what is left even then."""
        open_ = set(left)
        for arch, files in wanted.items():
            try:
                with configured(self.request.wanted, self.source, self.pins, (arch,)) as setting:
                    one = Round(setting, self.subject)
                    units = one.chosen(every=self.request.every, named=())
                    self._take(one, [unit for unit in units if unit.files & set(files)])
                    open_ -= set(files) - set(one.uncovered())
            except ConfigureError as error:
                self._note((), [self._open(path, arch, None, error.message) for path in files])
                open_ -= set(files)
        return tuple(sorted(open_))

    def _take(self, one: Round, chosen: Collection[Chosen]) -> None:
        told = {unit.key for unit in self.records.units}
        fresh = [c for c in chosen if c.recipe.key not in told]
        workspace = self.request.wanted.workspace
        known = Records(units=(*self.others, *self.known.units))
        results = one.run(fresh, known, workspace=workspace, jobs=self.request.jobs)
        for number, result in enumerate(results, 1):
            self._finish(number, len(fresh), result)

    def _finish(self, number: int, total: int, result: Result) -> None:
        recipe = result.chosen.recipe
        if result.unit is not None:
            self._note([result.unit], ())
        else:
            self._note(
                (), [self._open(path, recipe.arch, recipe.source, result.why) for path in result.chosen.files]
            )
        self._tell(
            Done(
                number=number, total=total, name=recipe.name, unit=result.unit, why=result.why,
                seconds=result.seconds, reused=result.reused,
            )
        )  # fmt: skip

    def _take_generators(self, tree: Path) -> None:
        paths = [path for path in sorted(self.subject.pairs) if generators.is_generator(path)]
        wanted = [(path, archs) for path in paths for archs in generators.ARCHS]
        for number, (path, archs) in enumerate(wanted, 1):
            begun, unit, why = time.monotonic(), None, ""
            try:
                unit = generators.compare(path, self.subject.content(path, tree), archs, self.subject)
                self._note([unit], ())
            except CompileError as error:
                why = error.message
                self._note((), [self._open(path, archs, path, why)])
            self._tell(
                Done(
                    number=number, total=len(wanted), name=f"{path} for {archs}", unit=unit, why=why,
                    seconds=time.monotonic() - begun, reused=False,
                )
            )  # fmt: skip

    def _tell(self, done: Done) -> None:
        self.done.append(done)
        self.on_done(done)

    def _note(self, units: Iterable[Unit], unproven: Iterable[Unproven]) -> None:
        units = tuple(units)
        self.records = self.records.with_units(units, unproven)
        if units:
            self.known = self.known.with_units(units, ())
            record.write(self.progress, self.known)

    def _open(self, path: RepoPath, arch: str, source: RepoPath | None, why: str) -> Unproven:
        return Unproven(path=path, pair=self.subject.pairs[path], source=source, arch=arch, why=why)

    def written(self) -> Path | None:
        """The record, where one was asked for and nothing speaks against it.

        A difference that no header explains proves nothing, and is not recorded.
        """
        if not self.request.record:
            return None
        folder = self.subject.patches.folder
        explained = [unit for unit in self.records.units if all(d.reason for d in unit.differences)]
        held = record.read(folder).current(self.subject.pairs)
        return record.write(folder, held.with_units(explained, self.records.unproven))
