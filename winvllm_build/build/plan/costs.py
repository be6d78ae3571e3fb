"""What an edge will cost: as measured here, else as measured elsewhere, else as its class costs."""

from __future__ import annotations

import json
import statistics
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

from winvllm_build.build.engine.cost import Basis, Cost
from winvllm_build.build.engine.edge import Edge, Language
from winvllm_build.build.engine.record import EdgeRecord, Outcome
from winvllm_build.build.plan import kinds
from winvllm_build.build.plan.history import History, Sample, parse
from winvllm_build.build.plan.setting import Setting
from winvllm_build.workspace import Workspace

RECORDED: Final = Path(__file__).parent / "data"
"""Files that `scripts/recorded_costs.py` writes."""
LATEST: Final = 5
"""Figures of one edge that a prediction is made of."""
BUSY: Final = 0.03
"""A run whose CPU seconds are less than this share of what its file is known to take did something else than
compile, such as sleep; its wall time counts."""
PRIOR_SECONDS: Final = 60.0
"""Seconds of work that count as measured at the speed of the machine of reference."""
FASTEST: Final = 0.1
SLOWEST: Final = 10.0


def subject_of(edge: Edge) -> str:
    return edge.source or f"link {edge.output}"


@lru_cache(maxsize=1)
def recorded() -> tuple[Sample, ...]:
    """The figures that come with the tool."""
    found: list[Sample] = []
    for file in sorted(RECORDED.glob("*.json")):
        whole = json.loads(file.read_bytes())
        shared = {"compiler": whole["compiler"], "build_type": whole["build_type"]}
        samples = (parse(json.dumps({**shared, **raw})) for raw in whole["samples"])
        found += [sample for sample in samples if sample is not None]
    return tuple(found)


@dataclass(slots=True, kw_only=True)
class _Figures:
    """Samples, found by what they are of."""

    alike: dict[tuple[str, ...], list[Sample]] = field(default_factory=dict)
    of_subject: dict[tuple[str, str], list[Sample]] = field(default_factory=dict)

    def add(self, sample: Sample) -> None:
        self.alike.setdefault(sample.alike, []).append(sample)
        self.of_subject.setdefault((sample.subject, sample.headers), []).append(sample)

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> _Figures:
        made = cls()
        for sample in samples:
            made.add(sample)
        return made


