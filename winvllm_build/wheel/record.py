"""RECORD: every member once, by the rules of csv, with the hash and size of what is there."""

from __future__ import annotations

import base64
import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from winvllm_build.wheel.finding import Finding, Subject, problem

UNHASHED: Final = frozenset({"RECORD", "RECORD.jws", "RECORD.p7s"})
"""Files of the dist-info folder that RECORD cannot or need not prove."""
ALGORITHM: Final = "sha256"
"""The one hash that bdist_wheel, pip and uv write; weaker ones are refused by installers."""
COLUMNS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of RECORD; `algorithm` and `digest` are empty where there is none."""

    path: str
    algorithm: str
    digest: str
    size: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A RECORD as read; `rows` by path, `findings` about the text itself."""

    name: str
    rows: Mapping[str, Row]
    findings: tuple[Finding, ...]


def read(name: str, content: bytes) -> Record:
    """Read a RECORD.

    Args:
        name: of the member.
        content: its bytes.
    """
    rows: dict[str, Row] = {}
    found: list[Finding] = []
    try:
        lines = list(csv.reader(io.StringIO(content.decode("utf-8"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        return Record(
            name=name, rows={}, findings=(problem(Subject.RECORD, f"is not csv in UTF-8: {error}", name),)
        )
    for number, line in enumerate(lines, 1):
        if len(line) != COLUMNS:
            found.append(_wrong_columns(name, number, line))
            continue
        algorithm, _, digest = line[1].partition("=")
        rows[line[0]] = Row(path=line[0], algorithm=algorithm, digest=digest, size=line[2])
    doubles = Counter(line[0] for line in lines if line)
    found += [problem(Subject.RECORD, f"lists it {n} times", path) for path, n in doubles.items() if n > 1]
    return Record(name=name, rows=rows, findings=tuple(found))


def _wrong_columns(name: str, number: int, line: list[str]) -> Finding:
    hint = "; a comma or quotation mark in a name has to be quoted" if len(line) > COLUMNS else ""
    start = f": {line[0]}" if line else ""
    return problem(
        Subject.RECORD, f"line {number} has {len(line)} fields instead of {COLUMNS}{hint}{start}", name
    )


def presence(record: Record, names: AbstractSet[str]) -> Iterator[Finding]:
    """Members that RECORD does not list, and lines without a member."""
    folder = record.name.rpartition("/")[0]
    free = {f"{folder}/{name}" for name in UNHASHED}
    for name in sorted(names - set(record.rows) - free):
        yield problem(Subject.RECORD, "is not listed in RECORD", name)
    for name in sorted(set(record.rows) - names):
        yield problem(Subject.RECORD, "is listed in RECORD and not in the wheel", name)


def content(record: Record, name: str, *, sha256: bytes, size: int) -> Iterator[Finding]:
    """Whether a member is what RECORD says.

    Args:
        record: the RECORD.
        name: the member.
        sha256: of its content.
        size: of its content in bytes.
    """
    row = record.rows.get(name)
    if row is None or name == record.name:
        return
    if not row.algorithm:
        if name.rpartition("/")[2] not in UNHASHED:
            yield problem(Subject.RECORD, "is listed without a hash", name)
    elif row.algorithm != ALGORITHM:
        yield problem(Subject.RECORD, f"is listed with {row.algorithm}, which proves nothing here", name)
    elif row.digest != encoded(sha256):
        yield problem(Subject.RECORD, "is not what RECORD says: its sha256 is another", name)
    if row.size and row.size != str(size):
        yield problem(Subject.RECORD, f"has {size} bytes, RECORD says {row.size}", name)


def encoded(digest: bytes) -> str:
    """A digest as RECORD writes it: URL-safe, without padding."""
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
