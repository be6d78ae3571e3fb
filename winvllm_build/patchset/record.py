"""The record of a port beside the patches it wrote: what became of every patch of the old set, and why."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from winvllm_build.errors import ConflictError, PatchError
from winvllm_build.git import RepoPath
from winvllm_build.patchset import advice

FILE: Final = "ported.json"
SCHEMA: Final = 1
SHOWN: Final = 8
"""Open patches that are named; more are counted."""
Key = tuple[str, str, RepoPath]
"""A patch of the old set: source tree, layer, path."""


class Decision(enum.Enum):
    """Where a patch stands."""

    CARRIED = "carried"
    """There is a patch for the new tag, made without anyone's help."""
    RESOLVED = "resolved"
    """There is one, and a human decided about it."""
    UPSTREAMED = "upstreamed"
    """Upstream has it; there is nothing left to patch."""
    DROPPED = "dropped"
    """A human gave it up; `reason` says why."""
    OPEN = "open"
    """A human has to decide."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ported:
    """One patch of the old set; `to` is its path in the new one, None where it has none."""

    target: str
    layer: str
    path: RepoPath
    to: RepoPath | None
    verdict: str
    decision: Decision
    evidence: tuple[str, ...] = ()
    reason: str = ""

    @property
    def key(self) -> Key:
        return self.target, self.layer, self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """`ported.json`."""

    old: str
    new: str
    patches: tuple[Ported, ...]

    @property
    def open(self) -> tuple[Ported, ...]:
        return tuple(entry for entry in self.patches if entry.decision is Decision.OPEN)

    def serialise(self) -> bytes:
        """The same bytes for the same port on every machine."""
        data = {
            "schema": SCHEMA,
            "from": self.old,
            "to": self.new,
            "patches": [entry_data(entry) for entry in sorted(self.patches, key=lambda entry: entry.key)],
        }
        return json.dumps(data, indent=1, ensure_ascii=True).encode("ascii") + b"\n"


def read(file: Path) -> Record | None:
    """Read a record; None if there is none.

    Raises:
        PatchError: not a record of this schema.
    """
    fix = f"port the set again, or take {file} out of version control's last state"
    try:
        data = json.loads(file.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise PatchError(f"{file} is not valid JSON: {error}", fix=fix) from error
    try:
        if data["schema"] != SCHEMA:
            raise PatchError(f"{file} has schema {data['schema']!r}, this tool reads {SCHEMA}", fix=fix)
        entries = tuple(entry_of(found) for found in data["patches"])
        return Record(old=str(data["from"]), new=str(data["to"]), patches=entries)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise PatchError(f"{file} is damaged: {error!r}", fix=fix) from error


def refuse_open(root: Path, tag: str) -> None:
    """A set that a port has not finished is not taken for a whole one.

    Raises:
        ConflictError: patches of it wait for a human's decision.
        PatchError: its record is damaged.
    """
    made = read(root / tag / FILE)
    if made is not None and made.open:
        listed = "".join(f"\n  {found.path}" for found in made.open[:SHOWN])
        more = f"\n  and {len(made.open) - SHOWN} more" if len(made.open) > SHOWN else ""
        raise ConflictError(
            f"the port of {made.old} to {tag} is not finished; these patches are open:{listed}{more}",
            fix=advice.command("port", tag, "--status", root=root),
        )


def entry_data(entry: Ported) -> dict[str, Any]:
    """One entry as JSON holds it."""
    made: dict[str, Any] = {
        "target": entry.target, "layer": entry.layer, "path": entry.path, "verdict": entry.verdict,
        "decision": entry.decision.value, "evidence": list(entry.evidence),
    }  # fmt: skip
    if entry.to != entry.path:
        made["to"] = entry.to
    if entry.reason:
        made["reason"] = entry.reason
    return made


def entry_of(data: Mapping[str, Any]) -> Ported:
    """What `entry_data` gave.

    Raises:
        KeyError: a field is missing.
        ValueError: a decision that does not exist.
    """
    path = RepoPath(data["path"])
    to = data.get("to", path)
    return Ported(
        target=str(data["target"]), layer=str(data["layer"]), path=path,
        to=None if to is None else RepoPath(to), verdict=str(data["verdict"]),
        decision=Decision(data["decision"]), evidence=tuple(str(words) for words in data["evidence"]),
        reason=str(data.get("reason", "")),
    )  # fmt: skip
