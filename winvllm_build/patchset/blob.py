"""File contents as git names them, and one diff applied to one content without git."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Final

from winvllm_build.git import Oid
from winvllm_build.patchset.diff import Change, Diff, Hunk

LINE: Final = re.compile(rb"[^\n]*\n|[^\n]+")


def blob_id(content: bytes) -> Oid:
    digest = hashlib.sha1(b"blob %d\0" % len(content), usedforsecurity=False)
    digest.update(content)
    return Oid(digest.hexdigest())


def proven(diff: Diff, before: bytes | None) -> bool:
    """Whether `diff` turns exactly its pre blob into exactly its post blob.

    Args:
        diff: a text diff; nothing is proven about a binary one.
        before: the file it is made for; None for an added file.
    """
    if diff.binary or diff.post is None:
        return False
    if diff.change is not Change.ADDED and (before is None or blob_id(before) != diff.pre):
        return False
    after = patched(diff, before or b"")
    if diff.change is Change.DELETED:
        return after == b""
    return after is not None and blob_id(after) == diff.post


def patched(diff: Diff, before: bytes) -> bytes | None:
    """`before` with the hunks of `diff` at exactly their lines; None where they do not fit."""
    return with_hunks(diff.hunks, before)


def with_hunks(hunks: Iterable[Hunk], before: bytes) -> bytes | None:
    """`before` with `hunks` at exactly their lines; None where they do not fit, overlap or go backwards."""
    old = LINE.findall(before)
    made: list[bytes] = []
    at = 0
    for hunk in hunks:
        start = hunk.old_start - (hunk.old_count > 0)
        removed, added = sides(hunk)
        if start < at or start > len(old) or old[start : start + len(removed)] != removed:
            return None
        made += old[at:start] + added
        at = start + len(removed)
    return b"".join(made + old[at:])


def sides(hunk: Hunk) -> tuple[list[bytes], list[bytes]]:
    """The lines before and after, with their ends as in the file."""
    removed: list[bytes] = []
    added: list[bytes] = []
    last: tuple[list[bytes], ...] = ()
    for line in hunk.lines:
        if line.startswith(b"\\"):
            for side in last:
                side[-1] = side[-1][:-1]
            continue
        last = {b" ": (removed, added), b"-": (removed,), b"+": (added,)}[line[:1]]
        for side in last:
            side.append(line[1:] + b"\n")
    return removed, added
