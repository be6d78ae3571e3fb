"""The door to ninja: what the graph holds; running a part of it with progress, logs, clean interruption."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from winvllm_build import process
from winvllm_build.build.engine.commandline import without_launcher
from winvllm_build.build.engine.protocol import NOT_STARTED
from winvllm_build.build.events import EdgeDone
from winvllm_build.errors import ToolchainError
from winvllm_build.workspace import Journal, write_atomic

MARK: Final = "@edge "
STATUS: Final = f"{MARK}%f %t "
STATUS_LINE: Final = re.compile(rf"^{MARK}(\d+) (\d+) (.*)$", re.DOTALL)
FAILED: Final = "FAILED: "
RUNNING: Final = ".winvllm-running.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedEdge:
    """An edge whose command failed.

    Attributes:
        outputs: the files it should have made, relative to the build folder.
        command: the command line as ninja ran it.
        log: file with the command and its whole output.
        first_error: the first line that looks like a compiler's error, else the last line.
    """

    outputs: tuple[str, ...]
    command: str
    log: Path
    first_error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a ninja run ended; `seconds` is wall time."""

    code: int
    finished: int
    total: int
    failed: tuple[FailedEdge, ...]
    seconds: float
    tail: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ninja:
    """Ninja in one build folder."""

    program: Path
    folder: Path
    environment: Mapping[str, str]

    @property
    def _journal(self) -> Journal:
        return Journal(path=self.folder / RUNNING)

    def _ask(self, *args: str) -> str:
        done = process.capture([self.program, "-C", self.folder, *args], env=self.environment)
        if done.code != 0:
            raise ToolchainError(
                f"ninja {' '.join(args)} failed in {self.folder}: {done.error_text or done.text.strip()}",
                fix="run the build again with --fresh",
            )
        return done.text

    def refresh(self) -> None:
        """End what a killed run left; bring the manifest up to date: CMake runs if what it has read changed.

        A run does this too, but goes on in the order that CMake wrote. What CMake has to say, the run says.
        """
        end_leftover(self._journal)
        process.capture([self.program, "-C", self.folder, "build.ninja"], env=self.environment)

    def commands(self, targets: Sequence[str]) -> list[str]:
        """The command lines that would make `targets` from nothing, in order."""
        return self._ask("-t", "commands", *targets).splitlines()

    def pending(self, targets: Sequence[str]) -> list[str]:
        """What a run would do now: one description for each edge."""
        text = self._ask_status("-n", *targets)
        return [match[3] for line in text.splitlines() if (match := STATUS_LINE.match(line))]

    def pending_commands(self, targets: Sequence[str]) -> list[str]:
        """The command lines of a run now, in order."""
        text = self._ask_status("-n", "-v", *targets)
        return [match[3] for line in text.splitlines() if (match := STATUS_LINE.match(line))]

    def _ask_status(self, *args: str) -> str:
        env = {**self.environment, "NINJA_STATUS": STATUS}
        done = process.capture([self.program, "-C", self.folder, *args], env=env)
        if done.code != 0:
            raise ToolchainError(f"ninja {' '.join(args)}: {done.text.strip() or done.error_text}")
        return done.text

    def run(
        self,
        targets: Sequence[str],
        *,
        jobs: int,
        keep_going: bool,
        logs: Path,
        on_edge: Callable[[EdgeDone], None],
    ) -> RunResult:
        """Bring `targets` up to date.

        Interruption ends ninja and its compilers, and ninja removes half-made outputs. A run that was killed
        together with this process is found by its journal and ended before a new one begins.

        Args:
            targets: names or output paths.
            jobs: edges at a time.
            keep_going: go on with everything that does not need a failed edge.
            logs: folder for one log file per failed edge.
            on_edge: called for each finished edge.
        """
        journal = self._journal
        end_leftover(journal)
        reader = _Reader(logs=logs, on_edge=on_edge, jobs=jobs)
        args = ["-C", str(self.folder), "-j", str(jobs), *(["-k", "0"] if keep_going else []), *targets]

        def note_start(pid: int) -> None:
            journal.begin({"ninja": pid, "created": psutil.Process(pid).create_time()})

        try:
            code = process.stream(
                [self.program, *args],
                env={**self.environment, "NINJA_STATUS": STATUS},
                on_line=reader.line,
                on_start=note_start,
            )
            reader.flush()
            if code != 0:  # a killed ninja leaves compilers that would write beside those of the next run
                end_leftover(journal)
        finally:
            journal.end()
        return reader.result(code)


