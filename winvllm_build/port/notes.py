"""The header of a carried patch: its hunk notes follow hunks whose lines upstream's changes altered."""

from __future__ import annotations

from winvllm_build.patchset import patchfile
from winvllm_build.patchset.diff import Diff
from winvllm_build.patchset.header import Header, Note
from winvllm_build.review.hunkpair import pair


def header_of(old: Header, was: Diff, now: Diff) -> Header:
    """`old` for the carried diff; a note whose hunk is gone goes to the hunk it became, if there is one."""
    before, after = {hunk.id for hunk in was.hunks}, {hunk.id for hunk in now.hunks}
    gone = [hunk for hunk in was.hunks if hunk.id not in after]
    added = [hunk for hunk in now.hunks if hunk.id not in before]
    became = (
        {changed.old.id: changed.new.id for changed in pair(gone, added).changed}
        if gone and old.notes
        else {}
    )
    notes = [Note(hunk=became.get(note.hunk, note.hunk), why=note.why) for note in old.notes]
    return patchfile.carried(old.with_notes(notes, old.orphans), now)
