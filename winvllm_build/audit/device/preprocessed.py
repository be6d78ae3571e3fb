"""What a preprocessor leaves of a translation unit: each line of text with the place it is from."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MARKER: Final = re.compile(rb'# (\d+) "((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """Equal for equal text from equal places; `lines` counts those that are not empty."""

    sha256: str
    lines: int


def digest(file: Path) -> Digest:
    """Read preprocessed text; how runs of empty lines are written does not matter."""
    with file.open("rb") as handle:
        return digest_of(handle)


def digest_of(lines: Iterable[bytes]) -> Digest:
    """The same of lines in memory."""
    found = hashlib.sha256()
    number, count, name = 0, 0, b""
    for raw in lines:
        line = raw.strip()
        if line.startswith(b"# ") and (match := MARKER.match(line)):
            number, name = int(match[1]), match[2]
            continue
        if line:
            found.update(b"%s:%d:%s\n" % (name, number, line))
            count += 1
        number += 1
    return Digest(sha256=found.hexdigest(), lines=count)
