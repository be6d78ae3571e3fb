"""The header of a patch file: what it is for, in DEP-3 fields that survive regeneration byte for byte."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from winvllm_build.errors import PatchError
from winvllm_build.suggest import did_you_mean

FIELDS: Final = (
    "Subject", "Topic", "Description", "Hazards", "Guard", "Upstream-Status", "Remove-When",
    "Since", "Upstream-Ref", "Large-Ok", "Dropped", "Hunk", "Orphan",
)  # fmt: skip
REPEATED: Final = ("Dropped", "Hunk", "Orphan")
MANDATORY: Final = ("Subject", "Description", "Upstream-Status")
UPSTREAM_STATUS: Final = re.compile(
    r"Pending( \[.+\])?|(Submitted|Backport|Denied|Inappropriate|Accepted) \[.+\]", re.DOTALL
)
NOTE: Final = re.compile(r"([0-9a-f]{12}|\?) (\S.*)", re.DOTALL)
TODO: Final = "TODO"
UNKNOWN_HUNK: Final = "?"
"""Stands for the id of the next hunk, in headers written before the diff exists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field; `value` joins continuation lines with a newline, their leading blank removed."""

    name: str
    value: str

    @property
    def text(self) -> str:
        blank = "" if self.value[:1] in ("", "\n") else " "
        return f"{self.name}:{blank}" + self.value.replace("\n", "\n ") + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a `Hunk` (or `Orphan`) field says: the hunk's id and why the hunk is there."""

    hunk: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The fields in the order of the file."""

    fields: tuple[Field, ...] = ()

    def get(self, name: str) -> str | None:
        return next((field.value for field in self.fields if field.name == name), None)

    @property
    def subject(self) -> str:
        return self.get("Subject") or ""

    @property
    def notes(self) -> tuple[Note, ...]:
        return self._notes("Hunk")

    @property
    def orphans(self) -> tuple[Note, ...]:
        return self._notes("Orphan")

    def with_notes(self, notes: Sequence[Note], orphans: Sequence[Note]) -> Header:
        """The same header with other hunk notes, written after all other fields."""
        kept = [field for field in self.fields if field.name not in ("Hunk", "Orphan")]
        kept += [Field(name="Hunk", value=f"{note.hunk} {note.why}") for note in notes]
        kept += [Field(name="Orphan", value=f"{note.hunk} {note.why}") for note in orphans]
        return Header(fields=tuple(kept))

    def with_default(self, name: str, value: str) -> Header:
        """The same header; `name` is added before the hunk notes if it is missing."""
        if self.get(name) is not None:
            return self
        added = Header(fields=(*self.fields, Field(name=name, value=value)))
        return added.with_notes(self.notes, self.orphans)

    def serialise(self) -> bytes:
        """Every field in its canonical form, each line ended with LF."""
        return "".join(field.text for field in self.fields).encode()

    def _notes(self, name: str) -> tuple[Note, ...]:
        matched = (NOTE.fullmatch(field.value) for field in self.fields if field.name == name)
        return tuple(Note(hunk=match[1], why=match[2]) for match in matched if match)


def template(path: str, tag: str) -> Header:
    """The header of a patch nobody has described yet."""
    return Header(
        fields=(
            Field(name="Subject", value=f"{TODO} one line: what changes in {path}"),
            Field(name="Description", value=f"{TODO} why, and what stays as it is on Linux"),
            Field(name="Upstream-Status", value=f"Pending [{TODO}]"),
            Field(name="Since", value=tag),
        )
    )


def parse(text: bytes, *, where: str) -> Header:
    """Read header lines (without the blank line that ends them).

    Args:
        text: UTF-8 lines ended with LF.
        where: the file, for messages.

    Raises:
        PatchError: a line is not a field, a field is unknown or given twice; file and line are named.
    """
    fields: list[Field] = []
    for number, line in enumerate(_lines(text, where), 1):
        if line.startswith(" ") and fields:
            last = fields[-1]
            fields[-1] = Field(name=last.name, value=f"{last.value}\n{line[1:]}")
            continue
        field = _field(line, f"{where}:{number}")
        if field.name not in REPEATED and any(other.name == field.name for other in fields):
            raise PatchError(f"{where}:{number}: the field {field.name} is given twice")
        fields.append(field)
    for field in fields:
        if field.name in ("Hunk", "Orphan") and not NOTE.fullmatch(field.value):
            raise PatchError(
                f"{where}: {field.name}: {field.value!r} does not start with a hunk id and a reason",
                fix="write `Hunk: <12 hexadecimal digits> <why>`",
            )
    return Header(fields=tuple(fields))


def findings(header: Header, hunks: Sequence[str]) -> Iterator[str]:
    """What a person still has to do: missing fields, TODO, unknown status, notes of no hunk."""
    for name in MANDATORY:
        if not (header.get(name) or "").strip():
            yield f"the field {name} is missing"
    for field in header.fields:
        if re.search(rf"\b{TODO}\b", field.value):
            yield f"the field {field.name} still says {TODO}"
    status = header.get("Upstream-Status")
    if status and not UPSTREAM_STATUS.fullmatch(status):
        yield f"Upstream-Status: {status!r} is not one of Pending, Submitted [where], Backport [commit], ..."
    for note in header.notes:
        if note.hunk not in hunks:
            yield f"the note {note.hunk} belongs to no hunk"
    for note in header.orphans:
        yield f"the hunk {note.hunk} is gone; its note is kept as Orphan: {note.why}"


def _lines(text: bytes, where: str) -> list[str]:
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise PatchError(f"{where}:{line}: the header is not UTF-8 text") from error
    return decoded.split("\n")[:-1] if decoded.endswith("\n") else decoded.split("\n") if decoded else []


def _field(line: str, where: str) -> Field:
    match = re.fullmatch(r"([A-Za-z][A-Za-z-]*):(?: (.*))?", line)
    if match is None:
        raise PatchError(
            f"{where}: {line[:60]!r} is neither `Field: value` nor a continuation",
            fix="start continuation lines with one blank; indent quoted samples",
        )
    if match[1] not in FIELDS:
        hint = did_you_mean(match[1], FIELDS)
        raise PatchError(f"{where}: unknown field {match[1]}{hint}", fix=f"known: {', '.join(FIELDS)}")
    return Field(name=match[1], value=match[2] or "")
