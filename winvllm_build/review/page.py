"""One patch to be read: its header, then each hunk with the reason in front of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from typing_extensions import assert_never

from winvllm_build.git import NO_OBJECT
from winvllm_build.patchset.diff import Change, Hunk
from winvllm_build.patchset.linecount import count
from winvllm_build.patchset.patchset import Patch
from winvllm_build.review.text import Line, Look, field_lines, harmless, look_of, shown

NO_REASON: Final = "no reason is noted"


def change_word(change: Change) -> str:
    match change:
        case Change.ADDED:
            return "new file"
        case Change.MODIFIED:
            return "modified"
        case Change.DELETED:
            return "deleted"
        case _:
            assert_never(change)


def title(patch: Patch) -> Line:
    lines = count(patch.content.diff)
    words = f"{patch.layer}/{patch.target} {patch.path}: {change_word(patch.change)}, "
    return Line(look=Look.TITLE, text=f"{words}+{lines.added} -{lines.removed}")


def page(patch: Patch) -> Iterator[Line]:
    """The whole patch."""
    yield title(patch)
    header = patch.content.header
    yield from field_lines((f.name, f.value) for f in header.fields if f.name != "Hunk")
    yield from _form(patch)
    reasons = reasons_of(patch)
    for hunk in patch.content.diff.hunks:
        yield Line(look=Look.CONTEXT, text="")
        yield _reason(hunk, reasons)
        yield Line(look=Look.RANGE, text=shown(range_line(patch, hunk)))
        yield from (Line(look=look_of(line), text=shown(line)) for line in hunk.lines)


def reasons(patch: Patch) -> Iterator[Line]:
    """Only why the patch and each of its hunks is there."""
    yield title(patch)
    header = patch.content.header
    named = ((name, header.get(name)) for name in ("Subject", "Description", "Remove-When"))
    yield from field_lines((name, value) for name, value in named if value)
    found = reasons_of(patch)
    yield from (_reason(hunk, found) for hunk in patch.content.diff.hunks)


def reasons_of(patch: Patch) -> Mapping[int, str]:
    """The notes of a patch by `Hunk.line`; of hunks that are alike, the first note is the first one's."""
    waiting = list(patch.content.header.notes)
    found: dict[int, str] = {}
    for hunk in patch.content.diff.hunks:
        note = next((note for note in waiting if note.hunk == hunk.id), None)
        if note is not None:
            waiting.remove(note)
            found[hunk.line] = note.why
    return found


def range_line(patch: Patch, hunk: Hunk) -> bytes:
    """A hunk's `@@` line with the heading that git found for it."""
    return patch.content.diff.text.split(b"\n", hunk.line)[hunk.line - 1]


def first_line(hunk: Hunk) -> int:
    """The line of the patched file where the hunk's first change is."""
    return hunk.new_start + next(at for at, line in enumerate(hunk.lines) if line[:1] in (b"+", b"-"))


def _reason(hunk: Hunk, found: Mapping[int, str]) -> Line:
    why = found.get(hunk.line)
    look = Look.MISSING if why is None else Look.REASON
    words = NO_REASON if why is None else why.replace("\n", " ")
    return Line(look=look, text=f"{hunk.id} line {first_line(hunk)}: {harmless(words)}")


def _form(patch: Patch) -> Iterator[Line]:
    """What a diff says besides its lines."""
    diff = patch.content.diff
    if diff.change is Change.MODIFIED and diff.modes[0] != diff.modes[1]:
        yield Line(look=Look.RANGE, text=f"mode {diff.modes[0]} -> {diff.modes[1]}")
    if diff.binary:
        sides = (oid[:12] if oid != NO_OBJECT else "no file" for oid in (patch.pre, patch.post))
        yield Line(look=Look.RANGE, text=f"binary content {' -> '.join(sides)}")
