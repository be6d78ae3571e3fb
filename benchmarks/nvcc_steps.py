"""One nvcc command as the programs that it runs, each measured by itself.

nvcc says with --dryrun what it would run. Run one after the other these give the object, the PTX and what
each pass costs from a single compile, and a pass can be left out: PTX needs two of the seven.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

VARIABLE: Final = re.compile(r"(\w+)=(.*)")
PROGRAMS: Final = (
    ("cudafe", re.compile(r"\bcudafe\+\+")),
    ("cicc", re.compile(r'/cicc"')),
    ("ptxas", re.compile(r"ptxas ")),
    ("fatbinary", re.compile(r"fatbinary ")),
    ("text for the host", re.compile(r".* -E .*\.cpp4\.ii")),
    ("text for the device", re.compile(r".* -E ")),
    ("host compiler", re.compile(r".* -c ")),
)
WRITTEN: Final = 8.0
"""Processor seconds without a byte after which the text is complete but for a last block."""
TO_PTX: Final = ("text for the device", "cicc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Processor seconds, peak memory in MiB."""

    cpu: float
    mib: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """What one nvcc command runs.

    Attributes:
        exports: variables that the lines use, for a shell.
        lines: kind of program and its command line, in order.
    """

    exports: tuple[str, ...]
    lines: tuple[tuple[str, str], ...]

    def only(self, kinds: Sequence[str]) -> Steps:
        return Steps(exports=self.exports, lines=tuple(line for line in self.lines if line[0] in kinds))

    def changed(self, kind: str, old: str, new: str) -> Steps:
        """With a word of one program's command line replaced."""
        lines = ((k, text.replace(old, new) if k == kind else text) for k, text in self.lines)
        return Steps(exports=self.exports, lines=tuple(lines))


def steps_of(words: Sequence[str], folder: str) -> Steps:
    """What nvcc would run for a command; its intermediate files are named after the output."""
    asked = subprocess.run(
        [*words, "--dryrun", "--keep"], cwd=folder, capture_output=True, text=True, check=True
    )
    exports: list[str] = []
    lines: list[tuple[str, str]] = []
    for line in asked.stderr.splitlines():
        text = line.removeprefix("#$ ")
        variable = VARIABLE.fullmatch(text)
        if variable:
            exports.append(f"export {variable[1]}={shlex.quote(variable[2].strip())}")
        elif text != line and not text.startswith(("rm ", "erase ")):
            kind = next((kind for kind, pattern in PROGRAMS if pattern.search(text)), "other")
            lines.append((kind, text))
    return Steps(exports=tuple(exports), lines=tuple(lines))


def run(steps: Steps, folder: Path) -> Mapping[str, Cost]:
    """Each step's cost; ends the program at the first that fails."""
    found: dict[str, Cost] = {}
    for kind, text in steps.lines:
        child = subprocess.Popen(["sh", "-c", "\n".join([*steps.exports, text])], cwd=folder)
        _, status, used = os.wait4(child.pid, 0)
        if status != 0:
            raise SystemExit(f"{kind} failed: {text}")
        before = found.get(kind, Cost(cpu=0, mib=0))
        cpu = round(before.cpu + used.ru_utime + used.ru_stime, 2)
        found[kind] = Cost(cpu=cpu, mib=max(before.mib, used.ru_maxrss // 1024))
    return found


def run_until_written(steps: Steps, folder: Path, file: Path) -> Cost:
    """The last step, ended once its file has not grown for some seconds of work; what it took until then."""
    text = "\n".join([*steps.exports, f"exec {steps.lines[-1][1]}"])
    child = psutil.Popen(["sh", "-c", text], cwd=folder)
    size, cost = -1, Cost(cpu=0, mib=0)
    while child.poll() is None:
        time.sleep(1)
        with contextlib.suppress(psutil.Error):
            used = child.cpu_times()
            now = Cost(cpu=round(used.user + used.system, 2), mib=child.memory_info().rss >> 20)
            grown = file.stat().st_size if file.is_file() else -1
            if grown != size:
                size, cost = grown, now
            elif size > 0 and now.cpu - cost.cpu > WRITTEN:
                child.kill()
    child.wait()
    return cost
