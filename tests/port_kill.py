"""Kill a step of a port at each of its writes, run the next command, and report what is left (POSIX only).

Run as a program: `python port_kill.py TEMPLATE WORK STEP FIRST STRIDE`. As in `kill_driver`, each attempt
works on its own copy of TEMPLATE in a child that ends itself; the parent then does what a person would.
Prints one JSON line per attempt.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.kill_driver import killed_at
from tests.port_bench import CLEAN
from tests.port_cases import NEW
from tests.port_story import Story, contents, lines, write
from winvllm_build import process
from winvllm_build.errors import UsageError, WinvllmError
from winvllm_build.git import Git
from winvllm_build.patchset import patchset
from winvllm_build.port import statefile
from winvllm_build.port.state import Phase

RESOLVED = {"a.py": lines(40, l20="both")}
SECOND = {"b.py": lines(40, l20="both, fast")}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """All that counts of a story: the sets, and what a human has in hand."""

    sets: dict[str, bytes]
    worktree: dict[str, bytes]
    unmerged: bytes
    phase: str


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command of a port.

    Attributes:
        ready: brings a copy of the template to where the command is run.
        run: the command.
        again: what a person runs after it was killed.
        keeps: files that have to be in a commit afterwards.
        tag: the release that is ported to.
    """

    ready: Callable[[Story], object]
    run: Callable[[Story], object]
    again: Callable[[Story], object]
    keeps: Mapping[str, bytes] = field(default_factory=dict)
    tag: str = NEW


def begin_again(story: Story) -> None:
    """The same command; where all was done but the last word, it says that the port is under way."""
    state = statefile.find(story.workspace, NEW)
    if state is not None and state.phase is Phase.OPEN:
        try:
            story.begin(NEW)
        except UsageError:
            return
        raise AssertionError("a port under way was begun again")
    story.begin(NEW)


def go_on_again(story: Story) -> None:
    state = statefile.find(story.workspace, NEW)
    assert state is not None
    if state.phase is not Phase.OPEN or state.handoff is None or state.handoff.layer == "windows":
        story.go_on(NEW)


def clean_again(story: Story) -> None:
    """Where it was killed after the last write, there is nothing to do any more."""
    done = "ported.json" in story.set_bytes(CLEAN) and not story.leftovers(CLEAN)
    if not done:
        assert story.begin(CLEAN).state is None


def abort_again(story: Story) -> None:
    if statefile.find(story.workspace, NEW) is not None:
        story.abort(NEW)


def restarted(story: Story) -> None:
    """Killed while it was begun, and aborted instead of begun again."""
    abort_again(story)
    story.begin(NEW)


def handed_over(story: Story) -> None:
    story.begin(NEW)
    write(story.handoff(NEW).worktree, RESOLVED)


def second_layer(story: Story) -> None:
    handed_over(story)
    story.go_on(NEW)
    write(story.handoff(NEW).worktree, SECOND)


def last_go_on(story: Story) -> None:
    if statefile.find(story.workspace, NEW) is not None:
        story.go_on(NEW)


def nothing(story: Story) -> None:
    assert story.root.is_dir()


STEPS: dict[str, Step] = {
    "begin, all clean": Step(ready=nothing, run=lambda s: s.begin(CLEAN), again=clean_again, tag=CLEAN),
    "begin": Step(ready=nothing, run=lambda s: s.begin(NEW), again=begin_again),
    "begin, then abort": Step(ready=nothing, run=lambda s: s.begin(NEW), again=restarted),
    "continue": Step(ready=handed_over, run=lambda s: s.go_on(NEW), again=go_on_again),
    "continue to the end": Step(ready=second_layer, run=lambda s: s.go_on(NEW), again=last_go_on),
    "abort": Step(ready=handed_over, run=lambda s: s.abort(NEW), again=abort_again, keeps=RESOLVED),
}


def outcome(story: Story, tag: str) -> Outcome:
    state = statefile.find(story.workspace, tag)
    made = None if state is None else state.handoff
    files: dict[str, bytes] = {}
    unmerged = b""
    if made is not None:
        unmerged = Git(made.worktree).out("ls-files", "--unmerged", "-z")
        files = {name: text for name, text in contents(made.worktree).items() if name != ".git"}
    phase = "" if state is None else state.phase.value
    return Outcome(sets=contents(story.root), worktree=files, unmerged=unmerged, phase=phase)


def between(story: Story, tag: str, before: Outcome, after: Outcome) -> list[str]:
    """What is wrong with the folder of sets before anyone runs anything."""
    sets = contents(story.root)
    if sets in (before.sets, after.sets):
        return []
    try:
        patchset.load(story.root, tag)
    except WinvllmError:
        return []
    return ["a half-written set was taken for a whole one"]


def main(template: Path, work: Path, name: str, first: int, stride: int) -> int:
    about, story, ready = STEPS[name], Story(top=work / "attempt"), work / "ready"
    shutil.copytree(template, story.top, symlinks=True)
    about.ready(story)
    shutil.copytree(story.top, ready, symlinks=True)
    before = outcome(story, about.tag)
    about.run(story)
    after = outcome(story, about.tag)
    step, finished = first, False
    while not finished:
        shutil.rmtree(story.top)
        shutil.copytree(ready, story.top, symlinks=True)
        finished = not killed_at(step, about.run, story)
        problems = between(story, about.tag, before, after) + finish(story, about, after)
        sys.stdout.write(json.dumps({"step": step, "killed": not finished, "problems": problems}) + "\n")
        step += stride
    return 0


def finish(story: Story, about: Step, wanted: Outcome) -> list[str]:
    """Do what a person would; what is wrong afterwards."""
    try:
        about.again(story)
        found = outcome(story, about.tag)
    except Exception as error:  # noqa: BLE001 - whatever it is belongs into the report
        return [f"{type(error).__name__}: {error}"]
    parts = ("sets", "worktree", "unmerged", "phase")
    problems = [f"{part} differs" for part in parts if getattr(found, part) != getattr(wanted, part)]
    if not wanted.phase:
        problems += [f"left behind: {name}" for name in story.leftovers(about.tag)]
    kept = story.saved().values()
    if about.keeps and not any(about.keeps.items() <= one.items() for one in kept):
        problems.append("the edits are not kept")
    return problems


def attempts(
    template: Story, work: Path, checkout: Path, name: str, *, first: int, stride: int
) -> list[dict[str, Any]]:
    """What `main` reports, one entry per place at which the step was killed."""
    program: list[str | Path] = [
        sys.executable, "-m", "tests.port_kill", template.top, work, name, str(first), str(stride),
    ]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(checkout)}
    done = process.capture(program, cwd=checkout, env=env, timeout=1800)
    assert done.code == 0, done.error_text
    return [json.loads(line) for line in done.text.splitlines()]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])))