def end_leftover(journal: Journal) -> bool:
    """End the ninja and the compilers of a run whose parent was killed; True if there were any."""
    left = journal.read()
    if left is None:
        return False
    found = False
    pid, created = left.get("ninja"), left.get("created")
    if isinstance(pid, int) and isinstance(created, float):
        found = process.end_session(pid, created=created)
    journal.end()
    return found


@dataclass(slots=True)
class _Reader:
    """Cuts ninja's output into edges."""

    logs: Path
    on_edge: Callable[[EdgeDone], None]
    jobs: int
    begun: float = field(default_factory=time.monotonic)
    finished: int = 0
    total: int = 0
    skipped: int = 0
    title: str = ""
    body: list[str] = field(default_factory=list)
    failed: list[FailedEdge] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)

    def line(self, text: str) -> None:
        match = STATUS_LINE.match(text)
        if match is None:
            self.body.append(text)
            return
        self.flush()
        self.finished, self.total, self.title = int(match[1]) - self.skipped, int(match[2]), match[3]

    def flush(self) -> None:
        if self.title:
            bad = bool(self.body) and self.body[0].startswith(FAILED)
            if bad and NOT_STARTED in self.body:
                self.skipped += 1
                self.finished -= 1
            else:
                if bad:
                    self.failed.append(self._record())
                self.on_edge(self._event(failed=bad))
        if self.body:
            self.tail = self.body[-20:]
        self.title, self.body = "", []

    def _event(self, *, failed: bool) -> EdgeDone:
        elapsed = time.monotonic() - self.begun
        left = self.total - self.finished
        remaining = elapsed / self.finished * left if self.finished >= min(self.jobs, self.total) else None
        return EdgeDone(
            finished=self.finished,
            total=self.total,
            title=self.title,
            failed=failed,
            elapsed=elapsed,
            remaining=remaining,
        )

    def _record(self) -> FailedEdge:
        names = re.sub(r"^FAILED: (\[code=-?\d+\] )?", "", self.body[0]).split()
        command = self.body[1] if len(self.body) > 1 else ""
        output = self.body[2:]
        log = self.logs / f"{_file_name(names[0] if names else self.title)}.log"
        text = "\n".join([f"# {self.body[0]}", f"$ {command}", "", *output, ""])
        write_atomic(log, text.encode())
        return FailedEdge(outputs=tuple(names), command=command, log=log, first_error=first_error(output))

    def result(self, code: int) -> RunResult:
        return RunResult(
            code=code,
            finished=self.finished,
            total=self.total,
            failed=tuple(self.failed),
            seconds=time.monotonic() - self.begun,
            tail=tuple(self.tail),
        )


ERROR: Final = re.compile(
    r"(?i)\b(fatal )?error\b( ?[A-Z]+\d+)?\s*[:#]|\berror [A-Z]+\d{4}\b|^nvcc fatal|: catastrophic error"
)


def first_error(lines: Iterable[str]) -> str:
    """The first line that carries a compiler's or linker's error, else the last line that says anything."""
    last = ""
    for line in lines:
        if ERROR.search(line):
            return line.strip()
        last = line.strip() or last
    return last


def _file_name(output: str) -> str:
    short = output.replace("CMakeFiles/", "").replace(".dir/", "/")
    return re.sub(r"[^A-Za-z0-9._-]+", "_", short)[-120:]


def read_compile_commands(folder: Path) -> list[dict[str, str]]:
    """CMake's compilation database: `directory`, `command`, `file`, build-relative `output` of each edge.

    The gate's launcher is no part of the commands.
    """
    entries: list[dict[str, str]] = json.loads((folder / "compile_commands.json").read_bytes())
    for entry in entries:
        output = Path(entry.get("output", ""))
        if output.is_absolute() and output.is_relative_to(entry["directory"]):
            entry["output"] = output.relative_to(entry["directory"]).as_posix()
        entry["command"] = without_launcher(entry["command"])
    return entries
