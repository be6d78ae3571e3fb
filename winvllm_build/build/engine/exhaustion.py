"""Did a command fail for want of memory? Told by codes, and by words where no code says it."""

from __future__ import annotations

import re
from typing import Final

KILLED: Final = frozenset({-9, 137})
STATUS: Final = frozenset({0xC0000017, 0xC000001D, 0xC000012D, 0xC0000409})
"""Windows: no memory, illegal instruction (cl.exe under load), commitment limit, fail-fast (cicc, heap)."""
CODES: Final = ("C1002", "C1060", "C1076", "C3859", "D8040", "LNK1102")
"""What cl.exe and link.exe call it, in every language of theirs."""
TEXTS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rb"\b(" + "|".join(CODES).encode() + rb")\s*:",
        rb"(?i)\bdied (due to signal 9\b|with status 0x("
        + "|".join(f"{status:X}" for status in sorted(STATUS)).encode()
        + rb")\b)",
        rb"\bKilled signal terminated program\b|\bld terminated with signal 9\b",
        rb"(?m)^(\S+: )?Killed(: 9)?\s*$",
        rb"\bstd::bad_alloc\b|\bcicc\b.*\bbad_alloc\b",
        rb"(?i)\bvirtual memory exhausted\b",
        rb"(?im)^[^\n]{0,300}\b(error|fatal)\b[^\n]{0,300}\bout of memory\b",
        rb"(?im)^[^\s:]+: out of memory\b",
        rb"(?i)\bptxas fatal\s*: memory allocation failure\b",
        rb"(?i)\bout of heap space\b",
    )
)


def ran_out(code: int, text: bytes) -> bool:
    """Whether the failure is one that more memory, or less company, would have prevented.

    Args:
        code: exit code; below 0 the signal; Windows's status codes signed or not.
        text: everything the command printed.
    """
    if code == 0:
        return False
    if code in KILLED or code & 0xFFFFFFFF in STATUS:
        return True
    return any(pattern.search(text) for pattern in TEXTS)
