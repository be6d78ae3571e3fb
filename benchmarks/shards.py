"""Shards against one process: a recorded build replayed whole, in shares on runners of their own, and linked.

python -m benchmarks.shards --shards 2 --cores 2 --build v0.14.1-sm86
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.replay import compiler, gated, project, recorded
from benchmarks.replay.compiler import Scale, Toolkit
from benchmarks.replay.gated import Heard, Machine
from benchmarks.replay.project import Project
from benchmarks.replay.recorded import Recorded
from winvllm_build.build import ninja
from winvllm_build.build.compiling import Compilation, compile_selection
from winvllm_build.build.engine.record import Outcome
from winvllm_build.build.matrix.shares import Piece, dealt
from winvllm_build.build.plan import edges, setting
from winvllm_build.build.selection import Selection
from winvllm_build.build.store import transfer
from winvllm_build.build.store.objects import Store
from winvllm_build.profile.model import Profile
from winvllm_build.workspace import Workspace

ROOT = Path(__file__).resolve().parents[1]
CAP = 1 << 40


def pieces(wanted: Sequence[Recorded]) -> tuple[Piece, ...]:
    return tuple(
        Piece(
            identity=edge.output, build=0, output=edge.output, name=edge.source,
            seconds=edge.seconds, memory=edge.memory, size=edge.size,
        )
        for edge in wanted
        if not edge.links
    )  # fmt: skip


class Runner:
    """A machine of its own: its source, its build folder, its store."""

    def __init__(self, root: Path, name: str, wanted: Sequence[Recorded], toolkit: Toolkit) -> None:
        self.root, self.toolkit = root / name, toolkit
        self.store = self.root / "workspace" / "objects"
        self.built: Project = project.configure(
            self.root / "source", self.root / "build", wanted, toolkit,
            launcher=gated.launcher(Workspace(root=self.root / "workspace")),
        )  # fmt: skip
        project.write_sources(self.root / "source", wanted)

    def run(self, outputs: Sequence[str] | None, cores: int) -> Counter[Outcome]:
        """Compile these objects, or build everything; what became of the edges."""
        here = setting.read(self.built.build)
        listed = edges.read(self.built.build, setting=here)
        store = Store(self.store, build=self.built.build, roots=here.roots, environment=os.environ)
        store.prepare(listed)
        heard = Heard()
        targets = ("all",) if outputs is None else ()
        wanted = Compilation(
            profile=Profile(),
            door=ninja.Ninja(program=here.ninja, folder=self.built.build, environment=os.environ),
            selection=Selection(targets=targets, objects=tuple(outputs or ()), left_out=()),
            edges={edge.output: edge for edge in listed},
            costs=gated.perfect(self.built.edges, self.toolkit.scale),
            reuse=store,
            terms=gated.terms(Machine(cores=cores, cap=CAP), self.toolkit.scale),
        )
        ran = compile_selection(wanted, heard)
        store.close()
        if ran.code != 0:
            raise SystemExit(f"ninja ended with {ran.code}: {ran.tail}")
        return Counter(record.outcome for record in heard.records)


def shard(arguments: argparse.Namespace) -> int:
    """One runner, in a process of its own."""
    wanted = recorded.load(arguments.build)
    toolkit = Toolkit(folder=arguments.root / "toolkit", scale=Scale(time=arguments.time))
    index, count = (int(word) for word in arguments.runner.split("/"))
    runner = Runner(arguments.root, f"runner{index}", wanted, toolkit)
    begun = time.monotonic()
    found = runner.run([p.output for p in dealt(pieces(wanted), count)[index - 1]], arguments.cores)
    seconds = time.monotonic() - begun
    done = transfer.export(runner.store, arguments.root / f"{index}.tar")
    print(json.dumps({"compiled": found[Outcome.COMPILED], "seconds": seconds, "bytes": done.size}))
    return 0


def compare(arguments: argparse.Namespace) -> int:
    wanted = recorded.load(arguments.build)
    toolkit = compiler.build(arguments.root / "toolkit", Scale(time=arguments.time))
    toolkit.configure(wanted)
    whole = Runner(arguments.root, "whole", wanted, toolkit)
    begun = time.monotonic()
    alone = whole.run(None, arguments.cores)
    single = time.monotonic() - begun
    print(f"one process     {single:6.1f} s  {alone[Outcome.COMPILED]} edges ran")
    options = ["--build", arguments.build, "--cores", str(arguments.cores), "--time", str(arguments.time)]
    begun = time.monotonic()
    started = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "benchmarks.shards",
                *options,
                "--root",
                str(arguments.root),
                "--runner",
                f"{n}/{arguments.shards}",
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
        )
        for n in range(1, arguments.shards + 1)
    ]
    results = [json.loads(child.communicate()[0]) for child in started]
    together = time.monotonic() - begun
    for number, one in enumerate(results, start=1):
        print(f"shard {number}/{arguments.shards}       {one['seconds']:6.1f} s  {one['compiled']} edges ran")
    last = Runner(arguments.root, "last", wanted, toolkit)
    begun = time.monotonic()
    for number in range(1, arguments.shards + 1):
        transfer.import_(last.store, arguments.root / f"{number}.tar")
    found = last.run(None, arguments.cores)
    linking = time.monotonic() - begun
    print(
        f"import and link {linking:6.1f} s  {found[Outcome.COMPILED]} edges ran,"
        f" {found[Outcome.REUSED]} reused"
    )
    longest = max(one["seconds"] for one in results)
    print(
        f"longest shard / one process: {longest / single:.2f};"
        f" with the start of the processes: {together / single:.2f}"
    )
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=recorded.FULL)
    parser.add_argument("--cores", type=int, default=2, help="of each runner")
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--time", type=float, default=0.002, help="replayed seconds for a recorded one")
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--runner", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.runner:
        return shard(arguments)
    with tempfile.TemporaryDirectory(prefix="shards-") as name:
        arguments.root = Path(name)
        return compare(arguments)


if __name__ == "__main__":
    sys.exit(main())
