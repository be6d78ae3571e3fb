"""The build engine on replayed builds: makespan and memory against fixed jobs, overhead, kills, resume.

    python -m benchmarks.engine contest [--build v0.14.1-sm86] [--cores 8] [--caps 1.2 2 4] [--json]

A replay compiler sleeps, allocates and writes as real compilers did, at a time scale: a build of hours
takes a minute. It counts the memory of all running edges against a cap and kills the largest where the cap is
passed, as the kernel does. Ratios are to a lower bound of the same edges on the same cores and memory.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.replay import contest, recorded
from benchmarks.replay.compiler import Scale
from benchmarks.replay.contest import Ring, Row
from benchmarks.replay.gated import Machine


def run_contest(options: argparse.Namespace, work: Path) -> Iterator[Row]:
    """Every way at every cap."""
    edges = recorded.load(options.build)
    if options.seed:
        edges = recorded.varied(edges, options.seed)
    if options.edges:
        edges = recorded.thinned(edges, options.edges)
    ring = Ring(root=work, edges=edges, scale=Scale(time=options.time))
    largest = max(edge.memory for edge in edges)
    for factor in options.caps:
        machine = Machine(cores=options.cores, cap=int(largest * factor))
        if not options.gate_only:
            yield from contest.fixed(ring, machine)
        yield from contest.gates(ring, machine)
        yield from contest.learnt(ring, machine)


def show(rows: Iterable[Row]) -> None:
    print("| cap | way | seconds | to the bound | kills | started |\n|---|---|---|---|---|---|", flush=True)
    for row in rows:
        cap = f"{row.cap / 1e9:.1f} GB"
        ratio = f"{row.ratio:.2f} ({row.bound})" if row.done else "never done"
        print(f"| {cap} | {row.way} | {row.seconds:.1f} | {ratio} | {row.kills} | {row.runs} |", flush=True)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = made.add_subparsers(dest="part", required=True)
    versus = parts.add_parser("contest", help="the gate against fixed numbers of jobs")
    versus.add_argument("--build", default=recorded.FULL, choices=(recorded.FULL, recorded.SMALL))
    versus.add_argument("--cores", type=int, default=8)
    versus.add_argument("--caps", type=float, nargs="+", default=[1.2, 2, 4], help="times the largest edge")
    versus.add_argument("--time", type=float, default=0.01, help="replayed seconds for each recorded one")
    versus.add_argument("--seed", type=int, default=0, help="another build of the same shape, by chance")
    versus.add_argument("--edges", type=int, default=0, help="only so many of its compiles")
    versus.add_argument("--gate-only", action="store_true")
    versus.add_argument("--json", action="store_true", help="print data")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="winvllm-benchmark-") as work:
        rows = run_contest(options, Path(work))
        if options.json:
            print(json.dumps([asdict(row) for row in rows], indent=1))
        else:
            show(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
