"""What to build for the cards of a machine, and how hard, with the reason of each value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from packaging.version import Version

from winvllm_build import arch
from winvllm_build.runtime.host import GIB, Host
from winvllm_build.runtime.setting import Setting
from winvllm_build.toolchain import torch_index
from winvllm_build.toolchain.gpu import Gpu

OLDEST: Final = Version("12.6")
"""The first CUDA that the patch sets are made for."""
END: Final = Version("14")
JOB: Final = 3 * GIB // 2
"""Memory of a usual compile job; the largest takes 4.2 GiB (docs/plan.md), which the build waits for."""
RESERVE: Final = 0.15
BOUND: Final = re.compile(r"(>=|<)\s*(\d+(?:\.\d+)*)")
"""A bound of a manifest's `cuda`, such as `>=12.6,<14`."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """CUDA releases from one on, and below another, with what narrowed them."""

    low: Version
    high: Version
    words: tuple[str, ...] = ()

    def narrowed(self, low: Version, high: Version, reason: str) -> Range:
        """The part of it between these two; the reason is kept where that is less."""
        if low <= self.low and high >= self.high:
            return self
        return Range(low=max(self.low, low), high=min(self.high, high), words=(*self.words, reason))

    @property
    def text(self) -> str:
        return f">={self.low},<{self.high}"


def _cuda(archs: Sequence[str], needs: TagNeeds, driver: Version | None) -> tuple[Setting[str], list[str]]:
    """The releases that compile for the cards, that the driver runs, and that tag and torch are made for."""
    possible = _of_tag(needs)
    first = {name: Version(arch.FIRST_TOOLKIT.get(name, str(OLDEST))) for name in archs}
    newest = max(first, key=lambda name: first[name])
    low = first[newest]
    found = possible.narrowed(low, END, f"{low} is the first that compiles {newest}")
    for name in (name for name in archs if name in arch.FIRST_WITHOUT):
        dropped = Version(arch.FIRST_WITHOUT[name])
        found = found.narrowed(OLDEST, dropped, f"{dropped} no longer compiles {name}")
    notes = []
    if driver is not None:
        above = Version(str(driver.major + 1))
        if above > found.low:
            reason = f"the driver runs CUDA {driver}, and a newer major version needs a newer driver"
            found = found.narrowed(OLDEST, above, reason)
        else:
            notes.append(f"the driver runs CUDA {driver} at most, {found.text} is needed: update the driver")
    if found.low >= found.high:
        notes.append(
            f"no CUDA release is for all of {', '.join(archs)} and {needs.tag}"
            f" ({'; '.join(found.words)}): name fewer cards with --gpu"
        )
        found = possible
    torch = f"torch {needs.torch} has to be the build for the same major version" if needs.torch else ""
    tag = f"the tag is made for {needs.cuda}" if needs.cuda else ""
    reason = "; ".join(filter(None, [*found.words, tag, torch]))
    return Setting(value=found.text, reason=reason), notes


def _of_tag(needs: TagNeeds) -> Range:
    """The releases that the tag is made for and whose major version its torch is built for."""
    found = Range(low=OLDEST, high=END)
    for operator, version in BOUND.findall(needs.cuda):
        if operator == ">=":
            found = replace(found, low=max(found.low, Version(version)))
        else:
            found = replace(found, high=min(found.high, Version(version)))
    majors = [release.major for release in torch_index.builds(needs.torch)]
    if not majors:
        return found
    low, high = Version(str(min(majors))), Version(str(max(majors) + 1))
    return found.narrowed(low, high, f"torch {needs.torch} is built for {_words(majors)} only")


def _words(majors: Sequence[int]) -> str:
    return " and ".join(f"CUDA {major}" for major in dict.fromkeys(majors))


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
