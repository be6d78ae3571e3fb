"""vLLM's Python files of a tag, run by a Python of their own as on Windows or as they are."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

EMULATION = Path(__file__).resolve().parent / "emulation"
PATCHES = Path(__file__).resolve().parents[2] / "patches"
LOCK_SECONDS = 300.0


def unheard(event: str) -> None:
    assert event


def patched_modules(tag: str) -> list[str]:
    """The Python files of vLLM that the required layer touches."""
    root = PATCHES / tag / "windows" / "vllm"
    found = root.joinpath("vllm").rglob("*.py.patch")
    return sorted(path.relative_to(root).with_suffix("").as_posix() for path in found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a program ended."""

    status: int
    text: str
    answer: Any

    @property
    def error(self) -> str:
        """The last line that names an exception."""
        found = [line for line in self.text.splitlines() if "Error: " in line]
        return found[-1].rpartition("] ")[2] if found else self.text[-300:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A running program."""

    process: psutil.Process
    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def children(self) -> list[psutil.Process]:
        return self.process.children(recursive=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for member in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    process.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A Python that imports `vllm` from a tree."""

    python: Path
    tree: Path
    tag: str
    scratch: Path
    emulated: bool = True
    kept: Path | None = None
    """vLLM's own cache: what it asks a process of its own about a model class, half of an engine's start."""

    def environment(self, **more: str) -> dict[str, str]:
        information = self.scratch / "metadata" / f"vllm-{self.tag.removeprefix('v')}+empty.dist-info"
        information.mkdir(parents=True, exist_ok=True)
        about = f"Metadata-Version: 2.1\nName: vllm\nVersion: {self.tag.removeprefix('v')}+empty\n"
        (information / "METADATA").write_text(about, encoding="utf-8")
        path = os.pathsep.join(map(str, (EMULATION, information.parent, self.tree)))
        return {
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPATH": path,
            "TORCHDYNAMO_DISABLE": "1",  # compiling what a CPU samples takes longer than the test
            "VLLM_CPU_KVCACHE_SPACE": "1",
            "VLLM_CPU_OMP_THREADS_BIND": "nobind" if self.tag < "v0.20" else "0",
            "VLLM_NO_USAGE_STATS": "1",
            "WINSIM": str(int(self.emulated)),
            **({"VLLM_CACHE_ROOT": str(self.kept)} if self.kept else {}),
            **self._measured(),
            **more,
        }

    def _measured(self) -> dict[str, str]:
        """Which lines of the tree run, for scripts/winsim_lines.py."""
        folder = os.environ.get("WINVLLM_TEST_WINSIM_LINES")
        if not folder or not self.emulated or self.tree.name.endswith("-published"):
            return {}
        settings = Path(folder, self.tag, "coverage.ini").absolute()
        settings.parent.mkdir(parents=True, exist_ok=True)
        names = [f"    {self.tree / path}" for path in patched_modules(self.tag)]
        settings.write_text(
            f"[run]\nparallel = true\nsigterm = true\ndata_file = {settings.parent / 'data'}\ninclude =\n"
            + "\n".join(names),
            encoding="utf-8",
        )
        return {"COVERAGE_PROCESS_START": str(settings)}

    @contextlib.contextmanager
    def start(self, *arguments: Path | str, **more: str) -> Iterator[Started]:
        """`vllm ARGUMENTS...` in the background, ended at the end of the block."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        log = self.scratch / "log.txt"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [self.python, "-m", "winsim.command", *arguments],
                cwd=self.scratch,
                env=self.environment(**more),
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        try:
            yield Started(process=psutil.Process(process.pid), popen=process, log=log)
        finally:
            _end(process)

    def run(self, program: str, *arguments: Path | str, timeout: float = 500, **more: str) -> Ended:
        """`python -m PROGRAM ARGUMENTS... ANSWER`, with what it wrote to ANSWER."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        answer = self.scratch / "answer.json"
        ended = subprocess.run(
            [self.python, "-m", program, *arguments, answer],
            cwd=self.scratch,
            env=self.environment(**more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
        found = json.loads(answer.read_text(encoding="utf-8")) if answer.is_file() else None
        return Ended(status=ended.returncode, text=ended.stdout, answer=found)
