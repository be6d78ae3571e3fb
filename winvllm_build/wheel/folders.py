"""Folders of the machine that made a wheel, where they must not or should not stand in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath, PureWindowsPath
from typing import Final

from winvllm_build.wheel import finding
from winvllm_build.wheel.binary import ORIGIN, Binary
from winvllm_build.wheel.finding import Finding, Severity, Subject, problem
from winvllm_build.wheel.opened import Content, Member

TEXTS: Final = frozenset(
    {".cfg", ".cmake", ".in", ".ini", ".json", ".md", ".py", ".pyi", ".toml", ".txt", ""}
)
OURS: Final = (
    rb"(?:/|[A-Za-z]:[\\/])[^\x00-\x1f\"'<>|*?:]{1,200}[\\/](?:trees|builds)[\\/]v\d[^\x00-\x20]{0,200}"
)
"""A tree or build folder of this tool, wherever its workspace is."""
HOMES: Final = (
    rb"(?:/(?:home|Users)/[A-Za-z0-9._-]{1,64}|/root|[A-Za-z]:\\Users\\[A-Za-z0-9._-]{1,64})"
    rb"[\\/][\x20-\x7e]{3,200}"
)
"""Somebody's home folder; followed by enough to be a path and not chance."""
SCRATCH: Final = rb"/tmp/tmpxft_[\x20-\x7e]{1,200}"
"""nvcc's intermediate files."""
PATTERN: Final = re.compile(b"|".join((OURS, HOMES, SCRATCH)))
SHOWN: Final = 100
SHORTEST: Final = 6
"""Characters of a folder that is searched for: `/` and `/tmp` are everywhere."""


def in_loader(binary: Binary, member: str) -> Iterator[Finding]:
    """Folders that the loader would search, which exist on one machine alone or can be somebody else's."""
    for folder in binary.search:
        if not ORIGIN.match(folder):
            yield problem(
                Subject.FOLDERS, f"makes the loader search {folder or 'the current folder'} (RPATH)", member
            )


def in_library(
    content: Content, binary: Binary, member: str, known: Sequence[str], severity: Severity
) -> Iterator[Finding]:
    """Folders of the machine in a library's text and debug information, the first with their number.

    Args:
        content: the library.
        binary: the same as read.
        member: its name.
        known: folders of the machine that made it, as far as they are known.
        severity: how bad: a problem where the compilers were told to leave them out.
    """
    found = [match[0] for match in PATTERN.finditer(content)]
    found += [folder for folder in _spelt(known) if _holds(content, folder)]
    if is_absolute(binary.symbols):
        found.append(binary.symbols.encode())
    if found:
        text = found[0].decode("utf-8", "replace").rstrip("\\/")[:SHOWN]
        more = f" and {len(found) - 1} more" if len(found) > 1 else ""
        what = f"names folders of the machine that made it: {text}{more}"
        yield finding.found(severity, Subject.FOLDERS, what, member)


def in_text(member: Member, known: Sequence[str], *, described: bool) -> Iterator[Finding]:
    """Folders of the machine in a text.

    Args:
        member: the text.
        known: folders of the machine that made it; upstream's own examples of paths are none.
        described: whether the tools wrote it, so that any home folder in it is this machine's.
    """
    if member.suffix not in TEXTS or isinstance(member.content, bytes) is False:
        return
    found = [folder for folder in _spelt(known) if _holds(member.content, folder)]
    if described:
        found += [match[0] for match in PATTERN.finditer(member.content)]
    if found:
        text = found[0].decode("utf-8", "replace")[:SHOWN]
        yield problem(Subject.FOLDERS, f"names a folder of the machine that made it: {text}", member.name)


def is_absolute(path: str) -> bool:
    return PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute()


def _spelt(known: Sequence[str]) -> Iterator[bytes]:
    """Each folder as it may be written: also with the other slash, and with backslashes doubled."""
    for folder in known:
        if len(folder) < SHORTEST:
            continue
        yield folder.encode()
        if "\\" in folder:
            yield folder.replace("\\", "/").encode()
            yield folder.replace("\\", "\\\\").encode()


def _holds(content: Content, folder: bytes) -> bool:
    at = content.find(folder)
    while at >= 0:
        after = content[at + len(folder) : at + len(folder) + 1]
        if after in (b"/", b"\\", b"\0", b'"', b"'", b"\n", b" ", b""):
            return True
        at = content.find(folder, at + 1)
    return False
