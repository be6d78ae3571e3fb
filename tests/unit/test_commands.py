r"""Advised commands: in cmd and PowerShell alike, with nothing that only one of them reads.

What each shell makes of a line is documented: PowerShell 5.1 takes the quotes off a word without blanks
before it hands it to cmd, has no `set X=`, `%X%` or `rmdir /s`; cmd has no `;` between commands, no `$env:`.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.test_doctor_checks import SICK
from winvllm_build import commands
from winvllm_build.doctor.checks import examine
from winvllm_build.doctor.facts import Facts
from winvllm_build.index import PlatformTag

LINUX, WINDOWS = PlatformTag.LINUX_X86_64, PlatformTag.WINDOWS_AMD64
ONE_SHELL_ALONE = re.compile(
    r"^set \w+=|; set |^(rmdir|mklink|del|copy|unset|export) |%\w+%|\$env:|&& |^rm -|'[^' ]*\\[^']*'"
)


@pytest.mark.parametrize("facts", [one for _, one, _, _ in SICK if one.system is WINDOWS])
def test_no_fix_on_windows_is_of_one_shell_alone(facts: Facts) -> None:
    lines = [line for one in examine(facts) for line in one.fix.splitlines()]
    named = [line for line in lines if ONE_SHELL_ALONE.search(line) and "Add-MpPreference" not in line]
    assert named == []


def test_a_variable() -> None:
    assert commands.set_variable("CUDA_HOME", r"C:\Program Files\CUDA", WINDOWS) == (
        r'setx CUDA_HOME "C:\Program Files\CUDA"   (then open a new terminal)'
    )
    assert commands.set_variable("X", r"C:\w", WINDOWS).startswith("setx X C:\\w ")
    assert commands.set_variable("X", "/a b", LINUX) == "export X='/a b'"
    assert commands.unset_variables(["A", "B"], LINUX) == "unset A B"
    assert (
        commands.unset_variables(["A", "B"], WINDOWS)
        .splitlines()[1]
        .startswith(r"reg delete HKCU\Environment /v B /f")
    )


@pytest.mark.parametrize("mark", list("&,;%^=($`'!"))
def test_no_folder_is_removed_by_a_line_that_a_shell_could_read_otherwise(mark: str) -> None:
    folder = Path(f"C:/a{mark}b")
    assert commands.remove(folder, WINDOWS) == f"delete the folder {folder}"


def test_a_folder_with_blanks_is_one_word() -> None:
    assert commands.remove(Path("C:/a b"), WINDOWS) == f'cmd /c rmdir /s /q "{Path("C:/a b")}"'
    assert commands.link(Path("C:/Program Files/CUDA"), WINDOWS).startswith("cmd /c mklink /J C:\\CUDA ")
    assert commands.link(Path("C:/a&b"), WINDOWS).startswith("in cmd: mklink")


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_what_is_advised_on_linux_does_that_whatever_the_folder_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "it's $(touch gone) & `x`"
    folder.mkdir()
    (tmp_path / "kept").touch()
    assert shlex.split(commands.link(folder, LINUX))[2] == str(folder)
    subprocess.run(["sh", "-c", commands.remove(folder, LINUX)], check=True, cwd=tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["kept"]
