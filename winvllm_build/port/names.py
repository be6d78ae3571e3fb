"""Names that a carried patch uses and upstream's file no longer has: a clean merge that would not work."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final

from winvllm_build.patchset.diff import Diff

WORD: Final = re.compile(rb"[A-Za-z_]\w+")
STRING: Final = re.compile(rb'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'')
SLASHES: Final = re.compile(rb"//[^\n]*|/\*.*?\*/", re.DOTALL)
HASH: Final = re.compile(rb"#[^\n]*")
COMMENTS: Final = {
    ".py": HASH, ".cmake": HASH, ".txt": HASH,
    **dict.fromkeys((".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp", ".inc", ".rs"), SLASHES),
}  # fmt: skip
"""How a comment looks, by suffix; files of other kinds are not looked at."""


def lost(was: Diff, now: Diff, *, old: bytes, new: bytes) -> tuple[str, ...]:
    """Names in the patch's added lines that the old upstream file has and the new one does not.

    A name that the added lines brought themselves is not among them: it was not in the old file either.

    Args:
        was: the patch.
        now: the patch as carried.
        old: upstream's file before.
        new: upstream's file now.
    """
    comment = COMMENTS.get(PurePosixPath(was.path).suffix)
    if comment is None:
        return ()
    used = {name for name in _code_words(b"\n".join(_added(now)), comment) if name in old}
    gone = used - set(WORD.findall(new))
    missing = gone & _code_words(old, comment) if gone else ()
    return tuple(sorted(name.decode("ascii", "replace") for name in missing))


def _added(diff: Diff) -> list[bytes]:
    return [line[1:] for hunk in diff.hunks for line in hunk.lines if line[:1] == b"+"]


def _code_words(content: bytes, comment: re.Pattern[bytes]) -> set[bytes]:
    return set(WORD.findall(STRING.sub(b"", comment.sub(b"", content))))
