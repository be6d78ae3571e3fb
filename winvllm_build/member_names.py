"""Which names an archive member may have: only what every file system stores under exactly that name."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from winvllm_build.errors import SourceError

RESERVED: Final = re.compile(
    r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])(\..*)?", re.IGNORECASE | re.DOTALL
)
FORBIDDEN: Final = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')
"""Control characters, what Windows refuses in a name, `:` (drive letters, alternate streams) and `\\`."""
MAXIMUM_COMPONENT: Final = 255
MAXIMUM_PATH: Final = 1024


class MemberNames:
    """The names seen in one archive; each new one is checked alone and against the earlier ones."""

    def __init__(self, archive: str) -> None:
        self._archive = archive
        self._spelling: dict[str, str] = {}
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def check(self, name: str, *, folder: bool = False) -> str:
        """`name` without a trailing slash and without `.` parts; empty for the archive's own root.

        Raises:
            SourceError: the name is unsafe or collides with an earlier one; it is quoted.
        """
        fault = self.fault(name, folder=folder)
        if fault is not None:
            raise self.refused(name, fault)
        return "/".join(_parts(name))

    def fault(self, name: str, *, folder: bool = False) -> str | None:
        """Why `name` is unsafe or collides with an earlier one, or None; a good one counts as seen."""
        fault = name_fault(name)
        if fault is not None:
            return fault
        parts = _parts(name)
        for position in range(1, len(parts) + 1):
            fault = self._note("/".join(parts[:position]), folder=folder or position < len(parts))
            if fault is not None:
                return fault
        return None

    def refused(self, name: str, why: str) -> SourceError:
        return SourceError(
            f"{self._archive}: member {name!r} {why}; nothing was extracted",
            fix="get the archive again from where it is published; if it is the same, report it there",
        )

    def _note(self, path: str, *, folder: bool) -> str | None:
        folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())
        earlier = self._spelling.setdefault(folded, path)
        if earlier != path:
            return f"has the same name as {earlier!r} on a file system that ignores case"
        if path in self._files or (not folder and path in self._folders):
            return "is listed twice" if path in self._files and not folder else "is a file and a folder"
        (self._folders if folder else self._files).add(path)
        return None


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".")]


def name_fault(name: str) -> str | None:
    """Why `name` may not be extracted, or None."""
    if not name:
        return "has no name"
    if name.startswith("/"):
        return "is an absolute path"
    if re.match(r"[A-Za-z]:", name):
        return "has a drive letter"
    if found := FORBIDDEN.search(name):
        return f"has the character {found[0]!r}"
    if len(name) > MAXIMUM_PATH:
        return "has a path that is too long"
    faults = (_part_fault(part) for part in name.split("/") if part not in ("", "."))
    return next((fault for fault in faults if fault is not None), None)


def _part_fault(part: str) -> str | None:
    if part == "..":
        return "leaves the folder with '..'"
    if part.rstrip(". ") != part:
        return "ends in a dot or a blank, which Windows drops"
    if RESERVED.fullmatch(part):
        return "is a name Windows reserves for a device"
    try:
        size = len(part.encode("utf-8"))
    except UnicodeEncodeError:
        return "has a name that is not valid text"
    return "has a name that is too long" if size > MAXIMUM_COMPONENT else None
