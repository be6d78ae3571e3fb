"""`suppressions.toml` of a set: hits that are true and harmless where they are, each with its reason."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from winvllm_build.review.facts import Facts
from winvllm_build.review.rules import Finding, Rule, found
from winvllm_build.suggest import did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE: Final = "suppressions.toml"
TABLE: Final = "suppression"
FIELDS: Final = ("hazard", "path", "text", "layer", "reason")
NEEDED: Final = ("hazard", "path", "reason")
HEAD: Final = re.compile(r"\s*\[\[\s*suppression\s*\]\]")
TODO: Final = re.compile(r"\bTODO\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """One entry.

    Attributes:
        hazard: the id.
        path: of the file, or a glob; `*` matches `/` too.
        reason: why it does no harm there.
        text: the stripped line; None for every hit of the hazard in the file.
        layer: it counts only where this optional layer is applied; empty for always.
        line: where the entry begins in its file, from 1.
    """

    hazard: str
    path: str
    reason: str
    text: str | None = None
    layer: str = ""
    line: int = 0

    def covers(self, hazard: str, path: str, text: str) -> bool:
        """Whether it is about a hit of this hazard on this line."""
        return (
            hazard == self.hazard
            and (self.text is None or plain(self.text) == plain(text))
            and fnmatchcase(path, self.path)
        )

    def counts(self, layers: Sequence[str]) -> bool:
        return not self.layer or self.layer in layers


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is wrong with a file of suppressions, and what to do; `line` is 0 where it is the whole file."""

    file: Path
    line: int
    message: str
    fix: str


def plain(text: str) -> str:
    """A line of source without what an editor may change: runs of blanks are one."""
    return " ".join(text.split())


def read(file: Path, known: Collection[str] | None) -> tuple[tuple[Suppression, ...], tuple[Fault, ...]]:
    """The entries of a file that can be used, and what is wrong with the others; a missing file has none.

    Args:
        file: of the set.
        known: every id of a hazard; None where nothing says which there are.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
        loaded: dict[str, Any] = tomllib.loads(text)
    except FileNotFoundError:
        return (), ()
    except (OSError, ValueError, RecursionError) as error:
        return (), (Fault(file=file, line=0, message=f"it cannot be read: {error}", fix=f"edit {file}"),)
    entries = loaded.get(TABLE, [])
    unknown = sorted(set(loaded) - {TABLE})
    faults = [_fault(file, 0, f"unknown key {name}", f"write [[{TABLE}]]") for name in unknown]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        wrong = _fault(file, 0, f"{TABLE} is no list of tables", f"write [[{TABLE}]] before each")
        return (), (*faults, wrong)
    heads = [number for number, line in enumerate(text.splitlines(), 1) if HEAD.match(line)]
    lines = heads if len(heads) == len(entries) else [0] * len(entries)
    found: list[Suppression] = []
    for entry, line in zip(entries, lines, strict=True):
        wrongs = [_fault(file, line, words, fix) for words, fix in _faults(entry, line, known)]
        faults += wrongs
        if not wrongs:
            found.append(Suppression(**entry, line=line))
    return tuple(found), tuple(faults)


def check(facts: Facts) -> Iterator[Finding]:
    """What is wrong with the entries by themselves; `scan --patched` knows hazards, and what is needed."""
    entries, faults = read(facts.folder / FILE, None)
    for fault in faults:
        yield found(Rule.SUPPRESSION, fault.file, fault.message, fault.line or None)
    layers = [] if facts.rules is None else [layer.name for layer in facts.rules.layers]
    seen: dict[tuple[str, str, str | None, str], int] = {}
    for entry in entries:
        if entry.layer and layers and entry.layer not in layers:
            words = f"there is no layer {entry.layer}{did_you_mean(entry.layer, layers)}, so it never counts"
            yield found(Rule.SUPPRESSION, facts.folder / FILE, words, entry.line or None)
        key = entry.hazard, entry.path, entry.text, entry.layer
        if key in seen:
            words = f"the entry at line {seen[key]} says the same"
            yield found(Rule.SUPPRESSION, facts.folder / FILE, words, entry.line or None)
        seen.setdefault(key, entry.line)


def stale(file: Path, entry: Suppression) -> Fault:
    """An entry that matches no live hit any more."""
    what = f"{entry.hazard} in {entry.path}" + (f": {entry.text}" if entry.text is not None else "")
    words = f"no live hit is suppressed by this entry any more ({what})"
    return _fault(file, entry.line, words, f"delete the entry at line {entry.line}")


def _faults(entry: Mapping[str, Any], line: int, known: Collection[str] | None) -> Iterator[tuple[str, str]]:
    """Words and fix of everything wrong with one entry."""
    for name, value in entry.items():
        if name not in FIELDS:
            yield f"unknown key {name}{did_you_mean(name, FIELDS)}", f"known: {', '.join(FIELDS)}"
        elif not isinstance(value, str):
            yield f"{name} is no text", "write it in quotes"
    for name in NEEDED:
        value = entry.get(name, "")
        if isinstance(value, str) and (not value.strip() or (name == "reason" and TODO.search(value))):
            yield f"it has no {name}", f"write one, or delete the entry at line {line}"
    hazard = entry.get("hazard")
    if isinstance(hazard, str) and hazard and known is not None and hazard not in known:
        yield (
            f"there is no hazard {hazard}{did_you_mean(hazard, known)}",
            "winvllm-build scan --explain ID",
        )


def _fault(file: Path, line: int, message: str, fix: str) -> Fault:
    return Fault(
        file=file, line=line, message=message, fix=f"{fix} of {file}" if fix.startswith("delete") else fix
    )
