"""The pretended Windows machine: where it lies, and how its Python is started."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.audit.frontend.wine import Wine

CHECKOUT: Final = Path(__file__).resolve().parent.parent.parent
STATE: Final = "wine.state"
SECONDS: Final = 300.0
TOOLS: Final = ("bin", "cmake/data/bin")
"""Where the wheels of ninja and cmake have their programs."""


def wanted() -> str:
    """Changes when another interpreter or other packages are asked for."""
    parts = (Path(__file__).with_name("environment.py"), CHECKOUT / "pyproject.toml")
    return hashlib.sha256(b"\n".join(part.read_bytes() for part in parts)).hexdigest()


def windows(path: Path) -> str:
    """A path of this machine as Windows programs under Wine name it."""
    return "Z:" + str(path.absolute()).replace("/", "\\")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a Windows program said; `code` is the low eight bits of its exit code."""

    code: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Windows' Python under Wine, with this checkout."""

    folder: Path
    wine: Wine

    def python(
        self, *words: str, cwd: Path, variables: Mapping[str, str] | None = None, seconds: float = SECONDS
    ) -> Answer:
        """Run it to its end; Wine cannot give a file as standard output to it, so it gets a pipe."""
        environment = {
            **self.wine.environment,
            "PYTHONPATH": ";".join(windows(path) for path in (self.folder / "packages", CHECKOUT)),
            "WINEPATH": ";".join(windows(self.folder / "packages" / folder) for folder in TOOLS),
            "PYTHONDONTWRITEBYTECODE": "1",
            "NO_COLOR": "1",
            **{name: value for name, value in os.environ.items() if name.startswith("WINVLLM_TEST_")},
            **(variables or {}),
        }
        program = self.folder / "python" / "cp311" / "python.exe"
        done = subprocess.run(
            [self.wine.loader, program, *words],
            cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=seconds, check=False,
        )  # fmt: skip
        return Answer(code=done.returncode, text=done.stdout.decode("utf-8", "replace").replace("\r\n", "\n"))

    def tool(self, *words: str, cwd: Path, variables: Mapping[str, str] | None = None) -> Answer:
        """The command line of this tool."""
        start = "import sys; from winvllm_build.cli.main import main; sys.argv[0] = 'winvllm-build'; main()"
        return self.python("-c", start, *words, cwd=cwd, variables=variables)
