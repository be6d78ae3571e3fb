"""What an nvcc says about itself: its toolkit's folder, its version, the architectures it compiles for."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.version import Version

from winvllm_build import process
from winvllm_build.errors import ToolchainError

VERSION: Final = re.compile(r"\bV(\d+\.\d+\.\d+)\b")
CAPABILITY: Final = re.compile(r"^compute_(\d+)(\d)$", re.MULTILINE)
TOP: Final = re.compile(r"^#\$ TOP=(.+?)\s*$", re.MULTILINE)
SECONDS: Final = 30.0
PROBE: Final = "winvllm-probe.cu"
"""Never opened: a dry run prints its steps for a file that is not there."""
FIX: Final = "name a working toolkit in the profile (cuda.home), or leave it at auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class Nvcc:
    """A compiler that answered; `home` is its toolkit's folder, behind any wrapper script."""

    program: Path
    home: Path
    version: Version
    architectures: tuple[str, ...]


def ask(asked: Path, *, env: Mapping[str, str] | None = None, seconds: float = SECONDS) -> Nvcc:
    """Ask a compiler, or a wrapper around one.

    Raises:
        ToolchainError: it cannot be started, does not finish, fails, or prints something else than nvcc.
    """
    version = parse_version(_answer(asked, "--version", env, seconds))
    architectures = parse_architectures(_answer(asked, "--list-gpu-arch", env, seconds))
    if version is None or not architectures:
        raise ToolchainError(f"{asked} does not answer like nvcc; it is another program", fix=FIX)
    home = _home(asked, env, seconds)
    inner = home / "bin" / f"nvcc{asked.suffix if asked.suffix.lower() == '.exe' else ''}"
    return Nvcc(
        program=inner if inner.is_file() else asked, home=home, version=version, architectures=architectures
    )


def parse_version(text: str) -> Version | None:
    """13.0.88 from the last lines of `nvcc --version`."""
    found = VERSION.search(text)
    return Version(found.group(1)) if found and "nvcc" in text.lower() else None


def parse_architectures(text: str) -> tuple[str, ...]:
    """("7.5", "8.0", ...) from `nvcc --list-gpu-arch`, ascending."""
    found = {(int(major), int(minor)) for major, minor in CAPABILITY.findall(text.replace("\r", ""))}
    return tuple(f"{major}.{minor}" for major, minor in sorted(found))


def parse_top(text: str) -> str | None:
    """The toolkit folder from the settings that `nvcc --dryrun` prints before its steps."""
    found = TOP.search(text)
    return os.path.normpath(found.group(1)) if found else None


def _answer(asked: Path, option: str, env: Mapping[str, str] | None, seconds: float) -> str:
    try:
        done = process.capture([asked, option], env=env, timeout=seconds)
    except ToolchainError as error:
        raise ToolchainError(error.message, fix=FIX) from error
    if done.code != 0:
        said = (done.error_text or done.text.strip()).splitlines()
        because = f": {said[0]}" if said else ""
        raise ToolchainError(f"{asked} {option} ended with exit code {done.code}{because}", fix=FIX)
    return done.text


def _home(asked: Path, env: Mapping[str, str] | None, seconds: float) -> Path:
    """The folder the compiler itself names; a dry run needs no host compiler to name it."""
    done = process.capture([asked, "--dryrun", "-c", PROBE], env=env, timeout=seconds)
    top = parse_top(done.error_text + "\n" + done.text)
    return Path(top) if top is not None else asked.resolve().parent.parent
