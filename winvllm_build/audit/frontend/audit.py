"""The front ends over all units of one tree or of both."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from threading import Event
from typing import Final, Protocol

from typing_extensions import assert_never

from winvllm_build.audit.frontend import crt, parts, sides, wine
from winvllm_build.audit.frontend.outcome import Outcome, Pass, Side, Verdict
from winvllm_build.audit.frontend.passes import Bench
from winvllm_build.audit.frontend.sides import Configured, Linux, Room
from winvllm_build.audit.frontend.store import Store
from winvllm_build.audit.frontend.units import Unit, representatives
from winvllm_build.audit.frontend.windows import WindowsBench, msvc_of
from winvllm_build.errors import UsageError
from winvllm_build.index import PlatformTag
from winvllm_build.suggest import did_you_mean
from winvllm_build.toolchain.environment import allowed
from winvllm_build.toolchain.system import this_system

LEFT_SECONDS: Final = 24 * 3600.0
"""No unit takes that long: its texts are of a run that was killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be looked at.

    Attributes:
        room: the tag and where things lie.
        sides: which trees.
        files: shell patterns of source files; none for all.
        stl: Microsoft's STL.
        device: run the device compiler as well, without patterns only on what the patches change.
        everything: every generated kernel, and not the first of each folder.
        jobs: units at a time; one takes up to 1.5 GB.
        fresh: forget what earlier runs found.
    """

    room: Room
    sides: tuple[Side, ...]
    files: tuple[str, ...] = ()
    stl: Path | None
    device: bool = False
    everything: bool = False
    jobs: int = 1
    fresh: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One unit of one tree, through every pass that it takes."""

    side: Side
    unit: Unit
    outcomes: tuple[Outcome, ...]
    kept: bool = False
    """Whether an earlier run found all of it."""

    @property
    def verdict(self) -> Verdict:
        """The worst of its passes."""
        found = {outcome.verdict for outcome in self.outcomes}
        return next(one for one in (Verdict.FAIL, Verdict.UNJUDGED, Verdict.PASS) if one in found)

    @property
    def cpu(self) -> float:
        return sum(outcome.cpu for outcome in self.outcomes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Everything that was judged, in the order of the compilation database; `tools` by what they are."""

    tag: str
    layers: tuple[str, ...] = ()
    archs: tuple[str, ...]
    tools: Mapping[str, str]
    judged: tuple[Judged, ...]
    left_out: int
    seconds: float

    def having(self, verdict: Verdict, side: Side) -> tuple[Judged, ...]:
        return tuple(one for one in self.judged if one.verdict is verdict and one.side is side)


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far a run is; the remaining time is guessed from what units took that were judged now."""

    total: int
    done: int = 0
    fresh: int = 0
    begun: float = field(default_factory=time.monotonic)

    def step(self, *, kept: bool) -> float:
        """Count one; the seconds that are left, 0 while nothing tells."""
        self.done += 1
        self.fresh += not kept
        spent = time.monotonic() - self.begun
        return spent / self.fresh * (self.total - self.done) if self.fresh else 0.0


class Judge(Protocol):
    """What judges the units of one tree."""

    @property
    def stop(self) -> Event: ...

    def passes_of(self, unit: Unit, *, device: bool) -> tuple[Pass, ...]: ...

    def changes(self, unit: Unit) -> bool: ...

    def known(self, unit: Unit, kind: Pass) -> Outcome | None: ...

    def judge(self, unit: Unit, kind: Pass, *, fresh: bool = False) -> Outcome: ...


Watcher = Callable[[Judged, Progress, float], None]


def run(request: Request, on_judged: Watcher) -> Result:
    """Judge every unit that was asked for; what an earlier run found is taken from the workspace.

    Args:
        request: what to look at.
        on_judged: told each unit as it is done, how far the run is and the seconds that are left.

    Raises:
        ToolchainError: Wine, clang or the STL lack; all that lacks is told at once.
        UsageError: a pattern fits no unit.
        WinvllmError: a subclass for each room that can fail.
    """
    begun = time.monotonic()
    match this_system():
        case PlatformTag.LINUX_X86_64:
            trees, benches, tools = _on_linux(request)
        case PlatformTag.WINDOWS_AMD64:
            trees, benches, tools = _on_windows(request)
        case other:
            assert_never(other)
    chosen = [(tree.side, unit) for tree in trees for unit in _chosen(tree, request)]
    judged = _judge_all(chosen, benches, request, on_judged)
    return Result(
        tag=request.room.tag,
        layers=request.room.resolved.profile.source.layers,
        archs=request.room.archs,
        tools={**tools, "configured with": trees[-1].toolchain.summary()},
        judged=judged,
        left_out=0 if request.files else sum(len(tree.units) for tree in trees) - len(chosen),
        seconds=time.monotonic() - begun,
    )


def _tidied(scratch: Path) -> Path:
    """The folder for texts, without what runs that were killed left there."""
    for left in scratch.glob("unit-*"):
        with contextlib.suppress(OSError):  # another run may be removing its own
            if time.time() - left.stat().st_mtime > LEFT_SECONDS:
                shutil.rmtree(left)
    return scratch


def _on_linux(request: Request) -> tuple[list[Configured], Mapping[Side, Judge], dict[str, str]]:
    room, environment = request.room, allowed(os.environ)
    found = parts.find(request.stl, room.workspace, environment)
    windows = sides.windows_parts(room)
    runtime = crt.lay_down(found.headers, room.workspace)
    headers = sides.headers_of(windows, runtime, found)
    loader = wine.prepare(found.wine, windows.cuda / "bin" / "cudafe++.exe", room.workspace, environment)
    trees = [sides.prepare(side, room, Linux(windows=windows, headers=headers)) for side in request.sides]
    names = f"{found.clang_version} {windows.cuda_version} {runtime.digest} {found.stl_update}"
    scratch = _tidied(room.workspace.root / "front-end" / "scratch")
    benches = {
        tree.side: Bench(
            tree=tree.tree, names=tree.names, headers=headers, clang=found.clang, wine=loader,
            store=Store(folder=room.workspace.root / "front-end", tools=names),
            scratch=scratch, environment=environment,
            patched=tree.patched,
        )
        for tree in trees
    }  # fmt: skip
    tools = {
        "clang": str(found.clang_version),
        "C runtime": runtime.digest,
        "CUDA for Windows": str(windows.cuda_version),
        "STL": f"{parts.STL_TAG}, update {found.stl_update}",
        "torch for Windows": windows.torch_version,
        "wine": found.wine_version,
    }
    return trees, benches, tools


def _on_windows(request: Request) -> tuple[list[Configured], Mapping[Side, Judge], dict[str, str]]:
    """Never run: see `windows.py`."""
    trees = [sides.prepare(side, request.room, None) for side in request.sides]
    scratch = request.room.workspace.root / "front-end" / "scratch"
    benches = {
        tree.side: WindowsBench(
            tree=tree.tree, names=tree.names, msvc=msvc_of(tree.toolchain), scratch=scratch
        )
        for tree in trees
    }
    return trees, benches, {}


def _chosen(tree: Configured, request: Request) -> tuple[Unit, ...]:
    """The units that the patterns mean; without patterns all but repetitions, and none of a dependency."""
    if not request.files:
        own = [unit for unit in tree.units if not unit.dependency]
        return tuple(own) if request.everything else representatives(own)
    known = [unit.path for unit in tree.units]
    for pattern in request.files:
        if not any(fnmatchcase(path, pattern) for path in known):
            raise UsageError(
                f"{pattern} is compiled by no target for {', '.join(request.room.archs)}"
                f"{did_you_mean(pattern, known)}",
                fix="name files as the tree does, such as 'csrc/attention/*.cu'",
            )
    return tuple(unit for unit in tree.units if any(fnmatchcase(unit.path, one) for one in request.files))


def _judge_all(
    chosen: Sequence[tuple[Side, Unit]],
    benches: Mapping[Side, Judge],
    request: Request,
    on_judged: Watcher,
) -> tuple[Judged, ...]:
    progress = Progress(total=len(chosen))
    found: dict[tuple[Side, str], Judged] = {}
    with ThreadPoolExecutor(max_workers=request.jobs) as pool:
        waiting = [pool.submit(_judge, benches[side], side, unit, request) for side, unit in chosen]
        try:
            for future in as_completed(waiting):
                one = future.result()
                found[one.side, one.unit.name] = one
                on_judged(one, progress, progress.step(kept=one.kept))
        except BaseException:
            for future in waiting:
                future.cancel()
            for bench in benches.values():
                bench.stop.set()
            raise
    return tuple(found[side, unit.name] for side, unit in chosen)


def _judge(bench: Judge, side: Side, unit: Unit, request: Request) -> Judged:
    outcomes, kept = [], True
    for kind in bench.passes_of(unit, device=request.device):
        if kind is Pass.DEVICE and not request.files and not bench.changes(unit):
            continue
        known = None if request.fresh else bench.known(unit, kind)
        kept = kept and known is not None
        outcomes.append(known or bench.judge(unit, kind, fresh=request.fresh))
    return Judged(side=side, unit=unit, outcomes=tuple(outcomes), kept=kept)
