"""A small project built by the real ninja behind gate and store; run as a script, it can be killed."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from winvllm_build import process
from winvllm_build.build.engine import launcher, memory
from winvllm_build.build.engine.cost import Basis, Cost
from winvllm_build.build.engine.edge import Edge, Language, Roots, work_key
from winvllm_build.build.engine.gate import Gate, Terms
from winvllm_build.build.engine.record import EdgeRecord
from winvllm_build.build.events import EdgeDone, EdgeEnded, Event
from winvllm_build.build.ninja import Ninja, RunResult
from winvllm_build.build.store.objects import opened
from winvllm_build.profile import machine
from winvllm_build.workspace import Workspace

FILES = 8
WRAPPER = """\
#!/bin/sh
for word; do last=$out; out=$word; [ "$last" = -o ] && target=$word; done
echo "$target" >> "$RUNS"
printf half > "$target"
sleep 0.02
/usr/bin/g++ "$@" && echo "$target" >> "$RUNS.done"
"""
RULES = """\
rule cxx
  command = {launcher} {compiler} -I{tree}/inc -MD -MT $out -MF $out.d -o $out -c $in
  depfile = $out.d
  deps = gcc
rule link
  command = {launcher} {compiler} -shared -o $out $in
"""


class Flat:
    """Every edge costs the same."""

    def predict(self, edge: Edge) -> Cost:
        del edge
        return Cost(seconds=1.0, memory=1 << 20, size=1 << 10, basis=Basis.CLASS)

    def learn(self, record: EdgeRecord) -> None:
        """Nothing to learn."""


@dataclass(frozen=True, slots=True)
class Project:
    """A tree, a build folder and a workspace below one folder."""

    root: Path
    name: str = "one"

    @property
    def tree(self) -> Path:
        return self.root / self.name / "tree"

    @property
    def build(self) -> Path:
        return self.root / self.name / "build"

    @property
    def workspace(self) -> Workspace:
        return Workspace(root=self.root / "workspace")

    @property
    def runs(self) -> Path:
        """One line for each time a compiler or linker started; with `.done`, for each that ended well."""
        return self.root / self.name / "runs"

    @property
    def outputs(self) -> list[str]:
        return [*(f"obj/f{number}.o" for number in range(FILES)), "all.so"]

    def make(self) -> None:
        (self.tree / "inc").mkdir(parents=True)
        (self.build / "obj").mkdir(parents=True)
        (self.tree / "inc" / "value.h").write_text("#define VALUE 1\n")
        for number in range(FILES):
            (self.tree / f"f{number}.cpp").write_text(
                f'#include "value.h"\nint f{number}() {{ return VALUE + {number}; }}\n'
            )
        wrapper = self.root / "compiler"
        if not wrapper.exists():
            wrapper.write_text(WRAPPER)
            wrapper.chmod(0o755)
        script = launcher.install(self.workspace)
        words = launcher.definitions(script)["CMAKE_CXX_COMPILER_LAUNCHER"].replace(";", " ")
        lines = [RULES.format(launcher=words, compiler=wrapper, tree=self.tree)]
        lines += [f"build obj/f{n}.o: cxx {self.tree}/f{n}.cpp\n" for n in range(FILES)]
        lines.append(f"build all.so: link {' '.join(self.outputs[:-1])}\n")
        (self.build / "build.ninja").write_text("".join(lines))

    @property
    def roots(self) -> Roots:
        return Roots(folders={"<tree>": str(self.tree), "<build>": str(self.build), "<top>": str(self.root)})

    def edges(self) -> tuple[Edge, ...]:
        compiler = str(self.root / "compiler")
        found: list[tuple[str, Language, tuple[str, ...]]] = [
            (
                out,
                Language.CXX,
                (compiler, f"-I{self.tree}/inc", "-MD", "-MT", out, "-MF", f"{out}.d", "-o", out, "-c",
                 f"{self.tree}/{Path(out).stem}.cpp"),
            )
            for out in self.outputs[:-1]
        ]  # fmt: skip
        found.append(("all.so", Language.LINK, (compiler, "-shared", "-o", "all.so", *self.outputs[:-1])))
        return tuple(
            Edge(
                output=out, target="all", language=language, source="", gencodes=(), arguments=words,
                key=work_key(words, self.roots, "wrapped g++"),
            )
            for out, language, words in found
        )  # fmt: skip

    def run(self, *, full: bool = False) -> tuple[RunResult, list[EdgeRecord]]:
        """Bring the project up to date, as the compile step does."""
        records: list[EdgeRecord] = []

        def watch(event: Event) -> None:
            if isinstance(event, EdgeEnded):
                records.append(event.record)

        environment = {**os.environ, "RUNS": str(self.runs)}
        door = Ninja(program=tool("ninja"), folder=self.build, environment=environment)
        terms = Terms(slots=2, lookahead=2, room=memory.room(machine.read()))
        with opened(
            self.workspace.objects, edges=self.edges(), build=self.build, roots=self.roots,
            environment=environment, tag="v1", full=full,
        ) as store:  # fmt: skip
            gate = Gate(
                edges={e.output: e for e in self.edges()}, costs=Flat(), reuse=store, watch=watch, terms=terms
            )
            with gate:
                ran = _through(door, gate)
        return ran, records

    def started(self) -> list[str]:
        return self.runs.read_text().split() if self.runs.exists() else []

    def ended(self) -> list[str]:
        file = self.runs.with_name("runs.done")
        return file.read_text().split() if file.exists() else []

    def contents(self) -> dict[str, bytes]:
        return {name: (self.build / name).read_bytes() for name in self.outputs}

    def forget(self) -> None:
        """The build folder's products and logs are gone, its manifest stays."""
        manifest = (self.build / "build.ninja").read_bytes()
        shutil.rmtree(self.build)
        (self.build / "obj").mkdir(parents=True)
        (self.build / "build.ninja").write_bytes(manifest)


def _through(door: Ninja, gate: Gate) -> RunResult:
    behind = Ninja(
        program=door.program, folder=door.folder, environment={**door.environment, **gate.environment}
    )
    ignored: list[EdgeDone] = []
    return behind.run(["all.so"], jobs=4, keep_going=False, logs=door.folder / "logs", on_edge=ignored.append)


def tool(name: str) -> Path:
    """The program from the package's own environment."""
    found = process.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found is not None
    return found


def main(arguments: Sequence[str]) -> int:
    project = Project(Path(arguments[0]), arguments[1])
    logging.basicConfig(filename=project.runs.with_name("log"), level=logging.DEBUG)
    ran, _ = project.run()
    return ran.code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
