"""What the header of a patch says about a difference: its `Guard` has to name the kernel or the variable."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from winvllm_build.audit.device.compare import Compared
from winvllm_build.audit.device.record import Difference
from winvllm_build.patchset.patchset import Patch

FIELD: Final = "Guard"
WORD: Final = re.compile(r"[A-Za-z_]\w{3,}")
NAMESPACES: Final = frozenset({"vllm", "marlin", "cutlass", "cute", "torch", "c10", "std"})
"""A header that names one of these does not name what is in it."""
REGISTERED: Final = "variable "
REGISTERING: Final = "__nv_cudaEntityRegisterCallback"
FOLDER: Final = re.compile(r"(_INTERNAL_|_GLOBAL__N__)[0-9a-f]{8}(?=_)")
LENGTH: Final = re.compile(r"\d+")


def differences(compared: Compared, patches: Iterable[Patch]) -> tuple[Difference, ...]:
    """Every difference with its reason; the reason is empty where no header gives one.

    Args:
        compared: what was found.
        patches: those whose files went into the unit.
    """
    found = [
        Difference(kind=kind, name=name, reason="")
        for kind, names in compared.differing.items()
        for name in names
    ]
    return reasoned(found, patches)


def reasoned(found: Iterable[Difference], patches: Iterable[Patch]) -> tuple[Difference, ...]:
    """Differences with what the headers say of them now.

    What registers kernels and variables with CUDA follows from what there is to register.
    """
    said = [" ".join((patch.content.header.get(FIELD) or "").split()) for patch in patches]
    made = [replace(one, name=_anywhere(one.name), reason=_reason(one.name, said)) for one in found]
    registered = [one.reason for one in made if one.name.startswith(REGISTERED)]
    if registered and all(registered):
        made = [replace(one, reason=registered[0]) if REGISTERING in one.name else one for one in made]
    return tuple(made)


def _anywhere(name: str) -> str:
    """Without the digest of the folder that was compiled in; as long as before, as mangled names need."""
    return FOLDER.sub(rf"\g<1>{'0' * 8}", name)


def _reason(name: str, said: Iterable[str]) -> str:
    parts = set(identifiers(name)) - NAMESPACES
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
