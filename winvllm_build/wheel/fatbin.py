"""Device code inside a library, read from the fat binaries that nvcc embeds, without a tool of the toolkit.

The layout is not documented by NVIDIA; what is read here was held against `cuobjdump` (docs/wheel.md).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from winvllm_build.wheel.opened import Content

MAGIC: Final = 0xBA55ED50
HEADER: Final = struct.Struct("<IHHQ")
"""Magic, version, size of this header, size of the entries after it in bytes."""
ENTRY: Final = struct.Struct("<HHIQIIHHIIIQ")
"""Kind, version, header size, payload size, compressed size, options, minor, major, architecture, name, its
length, flags; sizes in bytes."""
PREFIX: Final = {1: "compute_", 2: "sm_"}
"""The kinds of entry: PTX, and machine code as an ELF file."""
SPECIFIC: Final = 1 << 20
FAMILY: Final = 1 << 21
"""Flags of `sm_90a` and of `sm_100f`."""
ALIGNMENT: Final = 8


class DamagedError(ValueError):
    """A section that should hold fat binaries does not."""


def architectures(content: Content, start: int, size: int) -> frozenset[str]:
    """What a section of fat binaries holds code for: `sm_86`, `sm_90a`, `compute_86` for PTX.

    Args:
        content: the whole file.
        start: where the section begins.
        size: its length in bytes.

    Raises:
        DamagedError: the section leaves the file, an entry its fat binary, or its kind is not known.
    """
    if start < 0 or start + size > len(content):
        raise DamagedError(f"the section at {start:#x} leaves the file")
    return frozenset(
        name
        for first, last in _fat_binaries(content, start, start + size)
        for name in _entries(content, first, last)
    )


def _fat_binaries(content: Content, at: int, end: int) -> Iterator[tuple[int, int]]:
    """Where the entries of each fat binary begin and end; between them is padding."""
    while at + HEADER.size <= end:
        magic, _, header, size = HEADER.unpack_from(content, at)
        if magic != MAGIC:
            at += ALIGNMENT
            continue
        first, last = at + header, at + header + size
        if header < HEADER.size or last > end:
            raise DamagedError(f"the fat binary at {at:#x} leaves its section")
        yield first, last
        at = last + -last % ALIGNMENT


def _entries(content: Content, at: int, end: int) -> Iterator[str]:
    while at + ENTRY.size <= end:
        kind, _, header, size, *_, arch, _, _, flags = ENTRY.unpack_from(content, at)
        if header < ENTRY.size or at + header + size > end:
            raise DamagedError(f"the entry at {at:#x} leaves its fat binary")
        if kind not in PREFIX:
            raise DamagedError(f"the entry at {at:#x} is of the unknown kind {kind}")
        yield f"{PREFIX[kind]}{arch}{_suffix(flags)}"
        at += header + size


def _suffix(flags: int) -> str:
    if flags & SPECIFIC:
        return "a"
    return "f" if flags & FAMILY else ""
