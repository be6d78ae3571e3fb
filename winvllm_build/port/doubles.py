"""Changes that upstream made too, elsewhere in the file: a clean merge has them twice, or not at all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

from winvllm_build.patchset.diff import Diff

WORD: Final = re.compile(rb"\w{2,}")
ENOUGH_ADDED: Final = 12
"""Letters that make added lines worth comparing; `return None` is written anywhere."""
ENOUGH_ONCE: Final = 9
"""Letters that make a line worth comparing which the old file has once; `continue` does not."""


def doubled(now: Diff, *, old: bytes, new: bytes) -> tuple[str, ...]:
    """First lines of what the carried patch adds although upstream has added it too, elsewhere.

    Args:
        now: the patch as carried.
        old: upstream's file before.
        new: upstream's file now.
    """
    blocks = {block for block in _blocks(now) if _is_in(block, new) and not _is_in(block, old)}
    return tuple(sorted(_shown(next(line for line in block if line.strip())) for block in blocks))


def remaining(was: Diff, now: Diff | None, *, old: bytes, new: bytes) -> tuple[str, ...]:
    """Lines that the patch removes and the carried one no longer does, though upstream only moved them.

    Args:
        was: the patch.
        now: the patch as carried; None where nothing of it is left.
        old: upstream's file before.
        new: upstream's file now.
    """
    gone = _removed(was) - (_removed(now) if now is not None else Counter())
    added = {line[1:].strip() for hunk in was.hunks for line in hunk.lines if line[:1] == b"+"}
    return tuple(sorted(_shown(line) for line in elsewhere(set(gone) - added, old=old, new=new)))


def elsewhere(lines: Iterable[bytes], *, old: bytes, new: bytes) -> set[bytes]:
    """Those of the lines, taken from the old file, that it has once and the new one has too."""
    wanted = {line.strip() for line in lines if _letters(line) >= ENOUGH_ONCE}
    wanted = {line for line in wanted if line in old and line in new}
    if not wanted:
        return set()
    counts = Counter(line.strip() for line in old.split(b"\n"))
    return {line for line in wanted if counts[line] == 1} & {line.strip() for line in new.split(b"\n")}


def _blocks(diff: Diff) -> Iterator[tuple[bytes, ...]]:
    """Added lines without others between them."""
    for hunk in diff.hunks:
        block: list[bytes] = []
        for line in (*hunk.lines, b" "):
            if line[:1] == b"+":
                block.append(line[1:])
                continue
            if _letters(b"\n".join(block)) >= ENOUGH_ADDED:
                yield tuple(block)
            block = []


def _removed(diff: Diff) -> Counter[bytes]:
    return Counter(line[1:].strip() for hunk in diff.hunks for line in hunk.lines if line[:1] == b"-")


def _letters(text: bytes) -> int:
    return sum(map(len, WORD.findall(text)))


def _is_in(block: tuple[bytes, ...], content: bytes) -> bool:
    return b"\n%b\n" % b"\n".join(block).strip(b"\n") in b"\n%b\n" % content


def _shown(line: bytes) -> str:
    return line.strip().decode("utf-8", "replace")
