"""Whether hunks fit a file: at their lines, elsewhere, backwards, with other line ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from winvllm_build.patchset.blob import LINE, sides, with_hunks
from winvllm_build.patchset.diff import Hunk

SWAPPED: Final = {b"+": b"-", b"-": b"+"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """The hunks of a patch with the line ends they may have been meant with; `words` say what was changed."""

    hunks: tuple[Hunk, ...]
    words: str = ""


def forms(hunks: Sequence[Hunk], *, crlf: bool) -> Iterator[Form]:
    """The readings of line ends, the likeliest first.

    Args:
        hunks: as they stand in the patch.
        crlf: git's own lines end in CRLF too, so the whole patch was converted.
    """
    ends = [line.endswith(b"\r") for hunk in hunks for line in hunk.lines if line[:1] != b"\\"]
    as_is = Form(hunks=tuple(hunks))
    stripped = Form(
        hunks=tuple(_with_ends(hunk, b"") for hunk in hunks), words="CRLF line ends converted to LF"
    )
    added = Form(
        hunks=tuple(_with_ends(hunk, b"\r") for hunk in hunks), words="LF line ends converted to CRLF"
    )
    if any(ends):
        yield from (stripped, as_is) if crlf else (as_is, stripped)
    else:
        yield as_is
    if not all(ends):
        yield added


def backwards(hunks: Sequence[Hunk]) -> tuple[Hunk, ...]:
    """The hunks that undo `hunks`."""
    return tuple(
        Hunk(
            line=hunk.line, old_start=hunk.new_start, old_count=hunk.new_count, new_start=hunk.old_start,
            new_count=hunk.old_count,
            lines=tuple(SWAPPED.get(line[:1], line[:1]) + line[1:] for line in hunk.lines),
        )
        for hunk in hunks
    )  # fmt: skip


def exact(form: Form, before: bytes) -> bytes | None:
    """`before` with the hunks at exactly their lines."""
    return with_hunks(form.hunks, before)


def places(hunk: Hunk, before: bytes) -> tuple[int, ...]:
    """The lines, from 1, at which all lines of the hunk's old side are; nothing for one without any."""
    lines = LINE.findall(before)
    wanted, _ = sides(hunk)
    if not wanted:
        return ()
    return tuple(
        at + 1
        for at in range(len(lines) - len(wanted) + 1)
        if lines[at] == wanted[0] and lines[at : at + len(wanted)] == wanted
    )


def nearest(hunk: Hunk, found: Sequence[int]) -> int:
    """How far the nearest of `found` is from where the hunk should be."""
    return min((at - hunk.old_start for at in found), key=abs)


def is_there(form: Form, content: bytes) -> bool:
    """Whether every hunk's new side is in `content` once, and no old side is: the change was made already.

    Hunks without context tell nothing.
    """
    undone = backwards(form.hunks)
    telling = all(any(line[:1] == b" " for line in hunk.lines) for hunk in undone)
    once = telling and all(len(places(hunk, content)) == 1 for hunk in undone)
    return bool(undone) and once and not any(places(hunk, content) for hunk in form.hunks)


def likeliest(found: Sequence[Form], before: bytes) -> Form:
    """The reading of which most hunks are somewhere in the file."""
    return max(found, key=lambda form: sum(bool(places(hunk, before)) for hunk in form.hunks))


def misfits(form: Form, before: bytes) -> Iterator[str]:
    """Each hunk that is not at its lines, with the reason in words."""
    for number, hunk in enumerate(form.hunks, 1):
        span = f"hunk {number} of {len(form.hunks)} (lines {hunk.old_start},{hunk.old_count})"
        found = places(hunk, before)
        if hunk.old_start in found or (hunk.old_count == 0 and not found):
            continue
        if not found:
            yield f"{span}: its lines are not in the file"
        elif len(found) == 1:
            yield f"{span}: its lines are {nearest(hunk, found):+d} lines away"
        else:
            yield f"{span}: its lines are in the file {len(found)} times"


def _with_ends(hunk: Hunk, end: bytes) -> Hunk:
    plain = (line if line[:1] == b"\\" else line.removesuffix(b"\r") + end for line in hunk.lines)
    return replace(hunk, lines=tuple(plain))
