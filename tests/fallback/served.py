"""The fallback server as a process of its own, in the Python that has its packages."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
READY = re.compile(r"fallback: ready at (\S+)")
UP_SECONDS = 200
MODULE = ("-m", "winvllm_build.fallback")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A running server."""

    popen: subprocess.Popen[bytes]
    base: str
    log: Path

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self.popen.pid)

    @property
    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }


def wait_until_up(popen: subprocess.Popen[bytes], log: Path) -> str:
    end = time.monotonic() + UP_SECONDS
    while time.monotonic() < end and popen.poll() is None:
        found = READY.search(log.read_text(encoding="utf-8", errors="replace"))
        if found:
            return found.group(1)
        time.sleep(0.1)
    raise AssertionError(log.read_text(encoding="utf-8", errors="replace")[-3000:])


@contextlib.contextmanager
def served(
    python: Path, scratch: Path, *arguments: Path | str, program: Sequence[Path | str] = MODULE
) -> Iterator[Served]:
    """`python -m winvllm_build.fallback ARGUMENTS...` on a free port, ended at the end of the block."""
    scratch.mkdir(parents=True, exist_ok=True)
    log = scratch / "log.txt"
    command = [python, *program, *arguments, "--port", "0"]
    with log.open("wb") as stream:
        popen = subprocess.Popen(
            command, cwd=scratch, env=environment(), stdout=stream, stderr=subprocess.STDOUT
        )
    try:
        yield Served(popen=popen, base=wait_until_up(popen, log), log=log)
    finally:
        if popen.poll() is None:
            popen.kill()
        popen.wait()


def refused(python: Path, scratch: Path, *arguments: Path | str) -> tuple[int, str]:
    """Status and output of a server that does not start."""
    ended = subprocess.run(
        [python, "-m", "winvllm_build.fallback", *arguments],
        cwd=scratch,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=UP_SECONDS,
        check=False,
    )
    return ended.returncode, ended.stdout.decode("utf-8", "replace")
