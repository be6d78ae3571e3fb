"""What the header of a patch says about a difference: its `Guard` has to name the kernel or the variable."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from winvllm_build.audit.device.compare import Compared
from winvllm_build.audit.device.record import Difference
from winvllm_build.patchset.patchset import Patch

FIELD: Final = "Guard"
WORD: Final = re.compile(r"[A-Za-z_]\w{3,}")
LENGTH: Final = re.compile(r"\d+")


def differences(compared: Compared, patches: Iterable[Patch]) -> tuple[Difference, ...]:
    """Every difference with its reason; the reason is empty where no header gives one.

    Args:
        compared: what was found.
        patches: those whose files went into the unit.
    """
    said = [" ".join((patch.content.header.get(FIELD) or "").split()) for patch in patches]
    return tuple(
        Difference(kind=kind, name=name, reason=_reason(name, said))
        for kind, names in compared.differing.items()
        for name in names
    )


def _reason(name: str, said: Iterable[str]) -> str:
    parts = set(identifiers(name))
    return next((text for text in said if parts & set(WORD.findall(text))), "")


def identifiers(name: str) -> Iterator[str]:
    """The identifiers in `entry _ZN4vllm5mergeIfEEvPf`: each with its length before it."""
    symbol = name.rpartition(" ")[2]
    if not symbol.startswith("_Z"):
        yield symbol
        return
    at = 0
    while match := LENGTH.search(symbol, at):
        end = match.end() + int(match[0])
        text = symbol[match.end() : end]
        if WORD.fullmatch(text) and len(text) == int(match[0]):
            yield text
            at = end
        else:
            at = match.end()
