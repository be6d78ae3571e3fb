"""Every CUDA toolkit of a machine, each with why a build takes it or leaves it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from packaging.version import Version

from winvllm_build.index import PlatformTag
from winvllm_build.toolchain import nvcc
from winvllm_build.toolchain.cuda import Examined, Wanted, examine
from winvllm_build.toolchain.cuda_search import Candidate, Places, every_candidate
from winvllm_build.toolchain.host import HostLimits, read_limits
from winvllm_build.toolchain.system import program

THREADS = 8


class Verdict(Enum):
    TAKEN = "taken"
    FITS = "fits"
    """Another that fits comes first."""
    MISFIT = "does not fit"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundToolkit:
    """A toolkit, or what poses as one.

    Attributes:
        home: its folder.
        named_by: everything that points at it.
        version: None where its nvcc does not answer; so are `architectures` and `limits` empty then.
        reason: why it is left, or that it is taken.
    """

    home: Path
    named_by: tuple[str, ...]
    verdict: Verdict
    reason: str
    version: Version | None = None
    architectures: tuple[str, ...] = ()
    limits: HostLimits = HostLimits()  # noqa: RUF009 - frozen


def survey(
    wanted: Wanted,
    places: Places,
    system: PlatformTag,
    *,
    own: Path | None = None,
    ask: Callable[[Path], nvcc.Nvcc] = nvcc.ask,
) -> tuple[FoundToolkit, ...]:
    """Every toolkit, in the order of trust; one that is found twice is told once.

    Args:
        wanted: what the profile, the tag and an installed torch ask for.
        places: where to look.
        system: how programs are named.
        own: the toolkit that was laid down from NVIDIA's wheels, if there is one.
        ask: what asks an nvcc about itself.
    """
    listed = every_candidate(places, system, strict=False)
    named = wanted.request.cuda_home
    if named is not None:
        listed.insert(0, _candidate(named, "cuda.home of the profile", system))
    if own is not None:
        listed.append(_candidate(own, "laid down from NVIDIA's wheels", system))
    once = {one.nvcc: one for one in reversed(listed)}
    with ThreadPoolExecutor(THREADS) as pool:
        answers = pool.map(lambda one: examine(one, wanted, system, ask), once.values())
        examined = dict(zip(once, answers, strict=True))
    found = [_found(one, examined[one.nvcc]) for one in listed]
    return _chosen(_merged(found), only_first=named is not None)


def _candidate(home: Path, named_by: str, system: PlatformTag) -> Candidate:
    return Candidate(nvcc=home / "bin" / program("nvcc", system), named_by=named_by)


def _found(candidate: Candidate, examined: Examined) -> FoundToolkit:
    said, named_by = examined.said, (candidate.named_by,)
    verdict = Verdict.BROKEN if examined.is_broken else Verdict.MISFIT if examined.reason else Verdict.FITS
    if said is None:
        home = candidate.nvcc.parent.parent
        return FoundToolkit(home=home, named_by=named_by, verdict=verdict, reason=examined.reason)
    return FoundToolkit(
        home=said.home, named_by=named_by, verdict=verdict, reason=examined.reason, version=said.version,
        architectures=said.architectures, limits=read_limits(said.home),
    )  # fmt: skip


def _merged(found: Sequence[FoundToolkit]) -> list[FoundToolkit]:
    once: dict[Path, FoundToolkit] = {}
    for one in found:
        home = one.home.resolve()
        known = once.get(home)
        names = one.named_by if known is None else (*known.named_by, *one.named_by)
        once[home] = replace(known or one, named_by=tuple(dict.fromkeys(names)))
    return list(once.values())


def _chosen(found: Sequence[FoundToolkit], *, only_first: bool) -> tuple[FoundToolkit, ...]:
    taken = next((one for one in found if one.verdict is Verdict.FITS), None)
    if only_first and found and taken is not found[0]:
        taken = None
    chosen = []
    for one in found:
        if one is taken:
            chosen.append(replace(one, verdict=Verdict.TAKEN, reason="the first that fits"))
        elif one.verdict is Verdict.FITS:
            first = "the profile names another" if taken is None else f"{taken.home} comes first"
            chosen.append(replace(one, reason=f"fits, but {first}"))
        else:
            chosen.append(one)
    return tuple(chosen)
