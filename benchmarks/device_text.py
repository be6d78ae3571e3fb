"""What cicc's front end hands to its optimiser: the text that nvcc keeps as `.cudafe1.gpu`.

Kernels that are the same there come out the same: nothing behind it knows of headers. It takes a tenth of the
time of PTX where one source has hundreds of kernels.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NUMBERED: Final = re.compile(r"(__cuda_local_var_|\b_+[A-Za-z]{1,3})(\d+)(?=_|\b)")
"""Names that the front end makes up; their numbers count types and lines of the whole text."""
QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
MANGLED: Final = re.compile(r"\b_Z\w+")
KERNEL: Final = "__global__"
DEVICE: Final = "___device__"


@dataclass(frozen=True, slots=True, kw_only=True)
class Functions:
    """Digests of the functions of a text by their names, numbers left aside."""

    kernels: Mapping[str, Sequence[str]]
    others: Mapping[str, Sequence[str]]

    @property
    def digest(self) -> str:
        """Of all kernels."""
        return hashlib.sha256(repr(sorted(self.kernels.items())).encode()).hexdigest()

    def differing(self, other: Functions) -> list[str]:
        """Kernels that are not the same, or not on both sides."""
        names = {*self.kernels, *other.kernels}
        return sorted(name for name in names if self.kernels.get(name) != other.kernels.get(name))

    def others_differing(self, other: Functions) -> list[str]:
        """Device functions and variables of this side that are not the same on the other."""
        return sorted(name for name in self.others if self.others[name] != other.others.get(name))


def read(file: Path) -> Functions:
    """The functions of a text; its last block may lack, where cicc was ended."""
    kernels: dict[str, list[str]] = defaultdict(list)
    others: dict[str, list[str]] = defaultdict(list)
    for block in _blocks(file):
        head = block.partition("{")[0]
        place = kernels if KERNEL in head else others if DEVICE in head else None
        if place is not None and head != block:
            names = MANGLED.findall(numbered(head))
            name = names[0] if KERNEL in head and names else " ".join(names)
            place[name].append(hashlib.sha256(numbered(block).encode()).hexdigest()[:16])
    return Functions(kernels=kernels, others=others)


def numbered(block: str) -> str:
    """A block with made-up names counted anew from its first."""
    seen: dict[str, str] = {}
    return NUMBERED.sub(lambda match: seen.setdefault(match[0], f"{match[1]}#{len(seen)}"), block)


def _blocks(file: Path) -> Iterator[str]:
    """Declarations and definitions outside all braces; line markers are left out."""
    lines: list[str] = []
    depth = 0
    with file.open(encoding="utf-8", errors="replace") as text:
        for line in text:
            if line.startswith("#") or line == "\n":
                continue
            lines.append(line)
            bare = QUOTED.sub("", line)
            depth += bare.count("{") - bare.count("}")
            if depth == 0 and bare.rstrip().endswith((";", "}")):
                yield "".join(lines)
                lines = []