class CostModel:
    """Predicts what edges cost on this machine, and learns from what they cost; threads may share it."""

    def __init__(
        self,
        *,
        history: History | None,
        compiler: str,
        build_type: str,
        seeds: Sequence[Sample] | None = None,
    ) -> None:
        """A model for one configured build.

        Args:
            history: where figures are kept; None keeps them only in memory.
            compiler: compilers and versions, as `setting.read` names them.
            build_type: CMake's word.
            seeds: figures measured elsewhere; None for those that come with the tool.
        """
        self._history, self._compiler, self._build_type = history, compiler, build_type
        self._lock = threading.Lock()
        self._here = _Figures.of(history.read() if history is not None else ())
        self._elsewhere = _Figures.of(recorded() if seeds is None else seeds)
        self._measured_seconds, self._reference_seconds = 0.0, 0.0
        for samples in self._here.alike.values():
            self._weigh(samples[-1])

    @classmethod
    def open(cls, workspace: Workspace, setting: Setting) -> CostModel:
        """The model of a configured build, with the workspace's history.

        Raises:
            StorageError: a history that has grown large cannot be written anew.
        """
        history = History(file=workspace.root / "costs" / "history.jsonl")
        history.tidy()
        return cls(history=history, compiler=setting.compiler, build_type=setting.build_type)

    @property
    def speed(self) -> float:
        """Seconds here for one second of the machine of reference."""
        ratio = (self._measured_seconds + PRIOR_SECONDS) / (self._reference_seconds + PRIOR_SECONDS)
        return min(max(ratio, FASTEST), SLOWEST)

    def predict(self, edge: Edge) -> Cost:
        """The cost of an edge here, by the best figures there are."""
        with self._lock:
            wanted = self._sample(edge)
            same = self._here.alike.get(wanted.alike)
            if same:
                exact = [sample for sample in same if sample.key == edge.key] or same
                return self._measured(edge, exact[-LATEST:])
            near = self._nearest(wanted, self._here)
            if near:
                return self._scaled(edge, near, Basis.SIMILAR, factor=1.0)
            near = self._nearest(wanted, self._elsewhere)
            if near:
                return self._scaled(edge, near, Basis.RECORDED, factor=self.speed)
            return self._by_class(edge)

    def learn(self, record: EdgeRecord) -> None:
        """Keep what an edge took; only what the compiler itself did counts.

        Raises:
            StorageError: the history cannot be written.
        """
        if record.outcome is not Outcome.COMPILED or record.code != 0:
            return
        sample = self._learnt(record)
        with self._lock:
            self._here.add(sample)
            self._weigh(sample)
        if self._history is not None:
            self._history.add(sample)

    def _sample(self, edge: Edge) -> Sample:
        """What figures of the edge would be filed under, without figures."""
        return Sample(
            subject=subject_of(edge), headers=kinds.headers_of(edge).value, codes=edge.gencodes,
            compiler=self._compiler, build_type=self._build_type, key=edge.key, seconds=0.0,
        )  # fmt: skip

    def _learnt(self, record: EdgeRecord) -> Sample:
        reference = self._reference(record.edge)
        link = record.edge.language is Language.LINK
        return replace(
            self._sample(record.edge),
            seconds=round(own_core(record, reference), 3),
            wall=round(record.seconds, 3),
            cpu=round(record.cpu, 3),
            reference=0.0 if link else round(reference, 3),
            memory=record.memory,
            size=record.size,
            at=round(record.ended, 3),
        )

    def _measured(self, edge: Edge, samples: Sequence[Sample]) -> Cost:
        return Cost(
            seconds=statistics.median(sample.seconds for sample in samples),
            memory=max(sample.memory for sample in samples) or kinds.figures_of(edge).memory,
            size=self._size(edge, samples, share=1.0),
            basis=Basis.MEASURED,
        )

    def _nearest(self, wanted: Sample, figures: _Figures) -> list[Sample]:
        """The latest samples of the same file that differ least."""
        found = figures.of_subject.get((wanted.subject, wanted.headers), [])
        if not found:
            return []

        def nearness(sample: Sample) -> tuple[bool, bool, bool]:
            return (
                sample.codes == wanted.codes,
                sample.build_type == wanted.build_type,
                sample.compiler == wanted.compiler,
            )

        best = max(nearness(sample) for sample in found)
        near = [sample for sample in found if nearness(sample) == best]
        return [sample for sample in near if sample.codes == near[-1].codes][-LATEST:]

    def _scaled(self, edge: Edge, samples: Sequence[Sample], basis: Basis, *, factor: float) -> Cost:
        """For another architecture as much more or less as the class says."""
        share = kinds.reckoned(edge) / max(kinds.reckoned(edge, samples[-1].codes), 0.1)
        seconds = statistics.median(sample.seconds for sample in samples)
        return Cost(
            seconds=seconds * share * factor,
            memory=max(sample.memory for sample in samples) or kinds.memory_for(edge, seconds),
            size=self._size(edge, samples, share=share),
            basis=basis,
        )

    def _by_class(self, edge: Edge) -> Cost:
        return Cost(
            seconds=kinds.reckoned(edge) * self.speed,
            memory=kinds.figures_of(edge).memory,
            size=self._size(edge, (), share=1.0),
            basis=Basis.CLASS,
        )

    def _size(self, edge: Edge, samples: Sequence[Sample], *, share: float) -> int:
        """The latest size of the same file, else that of its class, for this build type."""
        headers = kinds.headers_of(edge)
        known = [sample for sample in samples if sample.size]
        if not known:
            rough = kinds.figures_of(edge).size
            return kinds.size_for(rough, "RelWithDebInfo", self._build_type, headers)
        return kinds.size_for(int(known[-1].size * share), known[-1].build_type, self._build_type, headers)

    def _weigh(self, sample: Sample) -> None:
        """Take in how fast this machine was."""
        if sample.reference:
            self._measured_seconds += sample.seconds
            self._reference_seconds += sample.reference

    def _reference(self, edge: Edge) -> float:
        """Seconds on the machine of reference."""
        known = self._recorded_seconds(self._sample(edge))
        return kinds.reckoned(edge) if known is None else known

    def _recorded_seconds(self, wanted: Sample) -> float | None:
        """What was recorded elsewhere for the same file and device codes."""
        found = self._elsewhere.of_subject.get((wanted.subject, wanted.headers), [])
        same = [sample.seconds for sample in found if sample.codes == wanted.codes]
        return statistics.median(same) if same else None


def own_core(record: EdgeRecord, reference: float) -> float:
    """Seconds with a core of its own: not those it waited for one, as its CPU seconds tell.

    Args:
        record: what was measured.
        reference: what the file is known to take, seconds; see `BUSY`.
    """
    if record.cpu < BUSY * reference:
        return record.seconds
    return min(record.seconds, record.cpu)
