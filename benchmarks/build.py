"""Whole-process figures of the main job: start-up, quickstart from nothing and again, the no-op build.

    python benchmarks/build.py [--home FOLDER] [--json]

Wall time, and the peak resident memory of the tool itself (without its compilers) and of the whole tree.
The first build starts from an empty workspace unless FOLDER has one; it downloads what the machine lacks.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

PROGRAM = str(Path(sys.executable).parent / "winvllm-build")
INTERVAL = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured process: wall seconds, peak resident bytes of itself and of its tree."""

    name: str
    seconds: float
    own: int
    tree: int
    runs: int


def measure(name: str, arguments: Sequence[str], home: Path, *, runs: int = 1) -> Figure:
    """The fastest of some runs and the highest memory of all of them."""
    best, own, tree = float("inf"), 0, 0
    for _ in range(runs):
        seconds, peak, family = _once(arguments, home)
        best, own, tree = min(best, seconds), max(own, peak), max(tree, family)
    return Figure(name=name, seconds=best, own=own, tree=tree, runs=runs)


def _once(arguments: Sequence[str], home: Path) -> tuple[float, int, int]:
    begun = time.perf_counter()
    child = psutil.Popen(
        arguments,
        env={**os.environ, "WINVLLM_BUILD_HOME": str(home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    own = tree = 0
    while child.poll() is None:
        sizes = [_resident(child), *(_resident(process) for process in _children(child))]
        own, tree = max(own, sizes[0]), max(tree, sum(sizes))
        time.sleep(INTERVAL)
    seconds = time.perf_counter() - begun
    if child.returncode != 0:
        raise SystemExit(f"{' '.join(arguments)} exited {child.returncode}")
    return seconds, own, tree


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def main() -> None:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has its bytecode
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="workspace to use instead of an empty one")
    parser.add_argument("--json", action="store_true", help="print data")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="winvllm-benchmark-") as temporary:
        home = options.home or Path(temporary)
        build = [PROGRAM, "build", "--profile", "quickstart"]
        figures = [
            measure("interpreter alone", [sys.executable, "-c", "pass"], home, runs=10),
            measure("--version", [PROGRAM, "--version"], home, runs=10),
            measure("--help", [PROGRAM, "--help"], home, runs=10),
            measure("quickstart, first run", build, home),
            measure("quickstart again", build, home, runs=5),
            measure("quickstart again, --offline", [*build, "--offline"], home, runs=5),
        ]
    if options.json:
        print(json.dumps([asdict(figure) for figure in figures], indent=1))
        return
    print("| what | wall | own peak | tree peak |\n|---|---|---|---|")
    for f in figures:
        print(f"| {f.name} | {f.seconds:.2f} s | {f.own / 1e6:.0f} MB | {f.tree / 1e6:.0f} MB |")


if __name__ == "__main__":
    main()
