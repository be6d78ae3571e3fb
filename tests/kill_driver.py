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
from collections.abc import Callable
from pathlib import Path

from tests.patch_upstream import BASE, Upstream, after
from winvllm_build.patchset.status import TreeState

CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.utime", "subprocess.Popen"}
EDIT = {"a.py": b"edited\n", "csrc/k.cu": b"edited too\n"}


def main(template: Path, work: Path, operation: str, stride: int) -> int:
    step, finished = 1, False
    while not finished:
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(template, work)
        upstream = Upstream(folder=work / "tree", patches=work / "patches")
        if operation == "regen":
            upstream.write(EDIT)
        finished = not killed_at(step, ACTIONS[operation], upstream)
        report = {"step": step, "killed": not finished, "problems": finish(upstream, operation)}
        sys.stdout.write(json.dumps(report) + "\n")
        step += stride
    return 0


def killed_at(step: int, action: Callable[[Upstream], object], upstream: Upstream) -> bool:
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
            action(upstream)
        finally:
            os._exit(0)
    _, outcome = os.waitpid(child, 0)
    return os.WIFSIGNALED(outcome)


def finish(upstream: Upstream, operation: str) -> list[str]:
    """Run the same operation again as a person would; what is wrong afterwards."""
    problems: list[str] = []
    wanted = {"apply": after(), "unapply": dict(BASE), "regen": after() | EDIT}[operation]
    between = upstream.content()
    sides = (BASE, wanted, after())
    for name, content in between.items():
        if not name.endswith(".part") and all(side.get(name) != content for side in sides):
            problems.append(f"{name} is on no side: {content[:40]!r}")
    try:
        ACTIONS[operation](upstream)
        state = upstream.status()
    except Exception as error:  # noqa: BLE001 - whatever it is belongs into the report
        return [*problems, f"{type(error).__name__}: {error}"]
    if upstream.content() != wanted:
        problems.append("the files are not what was wanted")
    if state.interrupted or state.state is not (
        TreeState.PRISTINE if operation == "unapply" else TreeState.APPLIED
    ):
        problems.append(f"the state is {state.state.value}, interrupted: {state.interrupted}")
    private = upstream.folder / ".git" / "winvllm"
    left = sorted(path.name for path in private.iterdir() if not path.name.startswith("lock"))
    left += [path.name for path in upstream.folder.rglob("*.part")]
    left += [path.name for path in (upstream.folder / ".git").glob("index.lock")]
    left += [path.name for path in upstream.patches.rglob("*.tmp")]
    return problems + [f"left behind: {name}" for name in left]


ACTIONS: dict[str, Callable[[Upstream], object]] = {
    "apply": lambda upstream: upstream.apply(),
    "unapply": lambda upstream: upstream.unapply(),
    "regen": lambda upstream: upstream.regen(),
}

if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
