"""Ninja's own logs after a crash: what is torn at their ends is cut off.

Ninja 1.13 does not recover from a torn `.ninja_deps`: it warns, and rebuilds everything at every run (ninja
issue 2703). To a torn line of `.ninja_log` it appends the next one, and loses both.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

SIGNATURE: Final = b"# ninjadeps\n"
VERSIONS: Final = (3, 4)
DEPS: Final = 0x80000000
WORD: Final = 4
LARGEST: Final = (1 << 19) - 1
"""Bytes of one entry; ninja takes no longer one."""


def repair(build: Path) -> str:
    """Cut what is torn; what was done, in words, empty if nothing was.

    Raises:
        OSError: a log cannot be written.
    """
    cut = [
        name
        for name, length in ((".ninja_deps", whole_length), (".ninja_log", whole_lines))
        if _cut(build / name, length)
    ]
    return f"{' and '.join(cut)} were torn and are cut back to what is whole" if cut else ""


def _cut(path: Path, length: Callable[[bytes], int]) -> bool:
    try:
        content = path.read_bytes()
    except OSError:
        return False
    whole = length(content)
    if whole == 0 and content:
        path.unlink(missing_ok=True)
    elif whole < len(content):
        os.truncate(path, whole)
    return whole < len(content)


def whole_lines(content: bytes) -> int:
    """How many bytes from the start are whole lines of a log; what follows a hole of zeros does not count."""
    hole = content.find(b"\0")
    return content.rfind(b"\n", 0, hole if hole >= 0 else len(content)) + 1


def whole_length(content: bytes) -> int:
    """How many bytes from the start are a whole dependency log; 0 if none are."""
    start = len(SIGNATURE) + 4
    if content[: len(SIGNATURE)] != SIGNATURE or len(content) < start:
        return 0
    (version,) = struct.unpack_from("<i", content, len(SIGNATURE))
    if version not in VERSIONS:
        return 0
    at, paths = start, 0
    while at + 4 <= len(content):
        (head,) = struct.unpack_from("<I", content, at)
        size = head & ~DEPS
        end = at + 4 + size
        if size > LARGEST or size % 4 or end > len(content):
            break
        if head & DEPS:
            if not _deps_whole(content, at + 4, size, paths, times=2 if version == VERSIONS[-1] else 1):
                break
        elif not _path_whole(content, at + 4, size, paths):
            break
        else:
            paths += 1
        at = end
    return at


def _deps_whole(content: bytes, at: int, size: int, paths: int, *, times: int) -> bool:
    if size < 4 * (1 + times):
        return False
    numbers = struct.unpack_from(f"<{size // 4}i", content, at)
    return all(0 <= number < paths for number in (numbers[0], *numbers[1 + times :]))


def _path_whole(content: bytes, at: int, size: int, paths: int) -> bool:
    if size <= WORD:
        return False
    (check,) = struct.unpack_from("<I", content, at + size - 4)
    return check == ~paths & 0xFFFFFFFF and content[at] != 0
