"""A recorded build as the events that a watcher would have seen, in order, without a clock."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.build.engine.cost import Basis, Cost
from winvllm_build.build.engine.edge import Edge, Language
from winvllm_build.build.engine.record import EdgeRecord, Outcome
from winvllm_build.build.events import (
    CompileBegun,
    EdgeDone,
    EdgeEnded,
    EdgeStarted,
    Event,
    PlannedEdge,
    Sample,
)
from winvllm_build.build.report import ninjalog
from winvllm_build.build.report.eta import Estimator
from winvllm_build.build.report.ninjalog import Entry

RECORDED_LOG: Final = Path(__file__).parent / "recorded" / "v0.33.0-sm86-2cores.ninja_log"
"""A whole build of v0.33.0 for 8.6, two edges at a time."""
BEGUN: Final = 1_795_195_217.0
GB: Final = 1_000_000_000


def recorded_entries() -> tuple[Entry, ...]:
    (go,) = ninjalog.goes(ninjalog.parse(RECORDED_LOG.read_bytes()))
    return go.entries


def edge_of(output: str) -> Edge:
    linked = not output.endswith(".o")
    source = "" if linked else "<tree>/" + output.partition(".dir/")[2].removesuffix(".o")
    target = output.partition(".")[0] if linked else output.removeprefix("CMakeFiles/").partition(".dir/")[0]
    language = Language.LINK if linked else Language.CUDA if output.endswith(".cu.o") else Language.CXX
    gencodes = ("sm_86",) if language is Language.CUDA else ()
    return Edge(
        output=output, target=target, language=language, source=source, gencodes=gencodes, arguments=(),
        key=output,
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A build to be told again.

    Attributes:
        entries: what ran when.
        predicted: seconds that an edge was reckoned to take.
        memory: bytes that it was reckoned to take.
        slots: edges at a time.
        budget: bytes for all of them.
    """

    entries: Sequence[Entry]
    predicted: Callable[[Entry], float]
    memory: Callable[[Entry], int] = lambda _: GB
    slots: int = 2
    budget: int = 20 * GB

    def begun(self) -> CompileBegun:
        order = sorted(self.entries, key=lambda entry: (entry.start, entry.end))
        edges = tuple(
            PlannedEdge(
                edge=edge_of(entry.output),
                cost=Cost(
                    seconds=self.predicted(entry),
                    memory=self.memory(entry),
                    size=1_000_000,
                    basis=Basis.MEASURED,
                ),
            )
            for entry in order
        )
        return CompileBegun(
            at=BEGUN, build=Path("/b/v0.33.0-sm86"), tag="v0.33.0", archs=("8.6",), edges=edges,
            slots=self.slots, budget=self.budget,
        )  # fmt: skip

    def events(self) -> Iterator[Event]:
        """Everything after the beginning, in order of time."""
        moments = [(entry.start, 1, entry) for entry in self.entries]
        moments += [(entry.end, 0, entry) for entry in self.entries]
        finished = 0
        running: dict[str, int] = {}
        for _, begins, entry in sorted(moments, key=lambda moment: moment[:2]):
            if begins:
                running[entry.output] = self.memory(entry)
                yield EdgeStarted(
                    edge=edge_of(entry.output), attempt=1, at=BEGUN + entry.start / 1000,
                    memory=self.memory(entry), seconds=self.predicted(entry),
                )  # fmt: skip
            else:
                finished += 1
                running.pop(entry.output, None)
                yield EdgeEnded(record=self.record(entry))
                yield EdgeDone(
                    finished=finished, total=len(self.entries), title=f"Building {entry.output}",
                    failed=False, elapsed=entry.end / 1000, remaining=None,
                )  # fmt: skip
            at = BEGUN + (entry.start if begins else entry.end) / 1000
            yield Sample(at=at, used=dict(running), budget=self.budget, waiting=0)

    def record(self, entry: Entry) -> EdgeRecord:
        started = BEGUN + entry.start / 1000
        return EdgeRecord(
            edge=edge_of(entry.output), outcome=Outcome.COMPILED, attempt=1, asked=started - 0.5,
            started=started, ended=BEGUN + entry.end / 1000, cpu=entry.seconds * 0.95,
            memory=self.memory(entry) * 9 // 10,
            size=1_000_000, code=0, predicted_memory=self.memory(entry),
            predicted_seconds=self.predicted(entry),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """How far off an estimate was at each finished edge, as a part of the whole time; later is positive."""

    estimated: Sequence[float]
    naive: Sequence[float]


def errors_after(recorded: Recorded, part: float) -> Errors:
    """The errors from the moment that `part` of the edges were finished, up to the end."""
    estimator = Estimator(recorded.begun())
    whole = max(entry.end for entry in recorded.entries) / 1000
    estimated, naive = [], []
    for event in recorded.events():
        estimator.see(event)
        if not isinstance(event, EdgeDone) or event.finished < part * event.total:
            continue
        remaining = estimator.remaining(BEGUN + event.elapsed)
        if remaining is None:
            raise AssertionError("no estimate")
        estimated.append((event.elapsed + remaining - whole) / whole)
        left = event.elapsed * (event.total - event.finished) / event.finished
        naive.append((event.elapsed + left - whole) / whole)
    return Errors(estimated=estimated, naive=naive)


def perturbed(seed: int, *, spread: float, factor: float) -> Callable[[Entry], float]:
    """A history that is off by `factor` as a whole and by `spread` (log-normal) for each edge."""
    source = random.Random(seed)  # noqa: S311 - a test's numbers
    noise: dict[str, float] = {}

    def predicted(entry: Entry) -> float:
        off = noise.setdefault(entry.output, factor * source.lognormvariate(0.0, spread))
        return max(entry.seconds * off, 0.01)

    return predicted
