"""Tells a recorded build to the terminal it is started on: `watch_driver.py FOLDER [nothing]`."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

from tests.report_replay import Recorded, recorded_entries
from winvllm_build.build.events import Note, Step, StepBegun, StepDone
from winvllm_build.cli.watch import watching


def main(folder: Path, *, nothing: bool) -> None:
    recorded = Recorded(entries=recorded_entries(), predicted=lambda entry: entry.seconds)
    with watching() as watch:
        watch(StepBegun(step=Step.COMPILE, title="all of it"))
        watch(Note(text="a note"))
        if not nothing:
            watch(replace(recorded.begun(), build=folder))
            for number, event in enumerate(recorded.events()):
                watch(event)
                if number == 200:
                    time.sleep(0.6)
        watch(StepDone(step=Step.COMPILE, seconds=1, summary="nothing to do" if nothing else "94 edges ran"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), nothing="nothing" in sys.argv)
