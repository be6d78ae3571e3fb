"""Commands that a user is advised to type: on Windows the same in cmd and PowerShell, elsewhere in sh.

So no `set X=`, no `;` or `&&`, no `%X%` or `$X`, and what only cmd has is asked of `cmd /c`.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Final

from winvllm_build.index import PlatformTag

HARMLESS: Final = re.compile(r"[\w :\\/.~+@-]+")
"""PowerShell takes the quotes off a word without blanks, and cmd then reads `&`, `,`, `;`, `=` and others."""
NEW_TERMINAL: Final = "   (then open a new terminal)"


def set_variable(name: str, value: str, system: PlatformTag) -> str:
    """For programs that are started afterwards; on Windows for this user, and not for the open terminal."""
    if system is PlatformTag.WINDOWS_AMD64:
        return f"setx {name} {_quoted(value)}{NEW_TERMINAL}"
    return f"export {name}={shlex.quote(value)}"


def unset_variables(names: list[str], system: PlatformTag) -> str:
    """Windows keeps those of a user and those of the machine; these are the user's."""
    if system is PlatformTag.WINDOWS_AMD64:
        return "\n".join(
            rf"reg delete HKCU\Environment /v {name} /f{NEW_TERMINAL}; one that is set for all users: "
            "SystemPropertiesAdvanced.exe, Environment Variables"
            for name in names
        )
    return f"unset {' '.join(names)}"


def word(text: str, system: PlatformTag) -> str:
    """One word of a command, such as the path of a profile."""
    return _quoted(text) if system is PlatformTag.WINDOWS_AMD64 else shlex.quote(text)


def remove(folder: Path, system: PlatformTag) -> str:
    """A folder with all that is in it; in words where a shell could read its name as more than a name."""
    if system is not PlatformTag.WINDOWS_AMD64:
        return f"rm -r {shlex.quote(str(folder))}"
    if HARMLESS.fullmatch(str(folder)):
        return f"cmd /c rmdir /s /q {_quoted(str(folder))}"
    return f"delete the folder {folder}"


def link(toolkit: Path, system: PlatformTag) -> str:
    """A plain name for a CUDA toolkit, which no administrator has to make."""
    if system is not PlatformTag.WINDOWS_AMD64:
        return f"ln -s {shlex.quote(str(toolkit))} ~/cuda"
    by = "cmd /c" if HARMLESS.fullmatch(str(toolkit)) else "in cmd:"
    return rf"{by} mklink /J C:\CUDA {_quoted(str(toolkit))}"


def _quoted(word: str) -> str:
    """A backslash before the closing quote would quote that."""
    return f'"{word}"' if " " in word or not HARMLESS.fullmatch(word) else word
