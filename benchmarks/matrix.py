"""The wheels of a matrix, one after the other: which compilers run where the builds share one store.

    python -m benchmarks.matrix [--tag v0.33.0] [--apart] [--json]

The command lines are those that configures of five lists of architectures gave, flags and `-gencode`
included; the compiler is the replay's. Each list is built twice: with the store, and afterwards in the same
folder by stock ninja without it; every output is compared. With `--apart` each build has a workspace and a
store of its own, as the jobs of a CI have, and takes over what those before it exported.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.replay import compiler, gated, lists
from benchmarks.replay.compiler import Scale
from benchmarks.replay.gated import Heard, Machine
from benchmarks.replay.lists import Command, Folder
from benchmarks.replay.project import Project
from benchmarks.replay.recorded import Recorded
from winvllm_build.build.engine.record import Outcome
from winvllm_build.build.plan import edges, setting
from winvllm_build.build.plan.costs import CostModel
from winvllm_build.build.store import transfer
from winvllm_build.workspace import Workspace

CAP = 1 << 50
SLOTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One list of architectures.

    Attributes:
        cuda: CUDA objects that it has.
        cxx: C++ objects.
        links: libraries.
        commands: objects whose command no build before had.
        new: objects whose command, or what it reads, no build before had.
        compiled: objects whose compiler ran.
        placed: objects put in place from the store.
        linked: links that ran.
        astray: objects that were compiled although they were not new, or not compiled although they were.
        different: outputs that are not, byte for byte, what stock ninja makes in the same folder.
        cpu: CPU seconds of the build with the store, this program included.
        plain: CPU seconds of stock ninja.
    """

    archs: str
    cuda: int
    cxx: int
    links: int
    commands: int
    new: int
    compiled: int
    placed: int
    linked: int
    astray: tuple[str, ...]
    different: tuple[str, ...]
    cpu: float
    plain: float


