"""Kill one operation at each of its steps, run the next one, and report what is left (POSIX only).

Run as a program: `python kill_driver.py TEMPLATE WORK OPERATION STRIDE`. Each attempt works on its own
copy of TEMPLATE, in a forked child that ends itself with SIGKILL at its n-th change of the file system or
start of a program; the parent then runs `finish` and checks the outcome. Prints one JSON line per attempt.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.layered import expected
from tests.patch_upstream import BASE, Upstream, after
from winvllm_build import process
from winvllm_build.patchset.status import TreeState

Subject = TypeVar("Subject")
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.utime", "subprocess.Popen"}
EDIT = {"a.py": b"edited\n", "csrc/k.cu": b"edited too\n"}
SMALL = {
    "a.py": (b"line 35\n", b"line 35, edited\n"),
    "csrc/k.cu": (b"int c;\n", b"int c, d;\n"),
}
"""An edit that every layer can be carried over."""


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What is killed.

    Attributes:
        run: the operation.
        before: what the template has; the operation may write nothing else than that and `wanted`.
        wanted: the files afterwards.
        edits: written into the tree before.
        layers: what the tree has afterwards.
        state: and its state with them.
    """

    run: Callable[[Upstream], object]
    before: Mapping[str, bytes]
    wanted: Mapping[str, bytes]
    edits: Mapping[str, bytes]
    layers: tuple[str, ...] = ()
    state: TreeState = TreeState.APPLIED


def small(*layers: str) -> dict[str, bytes]:
    """The files that `SMALL` changes, with these layers."""
    files = expected(*layers)
    return {name: files[name].replace(*change) for name, change in SMALL.items()}


OPERATIONS: dict[str, Operation] = {
    "apply": Operation(run=lambda u: u.apply(), before=BASE, wanted=after(), edits={}),
    "unapply": Operation(
        run=lambda u: u.unapply(), before=after(), wanted=BASE, edits={}, state=TreeState.PRISTINE
    ),
    "regen": Operation(run=lambda u: u.regen(), before=after(), wanted=after() | EDIT, edits=EDIT),
    "switch": Operation(
        run=lambda u: u.apply("fast", "rival"), before=expected("fast", "extra", "narrow"),
        wanted=expected("fast", "rival"), edits={}, layers=("fast", "rival"),
    ),
    "take back": Operation(
        run=lambda u: u.unapply(), before=expected("fast", "extra", "narrow"), wanted=BASE, edits={},
        state=TreeState.PRISTINE,
    ),
    "carry": Operation(
        run=lambda u: u.regen(), before=expected(), wanted=expected() | small(), edits=small()
    ),
    "regen layer": Operation(
        run=lambda u: u.regen(layer="fast"), before=expected("fast"),
        wanted=expected("fast") | small("fast"), edits=small("fast"), layers=("fast",),
    ),
}  # fmt: skip


def attempts(made: Upstream, work: Path, checkout: Path, operation: str, stride: int) -> list[dict[str, Any]]:
    """What the driver reports, one entry per place at which the operation was killed."""
    program: list[str | Path] = [
        sys.executable,
        "-m",
        "tests.kill_driver",
        made.folder.parent,
        work,
        operation,
        str(stride),
    ]
    done = process.capture(
        program, cwd=checkout, env={**os.environ, "PYTHONPATH": str(checkout)}, timeout=300
    )
    assert done.code == 0, done.error_text
    return [json.loads(line) for line in done.text.splitlines()]


def sound(reports: list[dict[str, Any]]) -> None:
    """Fail if one attempt left something wrong, or too few were made to mean anything."""
    assert [report for report in reports if report["problems"]] == []
    assert sum(report["killed"] for report in reports) > 15
    assert not reports[-1]["killed"]


def main(template: Path, work: Path, operation: str, stride: int) -> int:
    step, finished = 1, False
    while not finished:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(template, work)
        upstream = Upstream(folder=work / "tree", patches=work / "patches")
        about = OPERATIONS[operation]
        upstream.write(about.edits)
        finished = not killed_at(step, about.run, upstream)
        report = {"step": step, "killed": not finished, "problems": finish(upstream, about)}
        sys.stdout.write(json.dumps(report) + "\n")
        step += stride
    return 0


def killed_at(step: int, action: Callable[[Subject], object], subject: Subject) -> bool:
    """Run `action` in a child that kills itself at its `step`-th change; whether it did."""
    child = os.fork()
    if child == 0:
        left = step

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            nonlocal left
            writes = (
                event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            )
            if event in CHANGES or writes:
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            action(subject)
        finally:
            os._exit(0)
    _, outcome = os.waitpid(child, 0)
    return os.WIFSIGNALED(outcome)


def finish(upstream: Upstream, about: Operation) -> list[str]:
    """Run the same operation again as a person would; what is wrong afterwards."""
    problems: list[str] = []
    between = upstream.content()
    for name, content in between.items():
        if not name.endswith(".part") and content not in (about.before.get(name), about.wanted.get(name)):
            problems.append(f"{name} is on no side: {content[:40]!r}")
    try:
        about.run(upstream)
        state = upstream.status(*about.layers)
    except Exception as error:  # noqa: BLE001 - whatever it is belongs into the report
        return [*problems, f"{type(error).__name__}: {error}"]
    if upstream.content() != about.wanted:
        problems.append("the files are not what was wanted")
    if state.interrupted or state.state is not about.state:
        problems.append(f"the state is {state.state.value}, interrupted: {state.interrupted}")
    private = upstream.folder / ".git" / "winvllm"
    left = sorted(path.name for path in private.iterdir() if not path.name.startswith("lock"))
    left += [path.name for path in upstream.folder.rglob("*.part")]
    left += [path.name for path in (upstream.folder / ".git").glob("index.lock")]
    left += [path.name for path in upstream.patches.rglob("*.tmp")]
    return problems + [f"left behind: {name}" for name in left]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
