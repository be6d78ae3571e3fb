"""How far off the estimate of a build's end is: a recorded build replayed with histories that are off.

    python -m benchmarks.eta [SEEDS]

Nothing is compiled and no clock is read: the same seeds give the same figures everywhere.
"""

from __future__ import annotations

import argparse
import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from tests.report_replay import Errors, Recorded, errors_after, perturbed, recorded_entries
from winvllm_build.build.report.ninjalog import Entry

ENTRIES = recorded_entries()
PART = 0.1
LIMIT = 0.1


def longest_first(predicted: Callable[[Entry], float], slots: int) -> tuple[Entry, ...]:
    """The recorded edges as the gate lets them run; links, which wait for objects, at the end."""
    free = [0] * slots
    made = []
    for entry in sorted(ENTRIES, key=lambda entry: (not entry.output.endswith(".o"), -predicted(entry))):
        start = heapq.heappop(free)
        made.append(replace(entry, start=start, end=start + entry.end - entry.start))
        heapq.heappush(free, made[-1].end)
    return tuple(made)


def errors(seeds: int, *, spread: float, factor: float, slots: int) -> Errors:
    """From a tenth of the edges on; `slots` 0 for the order and the two slots of the record."""
    estimated: list[float] = []
    naive: list[float] = []
    for seed in range(seeds):
        predicted = perturbed(seed, spread=spread, factor=factor)
        entries = longest_first(predicted, slots) if slots else ENTRIES
        found = errors_after(Recorded(entries=entries, predicted=predicted, slots=slots or 2), PART)
        estimated += found.estimated
        naive += found.naive
    return Errors(estimated=estimated, naive=naive)


def row(values: Sequence[float]) -> Iterator[str]:
    ordered = sorted(map(abs, values))
    for share in (0.5, 0.9, 0.99):
        yield f"{100 * ordered[int(share * (len(ordered) - 1))]:.1f} %"
    yield f"{100 * sum(value <= LIMIT for value in ordered) / len(ordered):.0f} %"


HEAD = (
    "order",
    "slots",
    "edges off by",
    "machine",
    "median",
    "90th",
    "99th",
    "within 10 %",
    "elapsed/done: median",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", type=int, nargs="?", default=20, metavar="SEEDS", help="20 unless given")
    seeds: int = parser.parse_args().seeds
    print(f"| {' | '.join(HEAD)} |")
    print("|---|---|---|---|---|---|---|---|---|")
    for slots, order in ((0, "recorded"), (2, "longest first"), (8, "longest first")):
        for spread in (0.0, 0.1, 0.2, 0.3):
            for factor in (1.0, 2.0):
                found = errors(seeds, spread=spread, factor=factor, slots=slots)
                naive = next(row(found.naive))
                cells = (
                    order,
                    str(slots or 2),
                    f"{spread:.0%}",
                    "as before" if factor == 1 else "twice as fast",
                    *row(found.estimated),
                    naive,
                )
                print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
