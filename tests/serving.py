"""What the tests of `serve` and `chat` share: an environment with a small engine, a running tool."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

ENGINE = Path(__file__).resolve().parent / "serving_engine"
CHECKOUT = ENGINE.parents[1]
TOOL = "import sys; from winvllm_build.cli.main import main; sys.argv[0] = 'winvllm-build'; main()"
READY = re.compile(r"ready: (?P<url>\S+)/v1 serves (?P<model>\S+)")
UP_SECONDS, END_SECONDS = 60.0, 60.0
CONFIG = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 64}


def environment_with(folder: Path, *paths: Path, version: str = "0.33.0") -> Path:
    """A virtual environment whose Python finds a vLLM in these folders.

    Returns:
        Its interpreter.
    """
    venv.create(folder, with_pip=False, symlinks=os.name != "nt")
    (site,) = folder.glob("[Ll]ib/**/site-packages")
    add_vllm(site, *paths, version=version)
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def add_vllm(site: Path, *paths: Path, version: str) -> None:
    """Name the folders in an environment, as an editable installation does."""
    about = site / f"vllm-{version}.dist-info"
    about.mkdir()
    text = f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n"
    (about / "METADATA").write_text(text, encoding="utf-8")
    (site / "engine.pth").write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")


def model(folder: Path, **behaviour: object) -> Path:
    """A model's folder as far as the small engine looks into it."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    (folder / "behaviour.json").write_text(json.dumps(behaviour), encoding="utf-8")
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A tool that runs."""

    popen: subprocess.Popen[bytes]
    out: Path
    err: Path

    @property
    def printed(self) -> str:
        return self.out.read_text(encoding="utf-8")

    @property
    def told(self) -> str:
        return self.err.read_bytes().decode("utf-8", "replace")

    def url(self, seconds: float = UP_SECONDS) -> str:
        """Where it serves, once it does."""
        self.wait_for(lambda: "ready:" in self.printed, seconds)
        found = READY.search(self.printed)
        assert found is not None
        return found["url"]

    def wait_for(self, seen: Callable[[], bool], seconds: float = UP_SECONDS) -> None:
        """Until that is seen while it runs."""
        end = time.monotonic() + seconds
        while not seen():
            assert time.monotonic() < end, self.told[-3000:]
            assert self.popen.poll() is None, self.told[-3000:]
            time.sleep(0.05)

    def stop(self, number: int = signal.SIGINT) -> int:
        self.popen.send_signal(number)
        return self.popen.wait(END_SECONDS)

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.popen.pid).children(recursive=True)


@contextlib.contextmanager
def tool(
    scratch: Path, *words: str | Path, variables: Mapping[str, str] | None = None, typed: bytes | None = None
) -> Iterator[Running]:
    """`winvllm-build WORDS...` in the background; all of it has ended with the block."""
    scratch.mkdir(parents=True, exist_ok=True)
    out, err = scratch / "out.txt", scratch / "err.txt"
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), **(variables or {})}
    with out.open("wb") as first, err.open("wb") as second:
        popen = subprocess.Popen(
            [sys.executable, "-c", TOOL, *map(str, words)],
            cwd=scratch, env=environment, stdout=first, stderr=second,
            stdin=subprocess.DEVNULL if typed is None else subprocess.PIPE,
        )  # fmt: skip
    if typed is not None and popen.stdin is not None:
        popen.stdin.write(typed)
        popen.stdin.close()
    try:
        yield Running(popen=popen, out=out, err=err)
    finally:
        if popen.poll() is None:
            for member in [*psutil.Process(popen.pid).children(recursive=True), psutil.Process(popen.pid)]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    member.kill()
        popen.wait()
