"""The recorded logs: what each is expected to mean, where it is from, and its bytes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

LOGS = Path(__file__).with_name("logs")
MARK = b"#! "
NOTHING = "none"
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A log of the corpus.

    Attributes:
        name: of its file.
        rules: the rule of each failure in order; `unknown` for one that no rule may claim.
        origin: recorded and how, quoted from where, or constructed from what documentation.
        refs: rows of references, hazards and threads that it stands for.
        content: the log without its head.
    """

    name: str
    rules: tuple[str, ...]
    origin: str
    refs: str
    content: bytes


def recorded() -> list[Recorded]:
    """Every log, by name."""
    return [_read(file) for file in sorted(LOGS.glob("*.log"))]


def _read(file: Path) -> Recorded:
    rows = file.read_bytes().splitlines(keepends=True)
    head = [row for row in rows if row.startswith(MARK)]
    fields = dict(row[len(MARK) :].decode().strip().split(": ", 1) for row in head)
    rules = () if fields["rule"] == NOTHING else tuple(fields["rule"].split(", "))
    return Recorded(
        name=file.stem,
        rules=rules,
        origin=fields["origin"],
        refs=fields.get("refs", ""),
        content=b"".join(rows[len(head) :]),
    )
