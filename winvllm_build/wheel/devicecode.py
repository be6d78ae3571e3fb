"""Device code that was asked for against what is there, for each extension and for the whole wheel."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from winvllm_build.wheel.finding import Finding, Subject, problem


def of_extension(code: frozenset[str], asked: Sequence[str] | None, member: str) -> Iterator[Finding]:
    """Whether an extension holds exactly what its compile commands asked for.

    Args:
        code: what it holds.
        asked: `sm_86`, `compute_80`; None where the commands do not say it.
        member: its name.
    """
    if asked is None:
        return
    lacking, more = sorted({*asked} - code), sorted(code - {*asked})
    if lacking:
        yield problem(
            Subject.DEVICE_CODE, f"lacks code for {', '.join(lacking)}; it has {_words(code)}", member
        )
    if more:
        yield problem(Subject.DEVICE_CODE, f"has code for {', '.join(more)}, which was not asked for", member)


def of_wheel(codes: Mapping[str, frozenset[str]], archs: Sequence[str]) -> Iterator[Finding]:
    """Whether the wheel has code for each architecture in its name, and each extension runs on one of them.

    Args:
        codes: of each extension with device code.
        archs: `8.6`, `86`, `90a`, `86ptx`, `8.6+PTX`.
    """
    if not codes or not archs:
        return
    together: frozenset[str] = frozenset().union(*codes.values())
    for arch in archs:
        number, suffix, ptx = split(arch)
        native = re.compile(rf"sm_{number}{suffix or '[af]?'}")
        if not any(native.fullmatch(name) for name in together):
            yield problem(
                Subject.DEVICE_CODE, f"no extension has code for {arch}; they have {_words(together)}"
            )
        if ptx and f"compute_{number}{suffix}" not in together:
            yield problem(Subject.DEVICE_CODE, f"no extension has the PTX of {arch}")
    for member, code in sorted(codes.items()):
        if not any(runs(name, split(arch)[0]) for name in code for arch in archs):
            yield problem(
                Subject.DEVICE_CODE,
                f"has code for {_words(code)}; none runs on what the wheel is for ({', '.join(archs)})",
                member,
            )


def runs(code: str, number: int) -> bool:
    """Whether code such as `sm_80` or `compute_75` runs on a GPU of compute capability `number` (86)."""
    found = re.fullmatch(r"(sm|compute)_(\d+)([af]?)", code)
    if found is None:
        return False
    made, suffix = int(found[2]), found[3]
    if suffix == "a":
        return made == number
    if found[1] == "compute" and not suffix:
        return made <= number
    return made // 10 == number // 10 and made <= number


def split(arch: str) -> tuple[int, str, bool]:
    """Number, suffix and whether PTX is asked for: `9.0a+PTX` is 90, `a`, True."""
    found = re.fullmatch(r"(\d+)\.?(\d)([af]?)(\+PTX|ptx)?", arch)
    if found is None:
        raise ValueError(f"{arch!r} is no architecture")
    return int(found[1] + found[2]), found[3], found[4] is not None


def _words(code: frozenset[str]) -> str:
    return ", ".join(sorted(code)) or "none"