@dataclass(slots=True, kw_only=True)
class Matrix:
    """The builds of all lists, one after the other."""

    root: Path
    tag: str
    scale: Scale
    apart: bool
    seen: set[tuple[str, str]] = field(default_factory=set)
    """Command and source of every object that a build had."""
    archives: list[Path] = field(default_factory=list)

    def rows(self, listed: Mapping[str, Sequence[Command]]) -> Iterator[Row]:
        toolkit = compiler.build(self.root / "toolkit", self.scale)
        for number, (archs, commands) in enumerate(listed.items(), start=1):
            home = self.root / (f"job{number}" if self.apart else "workspace")
            folder = Folder(tag=self.tag, archs=archs, commands=commands, home=home, toolkit=toolkit)
            folder.write_sources()
            yield self._row(folder)
            if self.apart:
                self.archives.append(self.root / f"{number}.tar")
                transfer.export(Workspace(root=home).objects, self.archives[-1])

    def _row(self, folder: Folder) -> Row:
        new = {
            output
            for output, command in folder.outputs().items()
            if command.source and (command.text, lists.content(command, folder.archs)) not in self.seen
        }
        known = {text for text, _ in self.seen}
        self.seen |= {(c.text, lists.content(c, folder.archs)) for c in folder.commands if c.source}
        before = spent()
        placed = self._with_store(folder)
        between = spent()
        ran, made = compilers(folder), contents(folder)
        self._without(folder)
        after = spent()
        compiled = [output for output in ran if folder.outputs()[output].source]
        sources = [command for command in folder.commands if command.source]
        again = contents(folder)
        return Row(
            archs=folder.archs,
            cuda=sum(command.cuda for command in sources),
            cxx=sum(not command.cuda for command in sources),
            links=len(folder.commands) - len(sources),
            commands=sum(command.text not in known for command in sources),
            new=len(new),
            compiled=len(compiled),
            placed=len(placed),
            linked=len(ran) - len(compiled),
            astray=tuple(sorted(new.symmetric_difference(compiled))),
            different=tuple(sorted(output for output in again if made[output] != again[output])),
            cpu=between - before,
            plain=after - between,
        )

    def _with_store(self, folder: Folder) -> set[str]:
        """Build everything; the outputs that the store gave."""
        workspace = Workspace(root=folder.home)
        for archive in self.archives:
            transfer.import_(workspace.objects, archive)
        folder.configure(gated.launcher(workspace))
        costs = begin(folder)
        built = Project(source=folder.tree, build=folder.build, edges=())
        heard = Heard()
        done = gated.run(
            built,
            gated.perfect(costs, self.scale),
            gated.terms(Machine(cores=SLOTS, cap=CAP), Scale(memory=1.0)),
            watch=heard,
            workspace=workspace,
        )
        if done.code != 0:
            raise SystemExit(f"{folder.archs}: ninja ended with {done.code}: {done.tail}")
        return {r.edge.output for r in heard.records if r.outcome is Outcome.REUSED}

    def _without(self, folder: Folder) -> None:
        folder.configure()
        begin(folder)
        command = ["ninja", "-C", str(folder.build), "-j", str(SLOTS)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        if len(compilers(folder)) != len(folder.commands):
            raise SystemExit(f"{folder.archs}: stock ninja did not run every edge once")


def begin(folder: Folder) -> tuple[Recorded, ...]:
    """Have the replay compiler cost what the package reckons for edges that nobody measured."""
    model = CostModel(history=None, compiler="replay", build_type="Release", seeds=())
    here = setting.read(folder.build)
    reckoned = [(edge.output, model.predict(edge)) for edge in edges.read(folder.build, setting=here)]
    costs = tuple(
        Recorded(output=output, seconds=cost.seconds, memory=cost.memory, size=cost.size)
        for output, cost in reckoned
    )
    folder.toolkit.forget()
    folder.toolkit.configure(costs)
    return costs


def compilers(folder: Folder) -> list[str]:
    """The outputs whose compiler or linker ran, as its own log says; one that ran twice is there twice."""
    return [happening.output for happening in folder.toolkit.happenings() if happening.event == "begin"]


def contents(folder: Folder) -> dict[str, bytes]:
    return {output: (folder.build / output).read_bytes() for output in folder.outputs()}


def spent() -> float:
    """CPU seconds of this process and of all that it started and waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def show(rows: Iterable[Row]) -> list[Row]:
    shown = []
    head = (
        "list", "CUDA", "C++", "links", "new commands", "new work", "compiled", "from the store", "linked",
        "other bytes", "CPU",
    )  # fmt: skip
    print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|")
    for row in rows:
        shown.append(row)
        print(line(row.archs, [row]), flush=True)
    print(line("together", shown))
    return shown


def line(name: str, rows: Sequence[Row]) -> str:
    counts = [
        [row.cuda, row.cxx, row.links, row.commands, row.new, row.compiled, row.placed, row.linked]
        for row in rows
    ]
    sums = [f"{sum(column):,}" for column in zip(*counts, strict=True)]
    different = str(sum(len(row.different) for row in rows))
    cpu = f"{sum(row.cpu for row in rows):.1f} s ({sum(row.plain for row in rows):.1f} s)"
    return f"| {' | '.join((name, *sums, different, cpu))} |"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tag", default="v0.33.0", choices=("v0.33.0", "v0.14.1"))
    parser.add_argument("--apart", action="store_true", help="a workspace and a store for each build")
    parser.add_argument("--time", type=float, default=0.0, help="replayed seconds for each reckoned one")
    parser.add_argument("--json", action="store_true", help="print data")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="winvllm-matrix-") as work:
        scale = Scale(time=options.time, memory=0.0)
        matrix = Matrix(root=Path(work), tag=options.tag, scale=scale, apart=options.apart)
        found = matrix.rows(lists.load(options.tag))
        rows = list(found) if options.json else show(found)
    if options.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
    return int(any(row.astray or row.different for row in rows))


if __name__ == "__main__":
    sys.exit(main())
