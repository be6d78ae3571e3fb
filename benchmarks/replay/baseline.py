"""What others do: a fixed number of jobs, however it was found."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.replay.compiler import Toolkit
from benchmarks.replay.project import Project

GIB: Final = 1 << 30
PATIENCE: Final = 25
"""How often a user starts a build again that ran out of memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A fixed number of jobs and whose rule it is."""

    name: str
    jobs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How a build went.

    Attributes:
        way: what ran.
        seconds: replayed seconds, all runs together.
        kills: edges that memory ended.
        runs: how often it was started until it was done.
        done: whether it ever was.
        peak: recorded bytes held together at most.
    """

    way: str
    seconds: float
    kills: int
    runs: int
    done: bool


def vllm_jobs(cores: int, *, max_jobs: int | None = None, nvcc_threads: int | None = None) -> int:
    """The rule of vLLM's setup.py: MAX_JOBS or the cores, divided by NVCC_THREADS where that is set."""
    jobs = cores if max_jobs is None else max_jobs
    return jobs if nvcc_threads is None else max(1, jobs // nvcc_threads)


def flash_attention_jobs(cores: int, free: int, *, threads: int = 4) -> int:
    """flash-attention's setup.py: half of the cores, and 5 GB for each thread of nvcc."""
    by_memory = max(1, int(free / GIB / (5 * threads)))
    return max(1, min(max(1, cores // 2), by_memory))


def flash_attention_fixed_jobs(cores: int, free: int, *, threads: int = 4) -> int:
    """The same with the later proposals: 16 GB or 15 % stay free, never more than 32."""
    reserve = max(16 * GIB, free * 15 // 100)
    by_memory = max(1, int(max(free - reserve, 0) / GIB / (5 * threads)))
    return max(1, min(max(1, cores // 2), by_memory, 32))


def ways(cores: int, free: int) -> Iterator[Way]:
    """Every fixed number of jobs, then the rules that choose one."""
    for jobs in range(1, cores + 1):
        yield Way(name=f"ninja -j{jobs}", jobs=jobs)
    yield Way(name="vLLM's setup.py", jobs=vllm_jobs(cores))
    yield Way(name="vLLM's setup.py as its image sets it", jobs=vllm_jobs(cores, max_jobs=2, nvcc_threads=8))
    for threads in (1, 4):
        words = f"{threads} thread{'s' if threads > 1 else ''}"
        yield Way(name=f"flash-attention, {words}", jobs=flash_attention_jobs(cores, free, threads=threads))
        yield Way(
            name=f"flash-attention with its fixes, {words}",
            jobs=flash_attention_fixed_jobs(cores, free, threads=threads),
        )


def ninja(project: Project, jobs: int, *, targets: Sequence[str] = ()) -> int:
    """One run of stock ninja; its exit code."""
    command = ["ninja", "-C", str(project.build), "-j", str(jobs), "-k", "0", *targets]
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode


def run(
    name: str,
    project: Project,
    toolkit: Toolkit,
    jobs: int,
    *,
    start: Callable[[Project, int], int] = ninja,
) -> Run:
    """A fixed number of jobs, started again after a run that lost edges to memory."""
    toolkit.forget()
    begun = time.perf_counter()
    tries = 0
    done = False
    while not done and tries < PATIENCE:
        tries += 1
        done = start(project, jobs) == 0
    return Run(way=name, seconds=time.perf_counter() - begun, kills=toolkit.kills(), runs=tries, done=done)
