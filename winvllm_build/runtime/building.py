"""What to build for the cards of a machine, and how hard, with the reason of each value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from packaging.version import Version

from winvllm_build import arch
from winvllm_build.runtime.host import GIB, Host
from winvllm_build.runtime.setting import Setting
from winvllm_build.toolchain.gpu import Gpu

OLDEST: Final = Version("12.6")
"""The first CUDA that the patch sets are made for."""
END: Final = Version("14")
JOB: Final = 3 * GIB // 2
"""Memory of a usual compile job; the largest takes 4.2 GiB (docs/plan.md), which the build waits for."""
RESERVE: Final = 0.15
DISK: Final = 20 * GIB
HOPPER: Final = "9."
FA3: Final = "_vllm_fa3_C"


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """The values of a profile that concern a build.

    Attributes:
        values: by dotted key.
        notes: what a user has to know besides.
    """

    values: dict[str, Setting[object]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TagNeeds:
    """What is known of a tag before there is a checkout.

    Attributes:
        tag: its name.
        reason: why this tag.
        torch: the torch it pins; empty when that is not known.
        cuda: the CUDA releases its patch set is made for.
    """

    tag: str
    reason: str
    torch: str = ""
    cuda: str = ""


def choose(gpus: Sequence[Gpu], host: Host, needs: TagNeeds, *, driver: Version | None) -> BuildSettings:
    """The values for these cards.

    Args:
        gpus: at least one.
        host: the machine.
        needs: what the tag asks for.
        driver: the newest CUDA that the installed driver runs; None when that is not known.
    """
    archs = tuple(sorted({card.capability for card in gpus}, key=arch.order))
    cuda, notes = _cuda(archs, needs, driver)
    values: dict[str, Setting[object]] = {
        "tag": Setting(value=needs.tag, reason=needs.reason),
        "cuda.arch_list": Setting(value=list(archs), reason=_cards(gpus)),
        "cuda.version": cuda,
        "build.max_jobs": _jobs(host),
    }
    if not any(name.startswith(HOPPER) for name in archs):
        reason = "FlashAttention-3 is for 9.0 only"
        values["build.leave_out"] = Setting(value=[FA3], reason=reason)
    return BuildSettings(values=values, notes=(*notes, *_disk(host)))


def _cards(gpus: Sequence[Gpu]) -> str:
    cards = ", ".join(f"{card.name} ({card.capability}, {card.memory_total / GIB:.1f} GiB)" for card in gpus)
    return f"the cards here: {cards}"


def _cuda(archs: Sequence[str], needs: TagNeeds, driver: Version | None) -> tuple[Setting[str], list[str]]:
    """The releases that compile for the cards and that the driver runs."""
    first = {name: Version(arch.FIRST_TOOLKIT.get(name, str(OLDEST))) for name in archs}
    dropped = {name: Version(arch.FIRST_WITHOUT[name]) for name in archs if name in arch.FIRST_WITHOUT}
    low, high = max(OLDEST, *first.values()), min([END, *dropped.values()])
    newest = max(first, key=lambda name: first[name])
    words = [f"{low} is the first that compiles {newest}"] if low > OLDEST else []
    words += [f"{version} no longer compiles {name}" for name, version in dropped.items() if version <= high]
    notes = []
    if driver is not None and driver.major + 1 < END.major:
        above = Version(str(driver.major + 1))
        if above > low:
            high = min(high, above)
            words.append(f"the driver runs CUDA {driver}, and a newer major version needs a newer driver")
        else:
            notes.append(f"the driver runs CUDA {driver} at most, {newest} needs {low}: update the driver")
    if low >= high:
        notes.append(f"no CUDA release compiles for all of {', '.join(archs)}: name fewer cards with --gpu")
        low = OLDEST
    torch = f"torch {needs.torch} has to be the build for the same major version" if needs.torch else ""
    words += [f"the tag is made for {needs.cuda}"] if needs.cuda else []
    return Setting(value=f">={low},<{high}", reason="; ".join(filter(None, [*words, torch]))), notes


def _jobs(host: Host) -> Setting[object]:
    """The cores, or as many as the memory holds of usual jobs; on Windows the page file counts."""
    free = host.memory_free * (1 - RESERVE) + (host.page_file_free if host.windows else 0)
    fits = max(int(free // JOB), 1)
    page = f" and {host.page_file_free / GIB:.1f} GiB of page file" if host.windows else ""
    free_words = f"{host.memory_free / GIB:.1f} GiB of {host.memory_total / GIB:.1f} GiB RAM{page} free"
    if fits < host.cores:
        reason = f"{free_words} hold {fits} of {JOB / GIB:.1f} GiB each; the cores are {host.cores}"
        return Setting(value=fits, reason=reason)
    return Setting(value=host.cores, reason=f"the cores; {free_words}, and large files wait for memory")


def _disk(host: Host) -> tuple[str, ...]:
    if host.disk_free is None or host.disk_free >= DISK:
        return ()
    return (
        f"{host.disk_free / GIB:.1f} GiB of disk are free where builds go; a whole one takes about 20 GiB",
    )
