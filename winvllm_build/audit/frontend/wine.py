"""Windows programs under Wine: a prefix of our own, no display, no words of Wine's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final

from winvllm_build.audit.frontend import metered
from winvllm_build.audit.frontend.metered import Ran
from winvllm_build.errors import ToolchainError
from winvllm_build.workspace import Workspace, locked, storage_errors

FIRST_SECONDS: Final = 180.0
READY: Final = "system.reg"
"""Wine writes it when the prefix is complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wine:
    """A loader and the environment its programs run in."""

    loader: Path
    environment: Mapping[str, str]

    def run(self, args: list[str], *, cwd: Path, timeout: float, stop: Event | None = None) -> Ran:
        """A Windows program to its end; `args` starts with its path as Linux names it."""
        words = [str(self.loader), *args]
        return metered.run(words, env=self.environment, cwd=cwd, timeout=timeout, stop=stop)


def prepare(loader: Path, probe: Path, workspace: Workspace, environment: Mapping[str, str]) -> Wine:
    """Wine with a prefix in the workspace; the first run makes it, in about ten seconds.

    Args:
        loader: `wine64`.
        probe: a Windows program that ends by itself.
        workspace: where the prefix lies.
        environment: for PATH.

    Raises:
        ToolchainError: Windows programs do not run.
        StorageError: the prefix cannot be written.
    """
    prefix = workspace.root / "wine"
    with storage_errors(str(prefix)):
        home = prefix / "home"
        home.mkdir(parents=True, exist_ok=True)
    made = Wine(
        loader=loader,
        environment={
            "PATH": environment.get("PATH", ""),
            "HOME": str(home),
            "WINEPREFIX": str(prefix / "prefix"),
            "WINEDEBUG": "-all",
            "WINEDLLOVERRIDES": "mscoree,mshtml=",
            "LC_ALL": "C.UTF-8",
        },
    )
    with locked(prefix / ".lock", "the Wine prefix", wait=FIRST_SECONDS):
        if not (prefix / "prefix" / READY).is_file():
            done = made.run([str(probe)], cwd=home, timeout=FIRST_SECONDS)
            if done.late or not (prefix / "prefix" / READY).is_file():
                raise ToolchainError(
                    f"{loader} does not run Windows programs: {' '.join(done.lines[-3:])}",
                    fix=f"rm -r {prefix}, then run the same command again",
                )
    return made
