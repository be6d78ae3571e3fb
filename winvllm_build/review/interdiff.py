"""Two versions of a patch set compared by what the patches change, not by where: the review of a port."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from winvllm_build.patchset.diff import Diff, Hunk
from winvllm_build.patchset.header import Header
from winvllm_build.patchset.patchset import Patch
from winvllm_build.review import hunkpair
from winvllm_build.review.hunkpair import ChangedHunk
from winvllm_build.review.page import reasons_of

NOTES = ("Hunk", "Orphan")
"""Compared hunk by hunk instead."""


class State(enum.Enum):
    """What became of a patch."""

    SAME = "same"
    CHANGED = "changed"
    MOVED = "moved"
    """To another file or layer; what it changes is compared all the same."""
    OLD_ONLY = "gone"
    NEW_ONLY = "new"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """A header field, or the note of a hunk, before and after; None where it is not there."""

    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchDelta:
    """One patch of the old set beside one of the new.

    Attributes:
        state: what became of it.
        old: the patch of the old set; None where only the new one has it.
        new: the patch of the new set.
        kept: hunks with the same id; their place and context may be others.
        changed: hunks that say something else now.
        gone: hunks of the old patch alone.
        added: hunks of the new patch alone.
        fields: what the header and the notes of kept hunks say differently.
        forms: a change of mode, of binary content, of the kind of change.
    """

    state: State
    old: Patch | None
    new: Patch | None
    kept: int = 0
    changed: tuple[ChangedHunk, ...] = ()
    gone: tuple[Hunk, ...] = ()
    added: tuple[Hunk, ...] = ()
    fields: tuple[FieldChange, ...] = ()
    forms: tuple[FieldChange, ...] = ()

    @property
    def patches(self) -> tuple[Patch, ...]:
        """The newer first."""
        return tuple(patch for patch in (self.new, self.old) if patch is not None)

    @property
    def path(self) -> str:
        return self.patches[0].path


def compare(old: Sequence[Patch], new: Sequence[Patch]) -> tuple[PatchDelta, ...]:
    """Every patch of both sets, by path; patches that moved to another file are paired."""
    left, right = list(old), list(new)
    deltas = []
    for before, after in _pairs(left, right):
        left.remove(before)
        right.remove(after)
        deltas.append(_delta(before, after))
    deltas += [
        PatchDelta(state=State.OLD_ONLY, old=patch, new=None, gone=patch.content.diff.hunks) for patch in left
    ]
    deltas += [
        PatchDelta(state=State.NEW_ONLY, old=None, new=patch, added=patch.content.diff.hunks)
        for patch in right
    ]
    return tuple(sorted(deltas, key=lambda delta: (delta.path, delta.patches[0].layer)))


def _pairs(old: Sequence[Patch], new: Sequence[Patch]) -> list[tuple[Patch, Patch]]:
    """The same file of the same layer; else of another; else the same change; else the most in common."""
    left, right = list(old), list(new)
    pairs: list[tuple[Patch, Patch]] = []
    for key in (_place, _file, _change):
        for before, after in _with_equal(left, right, key):
            pairs.append((before, after))
            left.remove(before)
            right.remove(after)
    ranked = [(_in_common(a, b), a.path, b.path, a, b) for a in left for b in right if a.target == b.target]
    for common, _, _, before, after in sorted(ranked, key=lambda found: found[:3], reverse=True):
        if common > (0, 0.0) and before in left and after in right:
            pairs.append((before, after))
            left.remove(before)
            right.remove(after)
    return pairs


def _with_equal(
    left: Sequence[Patch], right: Sequence[Patch], key: Callable[[Patch], object]
) -> list[tuple[Patch, Patch]]:
    there = {key(patch): patch for patch in reversed(right)}
    found = ((patch, there.pop(key(patch), None)) for patch in left)
    return [(before, after) for before, after in found if after is not None]


def _place(patch: Patch) -> object:
    return patch.target, patch.path, patch.layer


def _file(patch: Patch) -> object:
    return patch.target, patch.path


def _change(patch: Patch) -> object:
    return patch.target, patch.change, patch.content.diff.change_id


def _in_common(old: Patch, new: Patch) -> tuple[int, float]:
    """How many hunks two patches share; between files of one name also how alike the rest is."""
    one, other = (Counter(hunk.id for hunk in patch.content.diff.hunks) for patch in (old, new))
    shared = (one & other).total()
    if PurePosixPath(old.path).name != PurePosixPath(new.path).name:
        return shared, 0.0
    alike = hunkpair.likeness(_changed_lines(old), _changed_lines(new))
    return shared, alike if alike >= hunkpair.ALIKE else 0.0


def _changed_lines(patch: Patch) -> list[bytes]:
    return [line for hunk in patch.content.diff.hunks for line in hunkpair.changes(hunk)]


def _delta(old: Patch, new: Patch) -> PatchDelta:
    gone, added = list(old.content.diff.hunks), []
    kept: list[tuple[Hunk, Hunk]] = []
    for hunk in new.content.diff.hunks:
        same = next((other for other in gone if other.id == hunk.id), None)
        if same is None:
            added.append(hunk)
        else:
            gone.remove(same)
            kept.append((same, hunk))
    pairing = hunkpair.pair(gone, added)
    fields = (*_fields(old.content.header, new.content.header), *_notes(old, new, kept))
    forms = tuple(_forms(old.content.diff, new.content.diff))
    state = State.CHANGED if gone or added or fields or forms else State.SAME
    return PatchDelta(
        state=State.MOVED if _place(old) != _place(new) else state, old=old, new=new, kept=len(kept),
        changed=pairing.changed, gone=pairing.gone, added=pairing.added, fields=fields, forms=forms,
    )  # fmt: skip


def _fields(old: Header, new: Header) -> Iterator[FieldChange]:
    before, after = _values(old), _values(new)
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            yield FieldChange(name=name, old=before.get(name), new=after.get(name))


def _values(header: Header) -> Mapping[str, str]:
    """Each field but the notes; one that is repeated counts as one of several lines."""
    made: dict[str, str] = {}
    for field in header.fields:
        if field.name not in NOTES:
            made[field.name] = f"{made[field.name]}\n{field.value}" if field.name in made else field.value
    return made


def _notes(old: Patch, new: Patch, kept: Sequence[tuple[Hunk, Hunk]]) -> Iterator[FieldChange]:
    before, after = reasons_of(old), reasons_of(new)
    for was, now in kept:
        if before.get(was.line) != after.get(now.line):
            yield FieldChange(name=f"Hunk {now.id}", old=before.get(was.line), new=after.get(now.line))


def _forms(old: Diff, new: Diff) -> Iterator[FieldChange]:
    if old.change is not new.change:
        yield FieldChange(name="change", old=old.change.name.lower(), new=new.change.name.lower())
    elif old.modes != new.modes:
        yield FieldChange(name="mode", old=" -> ".join(old.modes), new=" -> ".join(new.modes))
    if (old.binary or new.binary) and old.change_id != new.change_id:
        yield FieldChange(name="binary content", old=old.change_id, new=new.change_id)
