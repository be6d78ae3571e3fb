"""Commands that several checks advise."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from winvllm_build.index import PlatformTag

LONG_PATHS: Final = (
    r"in an administrator's prompt: reg add HKLM\SYSTEM\CurrentControlSet\Control\FileSystem "
    "/v LongPathsEnabled /t REG_DWORD /d 1 /f"
)
SHORT_HOME: Final = r"set WINVLLM_BUILD_HOME=C:\w (a short folder of plain letters)"
SDK: Final = "winget install Microsoft.WindowsSDK.10.0.26100"
PAGE_FILE: Final = (
    "let Windows manage it: SystemPropertiesPerformance.exe, Advanced, Virtual memory, "
    '"Automatically manage paging file size"; then restart'
)


def remove(folder: Path, system: PlatformTag) -> str:
    if system is PlatformTag.WINDOWS_AMD64:
        return f'rmdir /s /q "{folder}"'
    return f"rm -r '{folder}'"
