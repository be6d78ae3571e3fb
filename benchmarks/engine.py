"""The build engine on replayed builds: makespan and memory against fixed jobs, overhead, kills, idle runs.

    python -m benchmarks.engine contest [--build v0.14.1-sm86] [--cores 8] [--caps 1.2 2 4] [--json]
    python -m benchmarks.engine overhead [--edges 60] [--json]
    python -m benchmarks.engine kills [--number 1000] [--seed 1] [--kinds ALL POWER DRIVER] [--json]
    python -m benchmarks.engine idle [--build v0.14.1-sm86] [--json]

A replay compiler sleeps, allocates and writes as real compilers did, at a time scale: a build of hours
takes a minute. It counts the memory of all running edges against a cap and kills the largest where the cap is
passed, as the kernel does. Ratios are to a lower bound of the same edges on the same cores and memory.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from benchmarks.replay import baseline, contest, gated, kills, overhead, recorded
from benchmarks.replay.compiler import Scale
from benchmarks.replay.contest import Ring, Row
from benchmarks.replay.gated import Heard, Machine
from benchmarks.replay.kills import Kill
from winvllm_build.workspace import Workspace

LEARNT: Final = "gate, first build, second build"


def run_contest(options: argparse.Namespace, work: Path) -> Iterator[Row]:
    """Every way at every cap."""
    edges = recorded.load(options.build)
    if options.seed:
        edges = recorded.varied(edges, options.seed)
    if options.edges:
        edges = recorded.thinned(edges, options.edges)
    ring = Ring(root=work, edges=edges, scale=Scale(time=options.time, memory=options.memory))
    largest = max(edge.memory for edge in edges)
    for factor in options.caps:
        machine = Machine(cores=options.cores, cap=int(largest * factor))
        if options.setup:
            yield ring.upstream(machine, options.setup)
        if not options.gate_only:
            yield from contest.fixed(ring, machine)
        yield from contest.gates(ring, machine, named=options.gate)
        if options.gate in LEARNT:
            yield from contest.learnt(ring, machine)


def run_idle(options: argparse.Namespace, work: Path) -> dict[str, float]:
    """Seconds of a run of the compile step that has nothing to do, and of ninja alone."""
    edges = recorded.load(options.build)
    scale = Scale(time=0.0, memory=0.0)
    ring = Ring(root=work, edges=edges, scale=scale)
    workspace = Workspace(root=work / "workspace")
    built = ring.fresh(ring.toolkit(0), gated.launcher(workspace))
    machine = Machine(cores=8, cap=1 << 50)

    def once() -> float:
        begun = time.perf_counter()
        gated.run(
            built, gated.perfect(edges, scale), gated.terms(machine, Scale(memory=1.0)),
            watch=Heard(), workspace=workspace,
        )  # fmt: skip
        return time.perf_counter() - begun

    first, again = once(), min(once() for _ in range(5))
    begun = time.perf_counter()
    baseline.ninja(built, 8)
    return {"edges": len(edges), "first": first, "again": again, "ninja": time.perf_counter() - begun}


def show(rows: Iterable[Row]) -> None:
    print("| cap | way | seconds | before | to the bound | kills | started |\n|---|---|---|---|---|---|---|")
    for row in rows:
        cap = f"{row.cap / 1e9:.1f} GB"
        ratio = f"{row.ratio:.2f} ({row.bound})" if row.done else "never done"
        cells = cap, row.way, f"{row.seconds:.1f}", f"{row.before:.1f}", ratio, str(row.kills), str(row.runs)
        print(f"| {' | '.join(cells)} |", flush=True)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = made.add_subparsers(dest="part", required=True)
    versus = parts.add_parser("contest", help="the gate against fixed numbers of jobs")
    versus.add_argument("--build", default=recorded.FULL, choices=(recorded.FULL, recorded.SMALL))
    versus.add_argument("--cores", type=int, default=8)
    versus.add_argument("--caps", type=float, nargs="+", default=[1.2, 2, 4], help="times the largest edge")
    versus.add_argument("--time", type=float, default=0.01, help="replayed seconds for each recorded one")
    versus.add_argument(
        "--memory", type=float, default=0.125, help="resident bytes for each recorded one, in steps of 2 MB"
    )
    versus.add_argument("--seed", type=int, default=0, help="another build of the same shape, by chance")
    versus.add_argument("--edges", type=int, default=0, help="only so many of its compiles")
    versus.add_argument("--setup", type=Path, help="a setup.py of vLLM, whose own way is run too")
    versus.add_argument("--gate-only", action="store_true")
    versus.add_argument("--gate", default="", help="only the gate's rows with this in their name")
    idle = parts.add_parser("idle", help="a run with nothing to do")
    idle.add_argument("--build", default=recorded.FULL, choices=(recorded.FULL, recorded.SMALL))
    beside = parts.add_parser("overhead", help="what the gate adds to an edge")
    beside.add_argument("--edges", type=int, default=60)
    killed = parts.add_parser("kills", help="a build that is killed again and again")
    killed.add_argument("--number", type=int, default=1000)
    killed.add_argument("--seed", type=int, default=1)
    killed.add_argument(
        "--kinds", nargs="+", default=[kind.name for kind in Kill], choices=[k.name for k in Kill]
    )
    for part in (versus, idle, beside, killed):
        part.add_argument("--json", action="store_true", help="print data")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="winvllm-benchmark-") as work:
        if options.part == "contest" and not options.json:
            show(run_contest(options, Path(work)))
            return 0
        print(json.dumps(measured(options, Path(work)), indent=1))
    return 0


def measured(options: argparse.Namespace, work: Path) -> Any:  # noqa: ANN401 - as JSON takes it
    match options.part:
        case "contest":
            return [asdict(row) for row in run_contest(options, work)]
        case "overhead":
            return [asdict(row) for row in overhead.rows(work, options.edges)]
        case "idle":
            return run_idle(options, work)
        case _:
            kinds = [Kill[name] for name in options.kinds]
            return asdict(kills.run(work, options.number, seed=options.seed, kinds=kinds))


if __name__ == "__main__":
    sys.exit(main())
