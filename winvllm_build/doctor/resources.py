"""Memory, page file, disk, and the virus scanner that opens what compilers write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from winvllm_build.commands import set_variable
from winvllm_build.doctor import fixes
from winvllm_build.doctor.facts import Facts, Folder, Role
from winvllm_build.doctor.finding import Check, Outcome, advice, ok, problem, unknown, warning
from winvllm_build.doctor.windows import Scanner
from winvllm_build.index import PlatformTag
from winvllm_build.profile import limits
from winvllm_build.quantities import memory_size

WINDOWS: Final = PlatformTag.WINDOWS_AMD64
GB: Final = 10**9
ONE_JOB: Final = 1.5 * GB
"""Most CUDA files stay below it (docs/plan.md)."""
LARGEST_JOB: Final = 5.5 * GB
"""The largest of flash-attention (docs/benchmarks.md)."""
NEEDED: Final = {Role.WORKSPACE: 5 * GB, Role.TEMPORARY: 1 * GB, Role.ENVIRONMENT: 1 * GB}
"""Bytes that a build with its sources, a laid-down toolkit and the wheel take at least."""
COMFORT: Final = 20 * GB
"""What several builds and the store of finished edges take in the workspace."""


OTHER: Final = {WINDOWS: r"D:\w", PlatformTag.LINUX_X86_64: "/another/disk/w"}


def jobs_by_memory(free: int) -> int:
    """How many ordinary compiles fit into this memory at a time; at least one is always started."""
    return max(int(free * (1 - limits.RESERVE) / ONE_JOB), 1)


def memory(facts: Facts) -> Iterator[Outcome]:
    """How many compiles run at a time, and whether the largest fits at all."""
    found = facts.memory
    of = "" if found.limited_by == "machine" else f", limited by {found.limited_by}"
    promised = found.free if found.commit_left is None else found.commit_left
    free = min(found.free, promised)
    if promised < found.free:
        of += f", of which Windows promises {memory_size(promised)}"
    jobs = min(facts.slots, jobs_by_memory(free))
    told = f"{memory_size(found.free)} of {memory_size(found.total)} free{of}: {jobs} jobs at a time"
    if free < ONE_JOB:
        yield problem(f"{told}; not even one compile fits", "close other programs")
    elif free * (1 - limits.RESERVE) < LARGEST_JOB:
        yield warning(
            f"{told}; flash-attention's largest files take {memory_size(LARGEST_JOB)}",
            "close other programs, or leave flash-attention out: --set build.leave_out=_vllm_fa2_C",
        )
    elif jobs < facts.slots:
        yield advice(f"{told}, where the cores would carry {facts.slots}", "close other programs")
    else:
        yield ok(f"{told} ({facts.slots_reason})")


def page_file(facts: Facts) -> Iterator[Outcome]:
    """Windows promises no more than memory and page files together; compilers ask for more than they use."""
    windows, found = facts.windows, facts.memory
    if windows is None:
        return
    left = found.commit_left
    if not windows.page_files:
        told = "there is no page file: compilers end with `out of memory` while memory is free"
        yield warning(told, fixes.PAGE_FILE)
    elif left is not None and left < min(facts.slots * ONE_JOB, LARGEST_JOB):
        yield warning(
            f"Windows promises programs only {memory_size(left)} more; page files: {memory_size(found.swap)}",
            fixes.PAGE_FILE,
        )
    else:
        told = "" if left is None else f"; {memory_size(left)} may still be asked for"
        yield ok(f"{len(windows.page_files)} page file, {memory_size(found.swap)}{told}")


def disk(facts: Facts) -> Iterator[Outcome]:
    """Room for a build, and folders that can be written."""
    for folder in facts.folders:
        needed = NEEDED.get(folder.role)
        if needed is None:
            continue
        if folder.blocked_by is not None:
            yield problem(
                f"{folder.role.value} {folder.path} cannot be made: {folder.blocked_by} is no folder",
                _other_place(folder, facts.system),
            )
        elif not folder.writable:
            yield problem(
                f"{folder.role.value} {folder.path} cannot be written", _other_place(folder, facts.system)
            )
        elif folder.free is None:
            yield unknown(f"{folder.role.value} {folder.path}: its disk does not tell what is free")
        elif folder.free < needed:
            yield problem(
                f"{memory_size(folder.free)} free for {folder.role.value} {folder.path}; a build needs "
                f"{memory_size(needed)}",
                _more_room(folder, facts.system),
            )
        elif folder.role is Role.WORKSPACE and folder.free < COMFORT:
            yield advice(
                f"{memory_size(folder.free)} free for {folder.role.value}; "
                f"several builds take {memory_size(COMFORT)}",
                _more_room(folder, facts.system),
            )


def antivirus(facts: Facts) -> Iterator[Outcome]:
    """Whether Microsoft Defender opens every object file; only administrators may see its exclusions."""
    windows, place = facts.windows, facts.folder(Role.WORKSPACE)
    if windows is None or place is None:
        return
    defender = windows.defender
    command = f"in an administrator's PowerShell: Add-MpPreference -ExclusionPath '{place.path}'"
    if defender.scanner is not Scanner.SCANS:
        yield ok(f"Microsoft Defender is {defender.scanner.value}")
    elif defender.leaves_out(str(place.path)):
        yield ok(f"Microsoft Defender leaves {place.path} out")
    elif defender.exclusions is None:
        yield advice(
            "Microsoft Defender scans what compilers write, which costs time; whether it leaves the "
            "workspace out only an administrator may see",
            f"{command} (it says nothing if it is there already)",
        )
    else:
        yield advice(f"Microsoft Defender scans what compilers write to {place.path}", command)


def _more_room(folder: Folder, system: PlatformTag) -> str:
    """A store that is there can be pruned."""
    if folder.role is Role.WORKSPACE and folder.there:
        return "winvllm-build state prune --keep 5GB"
    return _other_place(folder, system)


def _other_place(folder: Folder, system: PlatformTag) -> str:
    if folder.role is Role.WORKSPACE:
        return set_variable("WINVLLM_BUILD_HOME", OTHER[system], system)
    if folder.role is Role.TEMPORARY:
        names = ("TEMP", "TMP") if system is WINDOWS else ("TMPDIR",)
        return "\n".join(set_variable(name, OTHER[system], system) for name in names)
    return f"uv venv {OTHER[system]}"


CHECKS: Final = (
    Check(id="memory", title="memory for compilers", ask=memory, rows=("002 MSB3721", "002 out of memory")),
    Check(id="page-file", title="page file", ask=page_file, rows=("002 out of memory",), only=WINDOWS),
    Check(id="disk", title="room on the disks", ask=disk),
    Check(id="antivirus", title="the virus scanner leaves builds alone", ask=antivirus, only=WINDOWS),
)  # fmt: skip
