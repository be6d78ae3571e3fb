"""What Windows' registry says about paths, page files, the virus scanner and the display driver."""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import PureWindowsPath
from typing import Final

from winvllm_build.profile import machine
from winvllm_build.registry import FILE_SYSTEM, KeyState, Registry, number

MEMORY: Final = r"HKLM\SYSTEM\CurrentControlSet\Control\Session Manager\Memory Management"
GRAPHICS: Final = r"HKLM\SYSTEM\CurrentControlSet\Control\GraphicsDrivers"
DEFENDER: Final = r"HKLM\SOFTWARE\Microsoft\Windows Defender"
DEFENDER_POLICY: Final = r"HKLM\SOFTWARE\Policies\Microsoft\Windows Defender"
AUTOMATIC: Final = "?:"
MIB: Final = 1 << 20
UTF8: Final = 65001
USUAL_DELAY: Final = 2
"""Seconds a kernel may run before Windows resets a display driver, where TdrDelay is not set."""


class Scanner(Enum):
    """What Microsoft Defender does with files that are opened."""

    SCANS = "scans"
    PASSIVE = "passive, since another scanner is in charge"
    OFF = "off"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFile:
    """One page file; `largest` in bytes, None where Windows decides."""

    path: str
    largest: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Defender:
    """Microsoft Defender.

    Attributes:
        exclusions: folders that it leaves out; None where only an administrator may look.
    """

    scanner: Scanner
    exclusions: tuple[str, ...] | None

    def leaves_out(self, folder: str) -> bool:
        path = PureWindowsPath(folder)
        return any(path.is_relative_to(PureWindowsPath(one.rstrip("\\*"))) for one in self.exclusions or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsFacts:
    """Settings of a Windows.

    Attributes:
        long_paths: programs that ask for it get past MAX_PATH.
        page_files: none where they were switched off.
        tdr_delay: seconds that a kernel may run on a GPU with the WDDM.
        code_page: of programs that do not ask for UTF-8.
    """

    long_paths: bool
    page_files: tuple[PageFile, ...]
    defender: Defender
    tdr_delay: int
    code_page: int


def read(registry: Registry) -> WindowsFacts:
    delay = number(registry, GRAPHICS, "TdrDelay")
    return WindowsFacts(
        long_paths=number(registry, FILE_SYSTEM, "LongPathsEnabled") == 1,
        page_files=page_files(registry),
        defender=defender(registry),
        tdr_delay=USUAL_DELAY if delay is None else delay,
        code_page=_code_page(),
    )


def page_files(registry: Registry) -> tuple[PageFile, ...]:
    r"""From `PagingFiles`: `?:\pagefile.sys` and `C:\pagefile.sys 0 0` (Windows decides), `D:\p 16 64`."""
    value = registry.values(MEMORY).get("pagingfiles")
    lines = value if isinstance(value, tuple) else (value,) if isinstance(value, str) else ()
    return tuple(_page_file(line) for line in lines if line.strip())


def defender(registry: Registry) -> Defender:
    """Real-time scanning is on unless a value says otherwise; exclusions by the user and by policy."""
    state = registry.state(DEFENDER)
    switched = (
        number(registry, DEFENDER, "DisableAntiSpyware"),
        number(registry, DEFENDER, "DisableAntiVirus"),
        number(registry, f"{DEFENDER}\\Real-Time Protection", "DisableRealtimeMonitoring"),
        number(registry, f"{DEFENDER_POLICY}\\Real-Time Protection", "DisableRealtimeMonitoring"),
        number(registry, DEFENDER_POLICY, "DisableAntiSpyware"),
        number(registry, DEFENDER_POLICY, "DisableAntiVirus"),
    )
    passive = number(registry, DEFENDER, "PassiveMode") == 1
    scanner = Scanner.OFF if 1 in switched else Scanner.PASSIVE if passive else Scanner.SCANS
    if state is KeyState.MISSING:
        scanner = Scanner.ABSENT
    places = [f"{root}\\Exclusions\\Paths" for root in (DEFENDER, DEFENDER_POLICY)]
    named = tuple(name for place in places for name in registry.values(place))
    denied = any(registry.state(place) is KeyState.DENIED for place in (places[0], f"{DEFENDER}\\Exclusions"))
    return Defender(scanner=scanner, exclusions=None if denied and not named else named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """What Windows promises to programs, in bytes.

    Attributes:
        left: what this process could still be promised.
        page_files: the size of all page files now.
    """

    left: int
    page_files: int


def commit() -> Commit | None:
    """What psutil would ask performance counters for, which may be switched off; None off Windows."""
    found = machine.commit()
    if found is None:
        return None
    return Commit(left=found.left, page_files=max(found.limit - found.physical, 0))


def _page_file(line: str) -> PageFile:
    """The path may hold blanks; the two sizes in MB may be left out."""
    words = line.rsplit(maxsplit=2)
    sized = len(words) == 3 and words[1].isdecimal() and words[2].isdecimal()  # noqa: PLR2004 - path, two sizes
    largest = int(words[2]) * MIB if sized else 0
    path = words[0] if sized else line.strip()
    return PageFile(path=path, largest=None if largest == 0 or path.startswith(AUTOMATIC) else largest)


def _code_page() -> int:
    if sys.platform != "win32":
        return UTF8
    return int(ctypes.windll.kernel32.GetACP())
