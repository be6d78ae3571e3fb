"""A build killed again and again: nothing is lost, no finished edge runs twice, the bytes are the same."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

import psutil
from typing_extensions import assert_never

from benchmarks.replay import driver, recorded
from benchmarks.replay.compiler import Scale
from benchmarks.replay.driver import Place, Told
from benchmarks.replay.project import Project

CONFIGURED: Final = frozenset({"build.ninja", "rules.ninja", "CMakeCache.txt", "compile_commands.json"})
MARK: Final = "WINVLLM_REPLAY_MARK"
LONGEST: Final = 120.0
"""Seconds after which a run counts as hanging."""


class Kill(Enum):
    """Who is killed with -9."""

    ALL = "everything at once"
    POWER = "everything at once, the last writes torn"
    DRIVER = "the tool with the gate in it"
    NINJA = "ninja"
    LAUNCHER = "a launcher"
    COMPILER = "a compiler"


@dataclass(frozen=True, slots=True, kw_only=True)
class Struck:
    """One kill.

    Attributes:
        kill: who.
        at: when it had struck, seconds since the epoch.
    """

    kill: Kill
    at: float


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What all kills together did.

    Attributes:
        kills: how many of each kind.
        builds: how often a build was brought to its end.
        lost: outputs that were missing or had other bytes at the end.
        again: edges that ran again though their end had been noted, by the kind of kill before.
        unnoted: compilers that ended well when nobody was left to note it, or while the kill struck.
        idle: further runs that ran an edge when everything was built.
        hung: runs that did not end.
        failed: ends of a run that nobody killed, that were no success.
    """

    kills: dict[str, int] = field(default_factory=dict)
    builds: int = 0
    lost: int = 0
    again: dict[str, int] = field(default_factory=dict)
    unnoted: int = 0
    idle: int = 0
    hung: int = 0
    failed: int = 0


def run(root: Path, number: int, *, seed: int = 1, kinds: Sequence[Kill] = tuple(Kill)) -> Outcome:
    """Kill until `number` kills have struck, over as many builds as that takes."""
    return _Harness(root=root, chance=random.Random(seed), kinds=kinds).run(number)  # noqa: S311 - not for secrets


