"""The Windows-only code, run by Windows' CPython under Wine: each file of `inside` by a pytest of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wine.machine import CHECKOUT, Machine, windows

INSIDE = Path(__file__).with_name("inside")
CHECKS = sorted(file.name for file in INSIDE.glob("check_*.py"))


@pytest.mark.parametrize("name", CHECKS)
def test_on_windows_python(name: str, machine: Machine) -> None:
    done = machine.python(
        "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "python_files=check_*.py", "-o", "addopts=",
        "--import-mode=importlib", "--timeout", "120", f"--basetemp=C:\\{Path(name).stem}",
        f"--confcutdir={windows(INSIDE)}", windows(INSIDE / name),
        cwd=CHECKOUT,
    )  # fmt: skip
    assert done.code == 0, done.text
    assert " passed" in done.text
