"""A build with every outcome, on four slots; the same a day earlier; names that try to become markup."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.report_replay import BEGUN, GB, edge_of, recorded_entries
from winvllm_build.build.engine.cost import Basis, Cost
from winvllm_build.build.engine.record import EdgeRecord, Outcome
from winvllm_build.build.report import runs
from winvllm_build.build.report.ninjalog import Entry
from winvllm_build.build.report.run import Ending, Moment, Origin, Run

SLOTS: Final = 4
BUDGET: Final = 14 * GB
HOSTILE: Final = (
    '</script><script>document.title="owned"</script>',
    "<img src=x onerror=alert(1)>",
    "{{ 7 * 7 }}{% raw %}",
    "\"'`&amp;&lt;!--]]>",
    "right\u202eto left\u2028next\x1b[31m",
)
RETRIED: Final = "csrc/quantization/w8a8/cutlass/scaled_mm_c2x.cu"
FAILED: Final = "csrc/sampler.cu"


def entries() -> Iterator[Entry]:
    yield from recorded_entries()
    for number, name in enumerate(HOSTILE):
        output = f"CMakeFiles/_C.dir/csrc/{name}.cu.o"
        yield Entry(start=0, end=4000 + 900 * number, stamp=0, output=output, command=str(number))


def sample(seed: int = 1, *, begun: float = BEGUN, faster: float = 1.0) -> Run:
    """A build whose times and memory are made of the recorded ones."""
    source = random.Random(seed)  # noqa: S311 - a test's numbers
    free = [(begun, slot) for slot in range(SLOTS)]
    records: list[EdgeRecord] = []
    planned: dict[str, Cost] = {}
    for number, entry in enumerate(sorted(entries(), key=lambda entry: entry.start - entry.end)):
        at, slot = heapq.heappop(free)
        seconds = entry.seconds * faster * source.lognormvariate(0, 0.25)
        memory = int(min(0.2 + seconds / 40, 5.4) * GB * source.uniform(0.8, 1.2))
        cost = Cost(seconds=entry.seconds, memory=memory * 10 // 9, size=2_000_000, basis=Basis.MEASURED)
        planned[entry.output] = cost
        made = EdgeRecord(
            edge=edge_of(entry.output), outcome=outcome_of(number), attempt=1, asked=at - source.random(),
            started=at, ended=at + seconds, cpu=seconds * 0.93, memory=memory, size=2_000_000, code=0,
            predicted_memory=cost.memory, predicted_seconds=cost.seconds,
        )  # fmt: skip
        for record in attempts(made):
            records.append(replace(record, started=at, ended=at + record.seconds))
            at += record.seconds
        heapq.heappush(free, (at, slot))
    records.sort(key=lambda record: record.ended)
    ended = max(record.ended for record in records)
    return Run(
        name=runs.name_of(begun), origin=Origin.RECORD,
        ending=Ending.FINISHED, tag="v0.33.0", archs=("8.6", "12.0"), build="/b/v0.33.0-sm86", begun=begun,
        ended=ended, slots=SLOTS, budget=BUDGET, records=tuple(records), unended={},
        samples=tuple(moments(records, begun, ended)), planned=planned, steps={"compile": ended - begun},
    )  # fmt: skip


def outcome_of(number: int) -> Outcome:
    if number % 9 == 5:
        return Outcome.REUSED
    return Outcome.CACHED if number % 13 == 7 else Outcome.COMPILED


def attempts(record: EdgeRecord) -> Iterator[EdgeRecord]:
    """What becomes of an edge: most end at once."""
    if record.outcome is not Outcome.COMPILED:
        yield replace(record, ended=record.started + 0.3, cpu=0.1, memory=30_000_000)
    elif record.edge.source.endswith(RETRIED):
        yield replace(record, outcome=Outcome.RETRIED, ended=record.started + 40, code=137)
        yield replace(record, attempt=2, predicted_memory=record.predicted_memory * 2)
    elif record.edge.source.endswith(FAILED):
        yield replace(record, outcome=Outcome.FAILED, code=1, size=0)
    else:
        yield record


def moments(records: list[EdgeRecord], begun: float, ended: float) -> Iterator[Moment]:
    count = 240
    for number in range(count):
        at = begun + (ended - begun) * number / count
        used = sum(record.memory for record in records if record.started <= at < record.ended)
        waiting = int(number % 40 < 12)
        yield Moment(at=at, used=int(used * 0.9), budget=BUDGET - (number // 60) * GB // 2, waiting=waiting)


def sample_pair() -> tuple[Run, Run]:
    """A run, and the one of the day before, without two of its files and slower as a whole."""
    earlier = sample(2, begun=BEGUN - 86_400, faster=1.2)
    gone = replace(
        earlier.records[-1], outcome=Outcome.COMPILED, edge=edge_of("CMakeFiles/_C.dir/csrc/gone.cu.o")
    )
    return sample(), replace(earlier, records=(*earlier.records[2:], gone))


def unwatched(tmp_path: Path) -> Path:
    """A build folder in which ninja ran by itself."""
    from tests.report_replay import RECORDED_LOG  # noqa: PLC0415 - only here

    (tmp_path / ".ninja_log").write_bytes(RECORDED_LOG.read_bytes())
    return tmp_path
