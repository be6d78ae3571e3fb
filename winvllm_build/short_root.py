"""A short name for a long folder on Windows: a junction in the drive's root, else a drive letter.

Both are pointers that another run finds again: a kill leaves nothing to repair, and a build folder keeps the
path that CMake wrote into it.
"""

from __future__ import annotations

import contextlib
import hashlib
import string
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PureWindowsPath
from typing import Final, Protocol

from winvllm_build.errors import StorageError
from winvllm_build.workspace import HOME_VARIABLE

PREFIX: Final = "wvb-"
LETTERS: Final = string.ascii_uppercase[:3:-1]
"""Z to E: drives are given letters from the other end."""


class Way(Enum):
    AS_IT_IS = "as it is"
    JUNCTION = "junction"
    DRIVE = "drive letter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a folder is reached; `view` is the path to use, `there` whether it leads there already."""

    way: Way
    view: str
    there: bool


class Pointers(Protocol):
    """What Windows has to point at folders; each raises OSError where it refuses."""

    def junction(self, link: str) -> str | None:
        """Where this path leads: a junction's target, "" for anything else, None where nothing is."""

    def drives(self) -> Mapping[str, str]:
        """Letters in use, with the folder that a letter stands for or "" for a real drive."""

    def make_junction(self, link: str, target: str) -> None: ...

    def make_drive(self, letter: str, target: str) -> None: ...


def plans(
    root: str, *, room: int, links: Mapping[str, str | None], drives: Mapping[str, str]
) -> tuple[Plan, ...]:
    """The ways to reach `root` by a path of at most `room` characters, in the order to try them.

    Args:
        root: an absolute Windows path.
        room: UTF-16 units that the path may have.
        links: what is at the paths of `links_for`, as `Pointers.junction` says it.
        drives: as `Pointers.drives` says it.
    """
    if units(root) <= room:
        return (Plan(way=Way.AS_IT_IS, view=root, there=True),)
    own = [link for link, target in links.items() if target is not None and _same(target, root)]
    free = [link for link, target in links.items() if target is None]
    mounted = [letter for letter, target in drives.items() if target and _same(target, root)]
    unused = [letter for letter in LETTERS if letter not in drives]
    found = [
        *(Plan(way=Way.JUNCTION, view=link, there=True) for link in own[:1]),
        *(Plan(way=Way.DRIVE, view=f"{letter}:\\", there=True) for letter in mounted[:1]),
        *(Plan(way=Way.JUNCTION, view=link, there=False) for link in free[:1]),
        *(Plan(way=Way.DRIVE, view=f"{letter}:\\", there=False) for letter in unused[:1]),
    ]
    return tuple(plan for plan in found if units(plan.view) <= room)


def links_for(root: str) -> tuple[str, ...]:
    """The paths at which a junction to `root` may lie: the same ones in every run."""
    digest = hashlib.sha256(str(PureWindowsPath(root)).lower().encode()).hexdigest()
    anchor = PureWindowsPath(root).drive
    lettered = len(anchor) == len("C:")
    return tuple(f"{anchor}\\{PREFIX}{digest[at : at + 6]}" for at in (0, 6)) if lettered else ()


def reach(root: str, *, room: int, pointers: Pointers) -> Plan:
    """A path of at most `room` characters that leads to `root`; a pointer is made where none is there.

    Raises:
        StorageError: Windows lets none be made, or none is short enough.
    """
    links = {link: pointers.junction(link) for link in links_for(root)} if units(root) > room else {}
    drives = pointers.drives() if units(root) > room else {}
    refused = ["none is short enough"]
    for plan in plans(root, room=room, links=links, drives=drives):
        if plan.there:
            return plan
        try:
            _make(plan, root, pointers)
        except OSError as error:
            refused.append(f"{plan.way.value} {plan.view}: {error.strerror or error}")
        else:
            return plan
    raise StorageError(
        f"{root} is too long for Windows' programs (at most {room} characters), and no short way to it"
        f" could be made ({'; '.join(refused[1:] or refused)})",
        fix=f"set {HOME_VARIABLE}=C:\\w",
    )


def _make(plan: Plan, root: str, pointers: Pointers) -> None:
    if plan.way is Way.JUNCTION:
        pointers.make_junction(plan.view, root)
    else:
        pointers.make_drive(plan.view[0], root)


def shorter(root: Path, room: int) -> Path:
    """The folder by a path of at most `room` characters, on Windows; anywhere else the folder.

    Raises:
        StorageError: Windows lets no pointer be made, or none is short enough.
    """
    if sys.platform == "win32":
        root.mkdir(parents=True, exist_ok=True)
        return Path(reach(str(root), room=room, pointers=WindowsPointers()).view)
    return root


def _same(one: str, other: str) -> bool:
    return PureWindowsPath(one.removeprefix("\\\\?\\")) == PureWindowsPath(other)


def units(text: str) -> int:
    """Length as Windows counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


if sys.platform == "win32":
    import _winapi
    import ctypes

    BUFFER: Final = 32768
    NOT_FOUND: Final = 2
    DOS_PATH: Final = "\\??\\"
    kernel = ctypes.WinDLL("kernel32", use_last_error=True)

    class WindowsPointers:
        """Windows' own."""

        def junction(self, link: str) -> str | None:
            try:
                return str(Path(link).readlink())
            except FileNotFoundError:
                return None
            except OSError:
                return ""

        def drives(self) -> Mapping[str, str]:
            used = kernel.GetLogicalDrives()
            return {one: self._target(one) for at, one in enumerate(string.ascii_uppercase) if used >> at & 1}

        def make_junction(self, link: str, target: str) -> None:
            try:
                _winapi.CreateJunction(target, link)
            except OSError:
                with contextlib.suppress(OSError):
                    Path(link).rmdir()  # where the file system has no junctions, the empty folder stays
                raise

        def make_drive(self, letter: str, target: str) -> None:
            if not kernel.DefineDosDeviceW(0, f"{letter}:", target):
                raise ctypes.WinError(ctypes.get_last_error())
            if not Path(f"{letter}:\\").is_dir():
                kernel.DefineDosDeviceW(6, f"{letter}:", target)  # remove exactly this one
                raise FileNotFoundError(NOT_FOUND, "the new drive cannot be opened", f"{letter}:\\")

        @staticmethod
        def _target(letter: str) -> str:
            found = ctypes.create_unicode_buffer(BUFFER)
            kernel.QueryDosDeviceW(f"{letter}:", found, BUFFER)
            return found.value.removeprefix(DOS_PATH) if found.value.startswith(DOS_PATH) else ""
