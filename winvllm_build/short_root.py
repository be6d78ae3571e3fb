"""Another name for a folder on Windows: a junction in the drive's root, else a drive letter.

Both are pointers that another run finds again: a kill leaves nothing to repair, and a build folder keeps the
path that CMake wrote into it.
"""

from __future__ import annotations

import contextlib
import hashlib
import string
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path, PureWindowsPath
from typing import Final, Protocol

from winvllm_build import commands
from winvllm_build.errors import StorageError
from winvllm_build.index import PlatformTag
from winvllm_build.workspace import HOME_VARIABLE

PREFIX: Final = "wvb-"
LETTERS: Final = string.ascii_uppercase[:3:-1]
"""Z to E: drives are given letters from the other end."""
WINDOWS: Final = PlatformTag.WINDOWS_AMD64
LONG: Final = "\\\\?\\"
DEVICE: Final = "\\??\\"
SHARE: Final = "UNC\\"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The name that a folder has to have.

    Attributes:
        fits: whether a path will do.
        lacks: what is wrong with one that does not, in words.
        fix: what a user can do where Windows has no other name.
    """

    fits: Callable[[str], bool]
    lacks: str
    fix: str


class Pointers(Protocol):
    """What Windows has to point at folders; each raises OSError where it refuses."""

    def junction(self, link: str) -> str | None:
        """Where this path leads: a junction's target, "" for anything else, None where nothing is."""

    def drives(self) -> Mapping[str, str]:
        """Letters in use, with the folder that a letter stands for or "" for a real drive."""

    def make_junction(self, link: str, target: str) -> None: ...

    def make_drive(self, letter: str, target: str) -> None: ...


def at_most(room: int) -> Wanted:
    """A path of so many UTF-16 units."""
    return Wanted(
        fits=lambda view: units(view) <= room,
        lacks=f"is too long for Windows' programs (at most {room} characters)",
        fix=commands.set_variable(HOME_VARIABLE, r"C:\w", WINDOWS),
    )


def plans(
    root: str, *, wanted: Wanted, links: Mapping[str, str | None], drives: Mapping[str, str]
) -> tuple[Plan, ...]:
    """The ways to reach `root` by a path that fits, in the order to try them.

    Args:
        root: an absolute Windows path.
        wanted: what the path has to be.
        links: what is at the paths of `links_for`, as `Pointers.junction` says it.
        drives: as `Pointers.drives` says it.
    """
    if wanted.fits(root):
        return (Plan(way=Way.AS_IT_IS, view=root, there=True),)
    own = [link for link, target in links.items() if target is not None and _same(target, root)]
    free = [link for link, target in links.items() if target is None]
    mounted = [letter for letter, target in drives.items() if target and _same(target, root)]
    unused = [letter for letter in letters_for(root) if letter not in drives]
    found = [
        *(Plan(way=Way.JUNCTION, view=link, there=True) for link in own[:1]),
        *(Plan(way=Way.DRIVE, view=f"{letter}:\\", there=True) for letter in mounted[:1]),
        *(Plan(way=Way.JUNCTION, view=link, there=False) for link in free[:1]),
        *(Plan(way=Way.DRIVE, view=f"{letter}:\\", there=False) for letter in unused[:1]),
    ]
    return tuple(plan for plan in found if wanted.fits(plan.view))


def links_for(root: str) -> tuple[str, ...]:
    """The paths at which a junction to `root` may lie: the same ones in every run."""
    digest = _digest(root)
    anchor = PureWindowsPath(root).drive
    lettered = len(anchor) == len("C:")
    return tuple(f"{anchor}\\{PREFIX}{digest[at : at + 6]}" for at in (0, 6)) if lettered else ()


def letters_for(root: str) -> str:
    """The letters to try: the same first in every run and after every logon, another for another folder."""
    at = int(_digest(root), 16) % len(LETTERS)
    return LETTERS[at:] + LETTERS[:at]


def reach(root: str, *, wanted: Wanted, pointers: Pointers) -> Plan:
    """A path that fits and leads to `root`; a pointer is made where none is there.

    Raises:
        StorageError: Windows lets none be made, or none fits.
    """
    as_it_is = wanted.fits(root)
    links = {} if as_it_is else {link: pointers.junction(link) for link in links_for(root)}
    drives = {} if as_it_is else pointers.drives()
    refused = ["none fits"]
    for plan in plans(root, wanted=wanted, links=links, drives=drives):
        if plan.there:
            return plan
        told = _made(plan, root, pointers)
        if _leads(plan, root, pointers):  # another run may have been faster
            return plan if told is None else replace(plan, there=True)
        refused.append(f"{plan.way.value} {plan.view}: {told or 'it leads elsewhere'}")
    raise StorageError(
        f"{root} {wanted.lacks}, and no other way to it could be made ({'; '.join(refused[1:] or refused)})",
        fix=wanted.fix,
    )


def _made(plan: Plan, root: str, pointers: Pointers) -> str | None:
    """Make it, or say why not."""
    try:
        _make(plan, root, pointers)
    except OSError as error:
        return str(error.strerror or error)
    return None


def _leads(plan: Plan, root: str, pointers: Pointers) -> bool:
    is_link = plan.way is Way.JUNCTION
    target = pointers.junction(plan.view) if is_link else pointers.drives().get(plan.view[0])
    return bool(target) and _same(str(target), root)


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
        return Path(reach(str(root), wanted=at_most(room), pointers=WindowsPointers()).view)
    return root


def without(mark: Callable[[str], str | None], folder: Path) -> Path:
    """The folder by a path in which nothing is found, on Windows; anywhere else the folder.

    Raises:
        StorageError: Windows lets no pointer be made.
    """
    if sys.platform == "win32":
        wanted = Wanted(
            fits=lambda view: mark(view) is None,
            lacks="has a name that is not only a name to programs",
            fix=f"{commands.link(folder, WINDOWS)}, and name that link",
        )
        return Path(reach(str(folder), wanted=wanted, pointers=WindowsPointers()).view)
    return folder


def make_whole(make: Callable[[], object], take_back: Callable[[], object]) -> None:
    """Make a junction, or leave nothing behind: where a file system has none, an empty folder stays.

    What is there already is another run's, and is not taken back.
    """
    try:
        make()
    except FileExistsError:
        raise
    except OSError:
        with contextlib.suppress(OSError):
            take_back()
        raise


def dos_path(device: str) -> str:
    """The folder that a letter stands for, from what Windows notes of it; "" for a real drive."""
    return _usual(device.removeprefix(DEVICE)) if device.startswith(DEVICE) else ""


def _usual(path: str) -> str:
    """A path as people write it, without what marks it as long or as a device's."""
    bare = path.removeprefix(LONG)
    is_share = bare[: len(SHARE)].upper() == SHARE
    return f"\\\\{bare[len(SHARE) :]}" if is_share else bare


def _same(one: str, other: str) -> bool:
    return PureWindowsPath(_usual(one)) == PureWindowsPath(_usual(other))


def _digest(root: str) -> str:
    return hashlib.sha256(str(PureWindowsPath(root)).lower().encode()).hexdigest()


def units(text: str) -> int:
    """Length as Windows counts it."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


if sys.platform == "win32":
    import _winapi
    import ctypes

    BUFFER: Final = 32768
    NOT_FOUND: Final = 2
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
            make_whole(lambda: _winapi.CreateJunction(target, link), Path(link).rmdir)

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
            return dos_path(found.value)
