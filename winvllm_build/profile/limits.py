"""How many compile jobs run at a time: as many as cores and memory carry, and not one more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from winvllm_build.profile.machine import Machine
from winvllm_build.profile.model import BuildSection, Profile

GIB: Final = 1 << 30
RESERVE: Final = 0.15
"""Share of the free memory that stays free; without it a desktop swaps before a job is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelMemory:
    """Peak memory of compile jobs in GiB, for one architecture at a time.

    Attributes:
        typical: what every job may need at once.
        heaviest: what one job may need beside them.
    """

    typical: float
    heaviest: float


ORDINARY: Final = KernelMemory(typical=2.9, heaviest=5.5)
"""v0.14.1 without flash-attention, nvcc 13.0: 2.5 to 2.95 GB for all but scaled_mm_c2x.cu (5.5)."""
WITH_FLASH_ATTENTION: Final = KernelMemory(typical=4.2, heaviest=5.5)
"""v0.14.1 with flash-attention, whose dozens of files need 4.2 GB each. v0.33.0 needs less than either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimit:
    """A number of compile jobs, and in words what set it."""

    jobs: int
    reason: str


def kernel_memory(profile: Profile) -> KernelMemory:
    """What the kernels that a profile builds were measured to need, unless the profile says it."""
    build = profile.build
    if build.memory_per_job != "auto":
        return KernelMemory(typical=build.memory_per_job, heaviest=build.memory_per_job)
    return WITH_FLASH_ATTENTION if _builds_flash_attention(build) else ORDINARY


def _builds_flash_attention(build: BuildSection) -> bool:
    if not build.targets and build.objects:
        return False
    chosen = build.targets or ("_vllm_fa2_C", "_vllm_fa3_C")
    return any(name.startswith("_vllm_fa") and name not in build.leave_out for name in chosen)


def slots(profile: Profile, machine: Machine) -> JobLimit:
    """Edges that may run at once as far as cores go; memory is looked at edge by edge."""
    if profile.build.max_jobs != "auto":
        return JobLimit(jobs=profile.build.max_jobs, reason=f"build.max_jobs = {profile.build.max_jobs}")
    threads = min(profile.cuda.nvcc_threads, len(profile.cuda.arch_list))
    free = f"{machine.memory / GIB:.1f} GiB free"
    if machine.limited_by != "machine":
        free += f" by {machine.limited_by}"
    per_thread = f", {threads} nvcc threads each" if threads > 1 else ""
    reason = f"{_counted(machine.cores, 'core')}{per_thread}; {free}"
    return JobLimit(jobs=max(machine.cores // threads, 1), reason=reason)


def job_limit(profile: Profile, machine: Machine, memory: KernelMemory | None = None) -> JobLimit:
    """The number of jobs of a profile on a machine.

    Args:
        profile: its `build.max_jobs` decides unless it is auto.
        machine: what may be used.
        memory: what one job needs; None for what `kernel_memory` says.
    """
    if profile.build.max_jobs != "auto":
        return JobLimit(jobs=profile.build.max_jobs, reason=f"build.max_jobs = {profile.build.max_jobs}")
    need = memory or kernel_memory(profile)
    threads = min(profile.cuda.nvcc_threads, len(profile.cuda.arch_list))
    by_cores = max(machine.cores // threads, 1)
    budget = machine.memory * (1 - RESERVE) / GIB
    typical, heaviest = need.typical * threads, need.heaviest * threads
    by_memory = 1 + int(max(budget - heaviest, 0) / typical)
    free = f"{machine.memory / GIB:.1f} GiB free"
    if machine.limited_by != "machine":
        free += f" by {machine.limited_by}"
    per_thread = f", {threads} nvcc threads each" if threads > 1 else ""
    if by_cores <= by_memory:
        return JobLimit(jobs=by_cores, reason=f"{_counted(machine.cores, 'core')}{per_thread} ({free})")
    reason = f"{free}, up to {typical:.1f} GiB a job and {heaviest:.1f} for the heaviest{per_thread}"
    if budget < heaviest:
        reason += "; the heaviest may not fit"
    return JobLimit(jobs=by_memory, reason=f"{reason} ({_counted(machine.cores, 'core')})")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
