"""Python commands that the manual and the docstrings show run as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
TEXTS = ("*.md", "patches/*.md", "docs/**/*.md", "scripts/*.py", "benchmarks/**/*.py")
COMMAND = re.compile(r"\bpython3?\s+(?:-m\s+(?P<module>\w+(?:\.\w+)*)|(?P<file>[\w./-]+\.py)\b)")
READERS_OWN = {"codemod.py"}
"""Named in an example as a script that its reader has."""


def shown_in(text: str) -> set[tuple[str, ...]]:
    """What stands behind `python` in each command of a text: `-m` and a module, or a file."""
    return {
        ("-m", match["module"]) if match["module"] else (match["file"],) for match in COMMAND.finditer(text)
    }


def ours() -> list[tuple[str, ...]]:
    """Those that name something of this checkout, or nothing that is known."""
    files = {file for pattern in TEXTS for file in CHECKOUT.glob(pattern)}
    shown = {command for file in files for command in shown_in(file.read_text(encoding="utf-8"))}
    return sorted(
        command for command in shown if command[0] not in READERS_OWN and not installed(command[-1])
    )


def installed(module: str) -> bool:
    """Whether this is a module from outside the checkout, such as pip."""
    top = module.partition(".")[0]
    return not (CHECKOUT / top).exists() and not module.endswith(".py") and find_spec(top) is not None


def source(command: tuple[str, ...]) -> Path:
    if command[0] != "-m":
        return CHECKOUT / command[0]
    place = CHECKOUT.joinpath(*command[1].split("."))
    return place / "__main__.py" if place.is_dir() else place.with_suffix(".py")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`python -m benchmarks.eta 20`", {("-m", "benchmarks.eta")}),
        ("written by `python\nscripts/exit_codes.py`", {("scripts/exit_codes.py",)}),
        ("    python -m one.two --x\n    python3 three.py", {("-m", "one.two"), ("three.py",)}),
        ("python.exe, python -V, PYTHON -m pip, a python module.python", set()),
    ],
)
def test_commands_are_found(text: str, shown: set[tuple[str, ...]]) -> None:
    assert shown_in(text) == shown


@pytest.mark.parametrize("command", ours(), ids=lambda command: command[-1])
def test_a_shown_command_runs_from_a_checkout(command: tuple[str, ...]) -> None:
    assert source(command).is_file()
    text = source(command).read_text(encoding="utf-8")
    assert "argparse" in text or source(command).stem == "__main__"  # else --help would do the work
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, *command, "--help"],
        cwd=CHECKOUT,
        env=bare,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout[:6]) == (0, "usage:"), done.stderr
