"""A small project compiled by the real compiler, edge by edge, as the gate does it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from winvllm_build.build.engine.edge import Edge, Language, Roots, work_key
from winvllm_build.build.store.objects import Sharing, Store
from winvllm_build.build.store.verification import Verified

COMPILER = "g++"


@dataclass(slots=True)
class Bench:
    """One tree and one build folder beside a store."""

    store: Path
    tree: Path
    build: Path
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    sharing: Sharing = Sharing.EVERYWHERE
    compiler: str = COMPILER
    ran: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)
    printed: dict[str, bytes] = field(default_factory=dict)
    verified: Verified | None = None

    @property
    def roots(self) -> Roots:
        return Roots(folders={"<tree>": self.tree.as_posix(), "<build>": self.build.as_posix()})

    def write(self, name: str, text: str, *, age: float = 60.0) -> Path:
        """A file of the tree that is `age` seconds old, so that no clock is in doubt."""
        file = self.tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        when = time.time() - age
        os.utime(file, (when, when))
        return file

    def compile_edge(self, source: str, *flags: str, search: Sequence[str] = ()) -> Edge:
        output = f"{Path(source).name}.o"
        arguments = (
            f"/usr/bin/{self.compiler}", *flags, *(f"-I{self.tree / folder}" for folder in search),
            "-MD", "-MT", output, "-MF", f"{output}.d", "-o", output, "-c", str(self.tree / source),
        )  # fmt: skip
        return self.edge(output, Language.CXX, arguments)

    def link_edge(self, output: str, *words: str) -> Edge:
        return self.edge(
            output, Language.LINK, (f"/usr/bin/{self.compiler}", "-shared", "-o", output, *words)
        )

    def edge(self, output: str, language: Language, arguments: Sequence[str]) -> Edge:
        words = tuple(arguments)
        return Edge(
            output=output, target="mini", language=language, source="", gencodes=(), arguments=words,
            key=work_key(words, self.roots, self.compiler),
        )  # fmt: skip

    def open(self, environment: Mapping[str, str] | None = None) -> Store:
        return Store(
            self.store, build=self.build, roots=self.roots, environment=environment or self.environment,
            tag="v1", sharing=self.sharing, on_event=self.told.append,
        )  # fmt: skip

    def run(self, *edges: Edge, full: bool = False, close: bool = True) -> list[str]:
        """Bring the edges about in order; the outputs whose compiler ran."""
        self.build.mkdir(parents=True, exist_ok=True)
        self.ran.clear()
        store = self.open()
        self.verified = store.prepare(edges, full=full)
        for edge in edges:
            self._one(store, edge)
        self.reasons = dict(store.reasons)
        if close:
            store.close()
        return list(self.ran)

    def _one(self, store: Store, edge: Edge) -> None:
        replay = store.find(edge)
        if replay is not None:
            self.printed[edge.output] = replay.text
            return
        time.sleep(0.01)  # what was written within one tick of the clock is in doubt, and not kept
        store.begun(edge)
        (self.build / edge.output).unlink(missing_ok=True)
        done = subprocess.run(
            edge.arguments, cwd=self.build, env=self.environment, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout.decode()
        self.ran.append(edge.output)
        self.printed[edge.output] = done.stdout
        store.keep(edge, done.stdout)

    def bytes_of(self, name: str) -> bytes:
        return (self.build / name).read_bytes()
