"""Commands that several checks advise."""

from __future__ import annotations

from typing import Final

from winvllm_build.commands import set_variable
from winvllm_build.index import PlatformTag
from winvllm_build.workspace import HOME_VARIABLE

LONG_PATHS: Final = (
    r"in an administrator's prompt: reg add HKLM\SYSTEM\CurrentControlSet\Control\FileSystem "
    "/v LongPathsEnabled /t REG_DWORD /d 1 /f"
)
SDK: Final = "winget install Microsoft.WindowsSDK.10.0.26100"
PAGE_FILE: Final = (
    "let Windows manage it: SystemPropertiesPerformance.exe, Advanced, Virtual memory, "
    '"Automatically manage paging file size"; then restart'
)


def home(system: PlatformTag) -> str:
    """Another workspace, in a short folder of plain letters."""
    if system is PlatformTag.WINDOWS_AMD64:
        return set_variable(HOME_VARIABLE, r"C:\w", system)
    return f'export {HOME_VARIABLE}="$HOME/w"'


def temporary(system: PlatformTag) -> str:
    """Another folder for temporary files."""
    if system is PlatformTag.WINDOWS_AMD64:
        named = (set_variable(name, r"C:\t", system) for name in ("TEMP", "TMP"))
        return "\n".join([r"cmd /c mkdir C:\t", *named])
    return 'mkdir "$HOME/t"\nexport TMPDIR="$HOME/t"'


def environment(system: PlatformTag) -> str:
    """Another environment."""
    return r"uv venv C:\v" if system is PlatformTag.WINDOWS_AMD64 else "uv venv ~/v"