@dataclass(slots=True, kw_only=True)
class _Harness:
    root: Path
    chance: random.Random
    kinds: Sequence[Kill]
    outcome: Outcome = field(default_factory=Outcome)
    scale: Scale = field(default_factory=lambda: Scale(time=0.012, memory=0.01, size=1 / 64))

    def run(self, number: int) -> Outcome:
        edges = recorded.thinned(recorded.load(recorded.SMALL), 40)
        place = Place(root=self.root / "place")
        built = driver.lay(place, edges, self.scale)
        self._finish(place)
        wanted = built.contents()
        struck = 0
        while struck < number:
            self._wipe(place, built)
            struck += self._one_build(place, built, wanted, number - struck)
        return self.outcome

    def _wipe(self, place: Place, built: Project) -> None:
        shutil.rmtree(place.build)
        shutil.rmtree(place.workspace.objects, ignore_errors=True)
        (place.root / driver.TOLD).unlink(missing_ok=True)
        toolkit = place.toolkit(self.scale)
        toolkit.forget()
        driver.configured(place, built.edges, toolkit)

    def _one_build(self, place: Place, built: Project, wanted: Mapping[str, bytes], left: int) -> int:
        """Kill one build until it is done in spite of it; how many kills struck."""
        strikes: list[Struck] = []
        while len(strikes) < left:
            struck = self._kill_once(place)
            if struck is None:
                break
            strikes.append(struck)
        self._finish(place)
        self._judge(place, built, wanted, strikes)
        return len(strikes)

    def _start(self, place: Place) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "benchmarks.replay.driver", str(place.root)],
            env={**os.environ, MARK: str(place.root), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _kill_once(self, place: Place) -> Struck | None:
        """Start, wait, kill; None if the run ended before it could be killed."""
        kill = self.chance.choice(self.kinds)
        child = self._start(place)
        try:
            self.outcome.failed += child.wait(self.chance.uniform(0.2, 2.2)) != 0
        except subprocess.TimeoutExpired:
            struck = self._strike(kill, child, place)
        else:
            return None
        self._let_end(child, place)
        self.outcome.kills[struck.kill.value] = self.outcome.kills.get(struck.kill.value, 0) + 1
        return struck

    def _strike(self, kill: Kill, child: subprocess.Popen[bytes], place: Place) -> Struck:
        """Kill one of the kind, or everything where there is none of it."""
        one = self._one(kill, place)
        if kill is Kill.DRIVER:
            child.kill()
            struck = Struck(kill=kill, at=time.time())
            time.sleep(self.chance.uniform(0, 0.5))
            return struck
        if one is not None:
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
            return Struck(kill=kill, at=time.time())
        end_all(place)
        struck = Struck(kill=kill if kill is Kill.POWER else Kill.ALL, at=time.time())
        if kill is Kill.POWER:
            tear(place, self.chance)
        return struck

    def _one(self, kill: Kill, place: Place) -> int | None:
        """A process of the kind, by chance."""
        match kill:
            case Kill.ALL | Kill.POWER | Kill.DRIVER:
                return None
            case Kill.NINJA:
                found = [pid for pid, words in family(place) if Path(words[0]).name == "ninja"]
            case Kill.LAUNCHER:
                found = [pid for pid, words in family(place) if "launcher" in " ".join(words[1:4])]
            case Kill.COMPILER:
                running = [pid for pid, words in family(place) if words[0].startswith(str(place.root))]
                drivers = {psutil.Process(pid).ppid() for pid in running if psutil.pid_exists(pid)}
                found = [pid for pid in running if pid not in drivers]
            case _:
                assert_never(kill)
        return self.chance.choice(found) if found else None

    def _let_end(self, child: subprocess.Popen[bytes], place: Place) -> None:
        """The tool itself lives: it has to end by itself, well or not."""
        try:
            child.wait(LONGEST)
        except subprocess.TimeoutExpired:
            self.outcome.hung += 1
            end_all(place)
            child.wait()

    def _finish(self, place: Place) -> None:
        """Run to the end, nobody killing; a second run has nothing to do."""
        toolkit = place.toolkit(self.scale)
        for again in (False, True):
            before = sum(1 for _ in toolkit.happenings())
            child = self._start(place)
            self._let_end(child, place)
            self.outcome.failed += child.returncode != 0
            if again:
                self.outcome.idle += sum(1 for _ in toolkit.happenings()) > before

    def _judge(
        self, place: Place, built: Project, wanted: Mapping[str, bytes], strikes: Sequence[Struck]
    ) -> None:
        self.outcome.builds += 1
        here = built.contents() if not built.missing() else {}
        self.outcome.lost += sum(here.get(name) != content for name, content in wanted.items())
        noted = list(driver.told(place))
        for at in again(noted):
            before = [strike.kill.value for strike in strikes if strike.at <= at]
            name = before[-1] if before else "nothing"
            self.outcome.again[name] = self.outcome.again.get(name, 0) + 1
        ends = [h for h in place.toolkit(self.scale).happenings() if h.event == "end" and h.extra == "0"]
        self.outcome.unnoted += len(ends) - sum(one.outcome == "compiled" for one in noted)


def again(noted: Sequence[Told]) -> Iterator[float]:
    """When an edge was compiled that had been before, and noted."""
    seen: set[str] = set()
    for one in noted:
        if one.outcome == "compiled":
            if one.output in seen:
                yield one.at
            seen.add(one.output)


def family(place: Place) -> Iterator[tuple[int, list[str]]]:
    """Everything alive that was started for this place, with its command line."""
    mark = f"{MARK}={place.root}".encode()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            with suppress(OSError):
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
                    yield int(folder.name), words


def end_all(place: Place) -> None:
    """Stop everything, so that nobody sees another's death, then kill it."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        seen: set[int] = set()
        while found := {pid for pid, _ in family(place)} - seen:
            for pid in sorted(found):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
            seen |= found
    while any(True for _ in family(place)):
        time.sleep(0.005)


def tear(place: Place, chance: random.Random) -> None:
    """As after a power cut: half of what was written in the last second is shorter than it was, or has zeros.

    What CMake wrote stays: a real configure ends long before.
    """
    for folder in (place.build, place.workspace.objects):
        for file in sorted(folder.rglob("*")) if folder.exists() else ():
            if file.name in CONFIGURED or not file.is_file() or chance.choice((True, False)):
                continue
            with suppress(OSError):
                stat = file.stat()
                if time.time() - stat.st_mtime <= 1 and stat.st_size:
                    _shorten(file, stat.st_size, chance)


def _shorten(file: Path, size: int, chance: random.Random) -> None:
    """A log loses its end; another file any part, which may read as zeros."""
    log = file.suffix == ".jsonl" or file.name.startswith((".ninja", ".winvllm-edges"))
    os.truncate(file, max(size - chance.randrange(1, 200), 0) if log else chance.randrange(size))
    if not log and chance.choice((True, False)):
        os.truncate(file, size)
