"""Published wheels for Windows, by Microsoft's linker: what `wheel check` reads of them, and delvewheel."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from winvllm_build.wheel.check import CheckRequest, check
from winvllm_build.wheel.libraries import Origin

pytestmark = pytest.mark.network
WHEELS = {"msgspec": "msgspec==0.22.0", "tokenizers": "tokenizers==0.23.3"}
"""A module of one Python in C, and one of the stable ABI in Rust."""


@pytest.fixture(scope="module")
def windows_wheels(test_cache: Path) -> Path:
    """Published wheels, 3 MB."""
    folder = test_cache / "windows-wheels"
    if len(list(folder.glob("*.whl"))) < len(WHEELS):
        wanted = ["--only-binary", ":all:", "--platform", "win_amd64", "--python-version", "3.12"]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
        subprocess.run([*command, *wanted, *WHEELS.values()], check=True)
    return folder


@pytest.mark.parametrize("name", sorted(WHEELS))
def test_a_published_wheel_for_windows_has_no_problem(windows_wheels: Path, name: str) -> None:
    report = check(CheckRequest(file=next(windows_wheels.glob(f"{name}-*.whl"))))
    assert report.problems == ()
    (library,) = report.libraries
    assert library.machine == "PE AMD64"
    assert library.needed["KERNEL32.dll" if name == "msgspec" else "kernel32.dll"] == Origin.SYSTEM.value


@pytest.mark.parametrize("name", sorted(WHEELS))
def test_delvewheel_sees_the_same_libraries(windows_wheels: Path, name: str) -> None:
    file = next(windows_wheels.glob(f"{name}-*.whl"))
    shown = subprocess.run(
        [sys.executable, "-m", "delvewheel", "show", file], capture_output=True, text=True, check=True
    )
    assert "will be copied into the wheel.\n    None\n" in shown.stdout
    assumed = set(re.findall(r"^    (\S+\.dll)$", shown.stdout, re.MULTILINE))
    (library,) = check(CheckRequest(file=file)).libraries
    assert {needed.lower() for needed in library.needed} == assumed
    assert None not in library.needed.values()
