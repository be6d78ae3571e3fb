"""sccache's server for one build: started, probed and ended by us, and found again after a kill."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from winvllm_build import process
from winvllm_build.build.cache import statistics, variables
from winvllm_build.build.cache.backend import Backend
from winvllm_build.build.cache.program import Program
from winvllm_build.build.cache.statistics import Statistics
from winvllm_build.build.cache.variables import Address
from winvllm_build.choices import CacheKind
from winvllm_build.errors import ToolchainError
from winvllm_build.workspace import Journal, write_atomic

START_SECONDS: Final = 20.0
"""sccache asks its backend before it listens; a Redis that is down takes it 10 s to notice."""
WRITE_SECONDS: Final = 5.0
"""How long entries that are still under way get at the end."""
POLL_SECONDS: Final = 0.05
PROBE_SECONDS: Final = 3.0
REDIS_PORT: Final = 6379
RESPONSE: Final = re.compile(r"response: Parts \{ status: (\d+).*")
CONTEXT: Final = ("Context:", "service:", "path:", "range:")
"""What sccache's storage says beside the cause of an error, after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that has reached its backend and listens.

    Attributes:
        program: sccache.
        client: what a compile needs to find this server.
        beside: the running process.
        environment: of the compilers, for asking it.
    """

    program: Program
    client: Mapping[str, str]
    beside: process.Background
    environment: Mapping[str, str]

    def alive(self) -> bool:
        return self.beside.code() is None

    def statistics(self) -> Statistics:
        """Its counters so far.

        Raises:
            ToolchainError: it has ended, or answers nonsense.
        """
        if not self.alive():
            raise ToolchainError(f"sccache's server has ended with exit {self.beside.code()}")
        done = process.capture(
            [self.program.path, "--show-stats", "--stats-format", "json"],
            env={**self.environment, **self.client},
            timeout=30,
        )
        return statistics.read(done.text)

    def final_statistics(self) -> Statistics | None:
        """Its counters when all is written, or nearly; None if it does not answer any more."""
        deadline = time.monotonic() + WRITE_SECONDS
        counted: Statistics | None = None
        with contextlib.suppress(ToolchainError):
            counted = self.statistics()
            while counted.pending and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS * 4)
                counted = self.statistics()
        return counted


@contextlib.contextmanager
def serving(
    program: Program,
    backend: Backend,
    *,
    environment: Mapping[str, str],
    real: Mapping[str, str],
    roots: Iterable[Path],
    journal: Journal,
    log: Path,
) -> Iterator[Server]:
    """A server for the block.

    Args:
        program: sccache.
        backend: where results are kept.
        environment: of the compilers.
        real: this process's environment, for proxies.
        roots: folders that are left out of the keys.
        journal: names the server, so that the next run can end what a killed one left.
        log: file for what it prints.

    Raises:
        ToolchainError: it did not start, or could not reach its backend; says why, without anything secret.
    """
    end_leftover(journal)
    _probe(backend)
    with tempfile.TemporaryDirectory(prefix="winvllm-", ignore_cleanup_errors=True) as name:
        private = Path(name)
        address = private_address(private)
        own = variables.for_server(environment, backend, address, private=private, roots=roots, real=real)
        raw = private / "printed"
        with process.background([program.path], output=raw, env=own) as beside:
            _note(journal, beside.pid)
            try:
                _await(beside, address, raw, backend)
                yield Server(
                    program=program,
                    client=variables.for_client(address, private=private),
                    beside=beside,
                    environment=variables.without_sccache(environment),
                )
            finally:
                journal.end()
                write_atomic(log, _without_secrets(raw, backend).encode())


def private_address(folder: Path, *, windows: bool = sys.platform == "win32") -> Address:
    """A place to listen that no other build and, off Windows, no other user can reach."""
    if not windows:
        return Address(socket=folder / "s")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Address(port=int(probe.getsockname()[1]))


def end_leftover(journal: Journal) -> bool:
    """End the server of a run that was killed; True if there was one."""
    left = journal.read() or {}
    pid, created = left.get("server"), left.get("created")
    found = False
    if isinstance(pid, int) and isinstance(created, float):
        found = process.end_session(pid, created=created)
    journal.end()
    return found


def _note(journal: Journal, pid: int) -> None:
    import psutil  # noqa: PLC0415 - it costs every command 10 ms

    with contextlib.suppress(psutil.NoSuchProcess):
        journal.begin({"server": pid, "created": psutil.Process(pid).create_time()})


def _await(beside: process.Background, address: Address, log: Path, backend: Backend) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if beside.code() is not None:
            raise ToolchainError(f"sccache could not use {backend.place}: {said(log, backend)}")
        if _listens(address):
            return
        time.sleep(POLL_SECONDS)
    raise ToolchainError(
        f"sccache did not reach {backend.place} within {START_SECONDS:.0f} s: {said(log, backend)}"
    )


def _listens(address: Address) -> bool:
    with contextlib.suppress(OSError):
        if address.port is not None:
            with socket.create_connection(("127.0.0.1", address.port), timeout=1):
                return True
        if sys.platform != "win32":
            with socket.socket(socket.AF_UNIX) as probe:
                probe.connect(os.fspath(address.socket or ""))
                return True
    return False


def said(log: Path, backend: Backend) -> str:
    """What a server printed, its cause last in one line, without anything secret."""
    lines = [line.strip() for line in _without_secrets(log, backend).splitlines()]
    telling = [RESPONSE.sub(r"status \1", line) for line in lines if line and not line.startswith(CONTEXT)]
    return " / ".join(telling[-3:]) or "it said nothing"


def _without_secrets(file: Path, backend: Backend) -> str:
    text = file.read_text(encoding="utf-8", errors="replace")
    for secret in sorted(backend.secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _probe(backend: Backend) -> None:
    """Knock at a Redis: sccache itself takes ten seconds to notice that nobody is there.

    Raises:
        ToolchainError: nobody answers.
    """
    if backend.kind is not CacheKind.REDIS:
        return
    address = urlsplit(backend.settings["SCCACHE_REDIS_ENDPOINT"])
    try:
        with socket.create_connection((address.hostname or "", address.port or REDIS_PORT), PROBE_SECONDS):
            return
    except OSError as error:
        raise ToolchainError(f"{backend.place} does not answer: {error.strerror or error}") from error
