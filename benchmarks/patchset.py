"""Apply, status and regen of a whole patch set against plain git, whole processes, in one run.

    python benchmarks/patchset.py --tree PATH [--tag v0.14.1] [--rounds 7] [--json]

PATH is a worktree at the base of the tag; it is cloned and stays as it is. Each round runs every command, so
a busy machine slows all of them alike; medians and their ratios are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CLI = [sys.executable, "-c", "from winvllm_build.cli.main import main; main()"]


@dataclass
class Series:
    """One command's runs: seconds and peak memory (MiB, the largest process) of each."""

    name: str
    beside: str
    seconds: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


class Bench:
    """A clone of the tree, a copy of the patch sets, and the one diff of them all."""

    def __init__(self, tree: Path, patches: Path, tag: str, work: Path) -> None:
        self.tag = tag
        self.tree = work / "tree"
        self.patches = work / "patches"
        self.diff = work / "all.diff"
        self.series: dict[str, Series] = {}
        run(["git", "clone", "-q", "--no-hardlinks", str(tree), str(self.tree)])
        shutil.copytree(patches, self.patches)
        parts = [file.read_bytes() for file in sorted((self.patches / tag).rglob("*.patch"))]
        self.count = len(parts)
        self.diff.write_bytes(b"".join(part[part.index(b"diff --git ") :] for part in parts))

    def tool(self, *args: str) -> list[str]:
        return [*CLI, *args, self.tag, "--tree", str(self.tree), "--patches", str(self.patches)]

    def git(self, *args: str) -> list[str]:
        return ["git", "-C", str(self.tree), *args]

    def measure(self, name: str, command: Sequence[str], *, beside: str = "") -> None:
        seconds, memory = timed(command)
        series = self.series.setdefault(name, Series(name, beside))
        series.seconds.append(seconds)
        series.memory.append(memory)

    def round(self) -> None:
        self.measure("python, doing nothing", [sys.executable, "-c", "pass"])
        self.measure("winvllm-build --version", [*CLI, "--version"], beside="python, doing nothing")
        self.measure("git apply --index", self.git("apply", "--index", "--whitespace=nowarn", str(self.diff)))
        self.measure("git apply --index -R", self.git("apply", "--index", "-R", str(self.diff)))
        self.measure("apply --check", self.tool("apply", "--check"), beside="git apply --index")
        self.measure("apply", self.tool("apply"), beside="git apply --index")
        self.measure("apply, again", self.tool("apply"), beside="git apply --index")
        self.measure("status", self.tool("status"), beside="python, doing nothing")
        self.measure("git diff HEAD", self.git("diff", "HEAD", "--output", os.devnull))
        self.measure("regen --check", self.tool("regen", "--check"), beside="git diff HEAD")
        self.edit()
        self.measure("regen, one file edited", self.tool("regen"), beside="git diff HEAD")
        self.edit()
        run(self.tool("regen"))
        self.measure("apply --reverse", self.tool("apply", "--reverse"), beside="git apply --index -R")

    def edit(self) -> None:
        """Add a line to a patched file, or take it away again."""
        file = self.tree / "setup.py"
        mark = b"# benchmark\n"
        content = file.read_bytes()
        file.write_bytes(content.removesuffix(mark) if content.endswith(mark) else content + mark)


def run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        raise SystemExit(
            f"{' '.join(command)} exited {done.returncode}:\n{done.stderr.decode(errors='replace')}"
        )


def timed(command: Sequence[str]) -> tuple[float, float]:
    """Wall seconds and peak memory in MiB (0 where the system does not tell)."""
    with tempfile.TemporaryFile() as said:
        begun = time.perf_counter()
        child = subprocess.Popen(command, stdout=said, stderr=said)
        wait: Callable[[int, int], tuple[int, int, Any]] | None = getattr(os, "wait4", None)
        if wait is None:
            code, memory = child.wait(), 0.0
        else:
            _, status, usage = wait(child.pid, 0)
            code = child.returncode = os.waitstatus_to_exitcode(status)
            memory = usage.ru_maxrss / 1024
        seconds = time.perf_counter() - begun
        if code != 0:
            said.seek(0)
            raise SystemExit(f"{' '.join(command)} exited {code}:\n{said.read().decode(errors='replace')}")
    return seconds, memory


def rows(bench: Bench) -> list[dict[str, Any]]:
    found = []
    for series in bench.series.values():
        other = bench.series.get(series.beside)
        found.append(
            {
                "command": series.name,
                "median_s": round(series.median, 4),
                "best_s": round(min(series.seconds), 4),
                "peak_mib": round(max(series.memory), 1),
                "beside": series.beside,
                "ratio": round(series.median / other.median, 2) if other else None,
                "beyond_s": round(series.median - other.median, 4) if other else None,
            }
        )
    return found


def show(found: list[dict[str, Any]]) -> None:
    print(f"{'command':<26}{'median':>9}{'best':>9}{'peak MiB':>10}{'ratio':>8}{'beyond':>9}  beside")
    for row in found:
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        beyond = "" if row["beyond_s"] is None else f"{row['beyond_s']:.3f}"
        print(
            f"{row['command']:<26}{row['median_s']:>9.3f}{row['best_s']:>9.3f}{row['peak_mib']:>10.1f}"
            f"{ratio:>8}{beyond:>9}  {row['beside']}"
        )


def main() -> int:
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has its bytecode
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tree", type=Path, required=True, help="a worktree at the tag's base")
    parser.add_argument("--tag", default="v0.14.1")
    parser.add_argument("--patches", type=Path, default=Path(__file__).resolve().parent.parent / "patches")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="winvllm-benchmark-") as work:
        bench = Bench(options.tree, options.patches, options.tag, Path(work))
        for _ in range(options.rounds):
            bench.round()
        found = rows(bench)
        if options.json:
            print(json.dumps({"tag": options.tag, "patches": bench.count, "rows": found}, indent=1))
        else:
            print(f"{bench.count} patches of {options.tag}, {options.rounds} rounds, {os.cpu_count()} cores")
            show(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
