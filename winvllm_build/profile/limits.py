"""How many compile jobs may run at a time as far as cores go; memory is looked at when a job starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from winvllm_build.profile.machine import Machine
from winvllm_build.profile.model import Profile

GIB: Final = 1 << 30
RESERVE: Final = 0.15
"""Share of the free memory that stays free; without it a desktop swaps before a job is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimit:
    """A number of compile jobs, and in words what set it."""

    jobs: int
    reason: str


def slots(profile: Profile, machine: Machine) -> JobLimit:
    """The number of jobs of a profile on a machine; its `build.max_jobs` decides unless it is auto."""
    if profile.build.max_jobs != "auto":
        return JobLimit(jobs=profile.build.max_jobs, reason=f"build.max_jobs = {profile.build.max_jobs}")
    threads = min(profile.cuda.nvcc_threads, len(profile.cuda.arch_list))
    free = f"{machine.memory / GIB:.1f} GiB free"
    if machine.limited_by != "machine":
        free += f" by {machine.limited_by}"
    per_thread = f", {threads} nvcc threads each" if threads > 1 else ""
    cores = "1 core" if machine.cores == 1 else f"{machine.cores} cores"
    return JobLimit(jobs=max(machine.cores // threads, 1), reason=f"{cores}{per_thread}; {free}")
