"""Upstream's CMake, driven directly: not again for the same inputs, from scratch where a run was torn."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from winvllm_build import process
from winvllm_build.build import codemodel
from winvllm_build.build.diagnosis import summary
from winvllm_build.workspace import storage_errors, write_atomic

STAMP: Final = ".winvllm-configured.json"
UNDER_WAY: Final = ".winvllm-configuring"
RELEVANT: Final = re.compile(
    r"^(CUDA_|TORCH_CUDA_ARCH_LIST$|PYTHONPATH$|.*_SRC_DIR$|CC$|CXX$|CUDAHOSTCXX$|INCLUDE$|LIB$|VLLM_|NVCC_)"
)
"""Environment variables that decide what CMake finds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Everything a configure run depends on; equal values need no second run.

    Attributes:
        source: the patched tree.
        build: the build folder.
        definitions: CMake cache entries, name (with `:TYPE` where wanted) to value.
        environment: the complete environment of CMake and of everything ninja starts.
    """

    cmake: Path
    ninja: Path
    source: Path
    build: Path
    definitions: Mapping[str, str]
    environment: Mapping[str, str]

    def arguments(self) -> list[str]:
        """The command line; paths with forward slashes, as CMake wants them on every system."""
        defined = [f"-D{name}={value}" for name, value in sorted(self.definitions.items())]
        return [
            str(self.cmake),
            "-G",
            "Ninja",
            "-S",
            self.source.as_posix(),
            "-B",
            self.build.as_posix(),
            f"-DCMAKE_MAKE_PROGRAM={self.ninja.as_posix()}",
            "-DCMAKE_EXPORT_COMPILE_COMMANDS=ON",
            *defined,
        ]

    def stamp(self) -> dict[str, Any]:
        known = {k: v for k, v in sorted(self.environment.items()) if RELEVANT.match(k)}
        return {"arguments": self.arguments(), "environment": known}


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """A configured build folder; `reused` when nothing had to run."""

    folder: Path
    reused: bool
    seconds: float
    log: Path


def configure(wanted: Configuration, *, log: Path, fresh: bool = False) -> Configured:
    """Configure, unless the folder already is for exactly these inputs.

    Raises:
        ConfigureError: CMake said no; names the first error and the log.
        StorageError: the folder cannot be written.
    """
    begun = time.monotonic()
    if not fresh and _is_current(wanted):
        return Configured(folder=wanted.build, reused=True, seconds=time.monotonic() - begun, log=log)
    with storage_errors(str(wanted.build)):
        _clear(wanted.build, everything=fresh)
        wanted.build.mkdir(parents=True, exist_ok=True)
        (wanted.build / UNDER_WAY).touch()
        (wanted.build / STAMP).unlink(missing_ok=True)
        codemodel.ask(wanted.build)
        code, lines = _run(wanted, log)
        if code != 0:
            raise summary.configure_error(wanted.source, code, "\n".join(lines), log)
        write_atomic(wanted.build / STAMP, json.dumps(wanted.stamp(), indent=1).encode())
        (wanted.build / UNDER_WAY).unlink()
    return Configured(folder=wanted.build, reused=False, seconds=time.monotonic() - begun, log=log)


def _run(wanted: Configuration, log: Path) -> tuple[int, list[str]]:
    lines: list[str] = []
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8", newline="\n") as file:
        file.write("$ " + " ".join(wanted.arguments()) + "\n")

        def keep(line: str) -> None:
            lines.append(line)
            file.write(line + "\n")

        code = process.stream(wanted.arguments(), on_line=keep, env=wanted.environment)
    return code, lines


def _is_current(wanted: Configuration) -> bool:
    if (wanted.build / UNDER_WAY).exists() or not (wanted.build / "build.ninja").is_file():
        return False
    try:
        held = json.loads((wanted.build / STAMP).read_bytes())
    except (OSError, ValueError):
        return False
    return bool(held == wanted.stamp())


def _clear(build: Path, *, everything: bool) -> None:
    """Drop what a killed configure may have left torn: the cache and compiler checks, not the objects."""
    if everything:
        shutil.rmtree(build, ignore_errors=True)
        return
    if (build / UNDER_WAY).exists():
        (build / "CMakeCache.txt").unlink(missing_ok=True)
        shutil.rmtree(build / codemodel.REPLY, ignore_errors=True)
        for checks in (build / "CMakeFiles").glob("[0-9]*.[0-9]*"):
            shutil.rmtree(checks, ignore_errors=True)
