"""The compiler cache of one compile step: opened, or left alone with a note; asked for each edge."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from winvllm_build import data
from winvllm_build.build.cache import backend, program, server
from winvllm_build.build.cache.backend import Backend
from winvllm_build.build.cache.fallback import Fallback
from winvllm_build.build.cache.server import Server
from winvllm_build.build.cache.statistics import Statistics
from winvllm_build.build.engine.edge import Edge, Language
from winvllm_build.choices import CacheKind
from winvllm_build.errors import BusyError, ToolchainError
from winvllm_build.profile.model import CacheSection, Profile
from winvllm_build.workspace import Journal, Workspace, locked


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRequest:
    """What a compile step asks of its cache.

    Attributes:
        section: the profile's `[cache]`.
        environment: of the compilers.
        real: this process's environment; credentials are read from it and go to the server alone.
        roots: folders that are left out of the keys: tree, build folder, dependencies, toolchains.
        folder: for the kind local, and for the server's journal.
        logs: the build's folder of logs.
        windows: whether this is Windows.
        tell: told what a reader must know.
    """

    section: CacheSection
    environment: Mapping[str, str]
    real: Mapping[str, str]
    roots: tuple[Path, ...]
    folder: Path
    logs: Path
    windows: bool
    tell: Callable[[str], None]


def request_of(
    profile: Profile,
    workspace: Workspace,
    *,
    environment: Mapping[str, str],
    roots: Iterable[str],
    build: Path,
    tell: Callable[[str], None],
) -> CacheRequest:
    """What a profile asks of the cache in one build folder, on this machine.

    Args:
        profile: its `[cache]` counts.
        workspace: holds the kind local.
        environment: of the compilers.
        roots: folders that are left out of the keys.
        build: the configured folder.
        tell: told what a reader must know.
    """
    return CacheRequest(
        section=profile.cache,
        environment=environment,
        real=os.environ,
        roots=tuple(Path(folder) for folder in roots),
        folder=workspace.root / "sccache",
        logs=build / "logs",
        windows=sys.platform == "win32",
        tell=tell,
    )


@dataclass(slots=True, kw_only=True)
class CompilerCache:
    """A cache that is in use, or was; the gate's `Prefix`."""

    backend: Backend
    server: Server
    tell: Callable[[str], None]
    fallback: Fallback = field(default_factory=Fallback)
    counted: Statistics | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """What compilers need besides their own environment to be found by the server."""
        return self.server.client

    def before(self, edge: Edge) -> tuple[str, ...]:
        """The words before the command of `edge`; none for a link, and none once the cache is given up."""
        if edge.language is Language.LINK or not self.fallback.usable():
            return ()
        if not self.server.alive():
            self._give_up("its server has ended")
            return ()
        return (str(self.server.program.path),)

    def again(self, edge: Edge, code: int, text: str) -> bool:
        """Whether an edge that failed through the cache is to be run once more without it."""
        usable = self.fallback.usable()
        again = self.fallback.again(code, text)
        if again:
            self.tell(f"{edge.output} failed through sccache (exit {code}); it runs again without")
        if usable and not self.fallback.usable():
            self.tell(f"the rest is compiled without sccache: {self.fallback.given_up}")
        return again

    def processes(self) -> tuple[int, ...]:
        """The server, whose children the compilers are."""
        return (self.server.beside.pid,) if self.server.alive() else ()

    def _give_up(self, reason: str) -> None:
        if self.fallback.give_up(reason):
            self.tell(f"the rest is compiled without sccache: {reason}")

    def as_data(self) -> dict[str, Any]:
        return {
            "failures": self.fallback.failures,
            "given_up": self.fallback.given_up,
            "kind": self.backend.kind.value,
            "place": self.backend.place,
            "statistics": None if self.counted is None else self.counted.as_data(),
            "version": self.server.program.version,
        }


@contextlib.contextmanager
def opened(request: CacheRequest) -> Iterator[CompilerCache | None]:
    """The cache for the block; None if not asked for, not installed or not startable (one note says why).

    What goes wrong with a cache never ends a build.
    """
    with contextlib.ExitStack() as stack:
        yield _open(request, stack)


def _open(request: CacheRequest, stack: contextlib.ExitStack) -> CompilerCache | None:
    local = request.folder / "local"
    wanted = backend.chosen(request.section, request.real, folder=local, windows=request.windows)
    if wanted is None:
        return None
    found = program.find()
    if found is None:
        command = data.installing(extra="cache")
        request.tell(f"compiling without a compiler cache: sccache is not installed ({command})")
        return None
    try:
        journal = Journal(path=request.logs.parent / ".winvllm-sccache.json")
        if wanted.kind is CacheKind.LOCAL:  # two servers on one folder spoil each other's entries
            stack.enter_context(locked(local.with_name("local.lock"), f"the compiler cache {local}"))
            journal = Journal(path=request.folder / "local.server.json")
        running = stack.enter_context(
            server.serving(
                found,
                wanted,
                environment=request.environment,
                real=request.real,
                roots=request.roots,
                journal=journal,
                log=request.logs / "sccache.log",
            )
        )
    except (ToolchainError, BusyError) as error:
        request.tell(f"compiling without a compiler cache: {error.message}")
        return None
    for text in filter(None, (found.note,)):
        request.tell(text)
    cache = CompilerCache(backend=wanted, server=running, tell=request.tell)
    stack.callback(_count, cache)
    return cache


def _count(cache: CompilerCache) -> None:
    cache.counted = cache.server.final_statistics()
    if cache.counted is not None:
        cache.tell(f"sccache with {cache.backend.place}: {cache.counted.summary()}")
