"""Keeps what a build tells in its folder, a file for each run that compiles something."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from winvllm_build.build.events import CompileBegun, EdgeDone, Event, Sample
from winvllm_build.build.report import runs, stream
from winvllm_build.build.report.run import Ending

EARLIEST: Final = 1.0
"""Seconds between two samples of memory that are kept, at least."""
SAMPLES: Final = 400
"""A sample is kept each time the run is older by one part of this many: a long run stays a small file."""


class Recorder:
    """Takes events; what comes before the compile step is held back until there is a folder to write to.

    A record is worth less than a build: where it cannot be written, it ends, and `problem` says why.
    """

    def __init__(self, *, version: str, at: float) -> None:
        self.files: list[Path] = []
        self.problem = ""
        self._version, self._folder = version, Path()
        self._held = [stream.opened(at=at, version=version)]
        self._open: BinaryIO | None = None
        self._sampled = self._begun = at

    def see(self, event: Event, *, at: float, remaining: float | None) -> None:
        """Write an event down.

        Args:
            event: what happened.
            at: seconds since the epoch.
            remaining: estimated seconds to the end.
        """
        if isinstance(event, CompileBegun):
            self._begin(event)
        if isinstance(event, Sample) and not self._due(event):
            return
        if isinstance(event, EdgeDone) and self._open is None:
            return  # ninja runs without a plan: its own log tells as much
        self._write(stream.encode(event, at=at, remaining=remaining))

    def end(self, ending: Ending, *, at: float) -> None:
        """The run is over; a record that was begun gets its last line."""
        if self._open is not None:
            self._write(stream.closed(at=at, outcome=ending.value))
        if self._open is not None:
            self._open.close()
            self._open = None

    @property
    def file(self) -> Path | None:
        """The last record."""
        return self.files[-1] if self.files else None

    def _due(self, sample: Sample) -> bool:
        if sample.at - self._sampled < max(EARLIEST, (sample.at - self._begun) / SAMPLES):
            return False
        self._sampled = sample.at
        return True

    def _begin(self, event: CompileBegun) -> None:
        if self._open is not None:
            if self._folder == event.build:
                return
            self.end(Ending.FINISHED, at=event.at)  # one command can build several folders
            self._held = [stream.opened(at=event.at, version=self._version)]
        self._folder = event.build
        self._begun = self._sampled = event.at
        name = runs.name_of(event.at)
        folder = event.build / runs.FOLDER
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(100):
                file = folder / f"{name}{f'-{number}' if number else ''}{runs.SUFFIX}"
                with contextlib.suppress(FileExistsError):
                    self._open = file.open("xb")
                    self.files.append(file)
                    break
        except OSError as error:
            self._give_up(error)
            return
        runs.prune(event.build)
        held, self._held = self._held, []
        for value in held:
            self._write(value)

    def _write(self, value: Mapping[str, Any]) -> None:
        if self._open is None:
            if not self.files and not self.problem:
                self._held.append(dict(value))
            return
        try:
            self._open.write(stream.line(value))
            self._open.flush()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        self.problem = f"this run is not recorded: {error.strerror or error}"
        self._held = []
        if self._open is not None:
            with contextlib.suppress(OSError):
                self._open.close()
            self._open = None
