"""The rules of `lint`: one member each, with how much it weighs, what it means and what repairs it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MOST_LINES: Final = 400
"""Changed lines of a patch that needs no `Large-Ok`."""
LONGEST_NAME: Final = 220
"""Of a patch file below the folder of patch sets: 40 of Windows' 260 are left for where that lies."""


class Severity(enum.Enum):
    """Whether a finding fails the check."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What a rule says; `fix` may hold `{file}`, `{restore}`, `{regen}`, `{manifest}`."""

    severity: Severity
    what: str
    fix: str


def _error(what: str, fix: str) -> Meaning:
    return Meaning(severity=Severity.ERROR, what=what, fix=fix)


def _warning(what: str, fix: str) -> Meaning:
    return Meaning(severity=Severity.WARNING, what=what, fix=fix)


class Rule(enum.Enum):
    """Every rule, from the set as a whole down to single lines."""

    MANIFEST = _error("`patchset.toml` cannot be read, or is for another tag", "edit {manifest}")
    LOCK = _error(
        "`patchset.lock` is missing, damaged, or for another commit than `patchset.toml`", "{restore}"
    )
    UNLOCKED = _error("a patch file that the lock does not have", "{restore}")
    LOST = _error("a patch of the lock whose file is gone", "{restore}")
    CHANGED = _error("a patch file that is another one than was locked", "{restore}")
    LAYER = _error("a folder that is no declared layer", "declare it in {manifest}, or move it away")
    TARGET = _error(
        "a folder that is no source tree of the set", "declare the dependency in {manifest}, or move it away"
    )
    STRAY = _error("a file that is no patch, a link, or a file that cannot be read", "move {file} away")
    PATH = _error(
        "a path that Windows cannot have, that leaves the tree, or that is too long", "delete {file}"
    )
    LONG_NAME = _warning(
        f"a patch file's own name is longer than {LONGEST_NAME} characters below the folder of patch sets",
        "give the tag's folder or the layer a shorter name",
    )
    COLLISION = _error(
        "two patches whose paths are one file where case does not count, or a file and its folder",
        "delete one of them, then: {regen}",
    )
    FORM = _warning("a patch file saved with CRLF, a byte order mark or in UTF-16", "{regen}")
    HEADER = _error(
        "a header line that is no field, an unknown field, or one given twice",
        "write `Field: value`; a continuation line starts with one blank",
    )
    HEADER_DIFF = _error(
        "a header line that git takes for a diff (`diff --git`, `@@ -`, `--- `)",
        "indent the line by one blank, or take it out",
    )
    MISSING_FIELD = _error("`Subject`, `Description` or `Upstream-Status` is missing", "write it in {file}")
    TODO = _error("a field still says `TODO`", "write what is meant in {file}")
    STATUS = _error(
        "`Upstream-Status` is none of the known forms",
        "one of: Pending, Pending [where], Submitted [link], Backport [commit], Denied [link], "
        "Inappropriate [reason], Accepted [tag]",
    )
    GONE = _error(
        "`Backport` or `Accepted` with a tag that this set has reached: the patch should be gone",
        "look whether upstream has it, then: {drop}",
    )
    STATUS_TAG = _warning(
        "`Accepted` names no tag, so nothing tells when the patch should be gone",
        "write `Accepted [v<tag that has it>]`",
    )
    PENDING = _warning(
        "`Pending` for more than two releases", "submit it upstream, or say why not: `Inappropriate [reason]`"
    )
    SINCE = _warning("`Since` is no tag, or one newer than the set's", "write the first tag it was made for")
    TOPIC = _error("a topic that `patchset.toml` does not have", "declare [topic.<name>] in {manifest}")
    HAZARD = _error(
        "an id that `hazards.toml` lacks or does not call patched, or a patched one that no patch names",
        "bring `Hazards` in the header and the state in hazards.toml together",
    )
    GUARD = _error(
        "`Guard` is none of `guarded`, `neutral`, `new file` (joined by ` + `), or does not fit the change",
        "write the kind, then ` - ` and the reason",
    )
    DROPPED = _error(
        "a `Dropped` field that does not say what and why, or whose hunk is there again",
        "write what was dropped and why in {file}, or take the field out",
    )
    DROPPED_BACK = _error(
        "a patch that `[[dropped]]` of `patchset.toml` says is gone", "take the entry out of {manifest}"
    )
    SUPPRESSION = _error(
        "an entry of `suppressions.toml` that is incomplete, double, or for an undeclared layer",
        "edit {file}",
    )
    NOTE = _error("a hunk note that names no hunk", "{regen}")
    ORPHAN = _warning(
        "an `Orphan` note: its hunk is gone", "move the note to the hunk it belongs to, or take it out"
    )
    LARGE = _error(
        f"more than {MOST_LINES} changed lines without `Large-Ok`",
        "make the change smaller, or say in `Large-Ok` why not",
    )
    DIFF = _error("a diff that is not what git writes: truncated, edited by hand, not canonical", "{restore}")
    ONE_DIFF = _error("another number of diffs than one", "one file per patch: split it, then: {regen}")
    LOCATION = _error(
        "the diff is of another file than the patch file lies for", "move {file} to where it belongs"
    )
    PREFIX = _error("paths without `a/` and `b/`", "{regen}")
    SHORT_ID = _error("object ids of less than 40 digits", "{regen}")
    TRAILING = _error("added lines with trailing white space", "remove it in the source tree, then: {regen}")
    LINE_ENDS = _error(
        "added lines that end in CRLF where the file has LF, or the other way round",
        "convert them in the source tree, then: {regen}",
    )
    INDENT = _warning(
        "added lines indented with tabs where the file has blanks, or the other way round",
        "indent as the file does, then: {regen}",
    )
    RECORD = _error("`ported.json` cannot be read, or is of another port", "take it back with git")
    UNACCOUNTED = _error(
        "a patch of the old set that `ported.json` says nothing about, or whose patch is gone", "{account}"
    )
    OPEN = _error("a patch that the port left open", "{port}")

    @property
    def id(self) -> str:
        return self.name.lower().replace("_", "-")

    @property
    def severity(self) -> Severity:
        return self.value.severity

    @property
    def what(self) -> str:
        return self.value.what

    @property
    def fix(self) -> str:
        """With placeholders; a finding has the whole command."""
        return self.value.fix


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule broken at one place; `line` is None where it is about the whole file."""

    rule: Rule
    file: Path
    line: int | None
    message: str
    fix: str = ""

    @property
    def is_error(self) -> bool:
        return self.rule.severity is Severity.ERROR


def found(rule: Rule, file: Path, message: str, line: int | None = None) -> Finding:
    """A finding whose fix is filled in later, by who knows the set."""
    return Finding(rule=rule, file=file, line=line, message=message)
