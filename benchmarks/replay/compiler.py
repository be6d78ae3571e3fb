"""The replay compiler: built once, laid out as a toolkit of its own with what it shall replay."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from benchmarks.replay.recorded import Recorded

SOURCE: Final = Path(__file__).resolve().with_name("compiler.c")
NAMES: Final = ("nvcc", "g++")


class Victim(Enum):
    """Who ends when memory is out: on Linux the kernel kills the largest, on Windows who asks is refused."""

    LARGEST = "largest"
    ASKER = "asker"


class Fault(Enum):
    """What an edge can be told to do."""

    KILLED = "killed"
    """The compiler proper is killed, as the kernel kills what is too large; the driver says so."""
    KILLED_WHOLE = "killed-whole"
    """Driver and compiler are killed at once."""
    GROW = "grow"
    """It takes more memory by a factor."""
    C1060 = "c1060"
    C1061 = "c1061"
    ILLEGAL = "illegal"
    """cl.exe ends with 0xC000001D."""
    BAD_ALLOC = "bad-alloc"
    ERROR = "error"
    """An error in the source."""
    HALF = "half"
    """It is killed with half of the object written."""
    FLOOD = "flood"
    """It writes megabytes of warnings."""
    HANG = "hang"
    NOTHING = "nothing"
    """It ends well and has written nothing."""
    DEAF = "deaf"
    """It ignores Ctrl-C and SIGTERM."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A fault of one edge.

    Attributes:
        output: the edge.
        fault: what it does.
        value: the factor of `GROW`, the megabytes of `FLOOD`.
        times: how many of its attempts do it, the first ones; 0 for all.
    """

    output: str
    fault: Fault
    value: float = 0.0
    times: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How a replay relates to what was recorded.

    Attributes:
        time: replayed seconds for each recorded one.
        memory: resident bytes for each recorded one.
        size: bytes written for each recorded one.
    """

    time: float = 0.01
    memory: float = 0.125
    size: float = 1 / 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One line of the replay compiler's log; `at` in seconds since the epoch."""

    at: float
    event: str
    pid: int
    output: str
    extra: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolkit:
    """A folder with the replay compiler under the names of real ones."""

    folder: Path
    scale: Scale = field(default_factory=Scale)

    @property
    def nvcc(self) -> Path:
        return self.folder / "bin" / "nvcc"

    @property
    def host(self) -> Path:
        return self.folder / "bin" / "g++"

    @property
    def log(self) -> Path:
        return self.folder / "state" / "log"

    def happenings(self) -> Iterator[Happening]:
        if not self.log.exists():
            return
        for line in self.log.read_text(encoding="utf-8").splitlines():
            at, event, pid, output, extra = line.split("\t")
            yield Happening(at=float(at), event=event, pid=int(pid), output=output, extra=extra)

    def kills(self) -> int:
        """How often memory was out."""
        return sum(1 for happening in self.happenings() if happening.event == "oom")

    def forget(self) -> None:
        """Drop log, attempts and the accounts of memory."""
        shutil.rmtree(self.folder / "state", ignore_errors=True)
        (self.folder / "state" / "attempts").mkdir(parents=True)

    def configure(
        self,
        edges: Iterable[Recorded],
        *,
        cap: int = 0,
        faults: Sequence[Told] = (),
        victim: Victim = Victim.LARGEST,
    ) -> None:
        """Say what to replay.

        Args:
            edges: the costs, as recorded.
            cap: recorded bytes that all running edges may hold together; 0 for no end.
            faults: what goes wrong.
            victim: who ends when the cap is passed.
        """
        state = self.folder / "state"
        (state / "attempts").mkdir(parents=True, exist_ok=True)
        rows = (f"{edge.output}\t{edge.seconds}\t{edge.memory}\t{edge.size}\n" for edge in edges)
        (self.folder / "profile").write_text("".join(rows), encoding="utf-8")
        lines = (f"{told.output}\t{told.fault.value} {told.value} {told.times}\n" for told in faults)
        (self.folder / "faults").write_text("".join(lines), encoding="utf-8")
        settings = {
            "profile": self.folder / "profile",
            "faults": self.folder / "faults",
            "account": state / "account",
            "log": self.log,
            "attempts": state / "attempts",
            "time": self.scale.time,
            "memory": self.scale.memory,
            "size": self.scale.size,
            "cap": cap,
            "victim": victim.value,
        }
        text = "".join(f"{name} {value}\n" for name, value in settings.items())
        (self.folder / "bin" / "replay.conf").write_text(text, encoding="utf-8")


def available() -> bool:
    """Whether this machine can build it: it is written for POSIX."""
    return shutil.which("cc") is not None and Path("/proc/self/exe").exists()


def build(folder: Path, scale: Scale) -> Toolkit:
    """Compile it into a folder; half a second, once."""
    programs = folder / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    first = programs / NAMES[0]
    if not first.exists():
        subprocess.run(["cc", "-O2", "-Wall", "-o", str(first), str(SOURCE)], check=True)
        for name in NAMES[1:]:
            shutil.copy2(first, programs / name)
    return Toolkit(folder=folder, scale=scale)
