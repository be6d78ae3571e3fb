"""Two runs beside each other: which files became slower, faster, larger, new, or are gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from winvllm_build.build.engine.record import EdgeRecord, Outcome
from winvllm_build.build.report.board import label_of
from winvllm_build.build.report.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """An edge that ran in both runs."""

    before: EdgeRecord
    now: EdgeRecord

    @property
    def difference(self) -> float:
        """Seconds that it takes more."""
        return self.now.seconds - self.before.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The difference.

    Attributes:
        earlier: the run compared with.
        pairs: edges that were compiled in both, what slowed down most first.
        only_now: edges that were compiled only now; the earlier run had them made, cached, or not at all.
        only_before: edges that were compiled only then.
    """

    earlier: Run
    pairs: tuple[Pair, ...]
    only_now: tuple[EdgeRecord, ...]
    only_before: tuple[EdgeRecord, ...]

    @property
    def ratio(self) -> float:
        """Seconds now over seconds then, of what ran in both."""
        before = sum(pair.before.seconds for pair in self.pairs)
        return sum(pair.now.seconds for pair in self.pairs) / before if before else 1.0


def compare(run: Run, earlier: Run) -> Comparison:
    """Compare what was compiled; edges are the same by their output's name."""
    now, before = _compiled(run), _compiled(earlier)
    pairs = [Pair(before=before[name], now=record) for name, record in now.items() if name in before]
    return Comparison(
        earlier=earlier, pairs=tuple(sorted(pairs, key=lambda pair: -pair.difference)),
        only_now=tuple(record for name, record in now.items() if name not in before),
        only_before=tuple(record for name, record in before.items() if name not in now),
    )  # fmt: skip


def _compiled(run: Run) -> dict[str, EdgeRecord]:
    return {name: record for name, record in run.final.items() if record.outcome is Outcome.COMPILED}


def as_data(found: Comparison) -> dict[str, Any]:
    """Plain values for `--json` and the page."""
    return {
        "with": {"name": found.earlier.name, "build": found.earlier.build, "tag": found.earlier.tag,
                 "seconds": round(found.earlier.seconds, 3)},
        "ratio": round(found.ratio, 4),
        "edges": [
            {"output": pair.now.edge.output, "label": label_of(pair.now.edge),
             "before": round(pair.before.seconds, 3), "now": round(pair.now.seconds, 3),
             "memory_before": pair.before.memory, "memory_now": pair.now.memory}
            for pair in found.pairs
        ],
        "only_now": [label_of(record.edge) for record in found.only_now],
        "only_before": [label_of(record.edge) for record in found.only_before],
    }  # fmt: skip
