"""The scripts that a bare machine starts with, run against a Python that only notes what it is asked."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.bare_machine import FAKE_PYTHON, BareMachine, posix_only
from winvllm_build import process
from winvllm_build.cli.main import run


@pytest.fixture
def machine(tmp_path: Path, checkout: Path) -> BareMachine:
    return BareMachine(tmp_path, checkout)


@posix_only
def test_the_first_run_makes_the_environment_and_builds_the_default(machine: BareMachine) -> None:
    done = machine.run()
    assert (done.code, done.text) == (0, "<build>\n<--profile>\n<quickstart>\n"), done.error_text
    assert machine.asked() == ["venv", "pip"]
    assert re.search(r"\[ +\d+ s\] installing", done.error_text)


@posix_only
def test_arguments_are_passed_on_as_they_are(machine: BareMachine) -> None:
    done = machine.run("--profile", "sm 86", "--set", "a;b $HOME *", "")
    assert done.text == "<build>\n<--profile>\n<sm 86>\n<--set>\n<a;b $HOME *>\n<>\n"


@posix_only
def test_the_bootstrap_gets_torch_asks_the_doctor_and_builds(machine: BareMachine) -> None:
    done = machine.run("--profile", "sm 86", "--offline", script="bootstrap.sh")
    calls = done.text.replace("\n", " ").strip()
    assert calls == (
        "<doctor> <--profile> <sm 86> <toolchain> <torch> <--profile> <sm 86> "
        "<build> <--profile> <sm 86> <--offline>"
    ), done.error_text
    again = machine.run("--no-torch", script="bootstrap.sh")
    assert again.text.replace("\n", " ").strip() == (
        "<doctor> <--profile> <quickstart> <build> <--profile> <quickstart>"
    )
    assert machine.asked() == []


@posix_only
def test_doctor_and_torch_are_asked_of_the_very_build(machine: BareMachine) -> None:
    chosen = ["--tag=v0.33.0", "-psm86", "--arch", "8.6", "--set", "a b=$HOME *", "--python", "p q"]
    others = ["--jobs", "2", "--targets", "_C", "--keep-going", "--out", "x y", "--tag"]
    done = machine.run(*chosen[:4], *others[:2], *chosen[4:], *others[2:], script="bootstrap.sh")
    calls = [call.split("\n") for call in done.text.split("<build>")[0].split("<toolchain>\n<torch>")]
    words = ["", *(f"<{word}>" for word in chosen), ""]
    assert [call[1:] for call in calls] == [words[1:], words[1:]], done.error_text
    assert done.text.split("<build>\n")[1].count("<") == len(chosen) + len(others)


@posix_only
def test_the_bootstrap_stops_where_torch_cannot_be_had_and_goes_on_after_the_doctor(
    machine: BareMachine,
) -> None:
    machine.run()
    tool = machine.checkout / ".venv" / "bin" / "winvllm-build"
    tool.write_text('#!/bin/sh\necho "$1"\n[ "$1" = build ] || exit "${FAKE_CODE:-0}"\n', encoding="utf-8")
    no_torch = machine.run(script="bootstrap.sh", FAKE_CODE="4")
    assert (no_torch.code, no_torch.text) == (4, "doctor\ntoolchain\n")
    problems = machine.run("--no-torch", script="bootstrap.sh", FAKE_CODE="4")
    assert (problems.code, problems.text) == (0, "doctor\nbuild\n")
    assert "the doctor found problems" in problems.error_text


@posix_only
def test_uv_gets_a_python_where_there_is_none(machine: BareMachine) -> None:
    (machine.bin / "python3").rename(machine.bin.parent / "its python")
    machine.add("uv", f'#!/bin/sh\n[ "$2" != find ] || echo "{machine.bin.parent}/its python"\n')
    done = machine.run("--no-torch", script="bootstrap.sh")
    assert (done.code, machine.asked()) == (0, ["venv", "pip"]), done.error_text


@posix_only
def test_a_newer_python_is_taken_before_an_older_one(machine: BareMachine) -> None:
    machine.add("python3", FAKE_PYTHON.replace("[ 12 -ge", "[ 10 -ge"))
    machine.add("python3.12", FAKE_PYTHON)
    done = machine.run()
    assert (done.code, machine.asked()) == (0, ["venv", "pip"])
    assert "bin/python3.12)" in done.error_text
    (machine.bin / "python3.12").unlink()
    (machine.state.parent / "bin" / "python").unlink()
    older = machine.run()
    assert (older.code, machine.asked()) == (0, ["venv", "pip"]), older.error_text
    assert "bin/python3)" in older.error_text


@posix_only
def test_an_environment_without_pip_gets_it_from_its_own_python(machine: BareMachine) -> None:
    environment = machine.state.parent / "bin"
    environment.mkdir(parents=True)
    shutil.copy(machine.bin / "python3", environment / "python")
    done = machine.run(FAKE_PIP_LATER="1")
    assert (done.code, machine.asked()) == (0, ["pip"]), done.error_text
    assert (environment / "pip-was-added").exists()


@posix_only
def test_the_second_run_installs_nothing_and_a_new_commit_installs_again(machine: BareMachine) -> None:
    machine.run()
    assert machine.run().code == 0
    assert machine.asked() == []
    machine.commit()
    assert machine.run().code == 0
    assert machine.asked() == ["pip"]


@posix_only
def test_a_run_killed_while_installing_is_done_again_from_nothing(machine: BareMachine) -> None:
    machine.run()
    machine.state.write_text("creating\ninstalling\n", encoding="utf-8")
    half_installed = machine.checkout / ".venv" / "half"
    half_installed.touch()
    done = machine.run()
    assert (done.code, machine.asked()) == (0, ["venv", "pip"]), done.error_text
    assert not half_installed.exists()


@posix_only
def test_a_run_killed_while_updating_keeps_what_the_user_added(machine: BareMachine) -> None:
    machine.run()
    machine.state.write_text("creating\ninstalling\nready old\ninstalling\n", encoding="utf-8")
    added = machine.checkout / ".venv" / "torch"
    added.touch()
    assert machine.run().code == 0
    assert machine.asked() == ["pip"]
    assert added.exists()


@posix_only
def test_an_environment_whose_python_is_gone_is_made_anew(machine: BareMachine) -> None:
    machine.run()
    (machine.checkout / ".venv" / "bin" / "python").unlink()
    assert machine.run().code == 0
    assert machine.asked() == ["venv", "pip"]


@posix_only
def test_a_foreign_folder_is_never_removed(machine: BareMachine) -> None:
    precious = machine.checkout / ".venv" / "precious"
    precious.parent.mkdir()
    precious.touch()
    done = machine.run()
    assert done.code == 4
    assert "was not made by this script" in done.error_text
    assert precious.exists()


@posix_only
def test_a_failing_pip_is_one_error_and_the_next_run_repairs(machine: BareMachine) -> None:
    failed = machine.run(FAKE_PIP_FAILS="1")
    assert failed.code == 8
    assert failed.out == b""
    assert "no such index" in failed.error_text
    assert failed.error_text.count("error:") == 1
    assert "fix: " in failed.error_text
    assert "ready" not in machine.state.read_text(encoding="utf-8")
    assert machine.run().code == 0


@posix_only
@pytest.mark.parametrize("missing", ["git", "c++"])
def test_a_missing_program_is_named_before_anything_is_made(machine: BareMachine, missing: str) -> None:
    (machine.bin / missing).unlink()
    done = machine.run()
    assert done.code == 4
    assert f"not on PATH: {'g++' if missing == 'c++' else missing}\nfix: " in done.error_text
    assert not machine.state.parent.exists()


@posix_only
def test_no_python_and_an_unfit_chosen_one_are_told_apart(machine: BareMachine) -> None:
    machine.add("python3", "#!/bin/sh\nexit 1\n")
    none = machine.run()
    chosen = machine.run(PYTHON="python3")
    assert (none.code, chosen.code) == (4, 4)
    assert "no Python 3.10 or newer on PATH, and no uv that gets one" in none.error_text
    assert "PYTHON=python3 does not run or is older than 3.10" in chosen.error_text


@posix_only
def test_a_python_without_venv_and_pip_is_told_with_the_package_to_install(machine: BareMachine) -> None:
    done = machine.run(FAKE_ENSUREPIP="1", FAKE_HAS_PIP="1")
    assert done.code == 4
    assert "cannot make environments" in done.error_text
    assert "python3-venv" in done.error_text


@posix_only
@pytest.mark.parametrize(
    "script",
    [
        "bootstrap.sh",
        "environment.sh",
        "quickstart.sh",
        "requirements_environment.sh",
        "runtime_environment.sh",
        "test.sh",
        "wine_environment.sh",
        "winsim_environment.sh",
    ],
)
def test_shell_scripts_parse(checkout: Path, script: str) -> None:
    assert process.capture(["sh", "-n", checkout / "scripts" / script]).error_text == ""


def test_windows_scripts_are_plain_ascii_without_drive_letters(checkout: Path) -> None:
    for name in ("bootstrap.bat", "bootstrap.ps1", "environment.ps1", "quickstart.bat", "quickstart.ps1"):
        text = (checkout / "scripts" / name).read_bytes().decode("ascii")
        assert re.findall(r"(?<![A-Za-z$])[A-Za-z]:[\\/]", text) == []


@pytest.mark.parametrize("name", ["bootstrap", "quickstart"])
def test_the_batch_front_has_windows_line_ends_and_quotes_its_folder(checkout: Path, name: str) -> None:
    content = (checkout / "scripts" / f"{name}.bat").read_bytes()
    assert content.count(b"\n") == content.count(b"\r\n") > 0
    assert f'"%~dp0{name}.ps1" %*'.encode() in content
    assert b'\r\nset "PSModulePath="\r\npowershell.exe ' in content  # PowerShell 7 hands its own folders on
    assert content.endswith(b"exit /b %ERRORLEVEL%\r\n")


def test_the_continuous_check_runs_the_test_command_of_the_readme(checkout: Path) -> None:
    command = (checkout / ".ci" / "run").read_text(encoding="utf-8").splitlines()[-1].removeprefix("exec ")
    assert command == "sh scripts/test.sh"
    assert command in (checkout / "README.md").read_text(encoding="utf-8")
    assert sys.platform == "win32" or os.access(checkout / ".ci" / "run", os.X_OK)


def test_every_script_is_named_to_contributors(checkout: Path) -> None:
    told = (checkout / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"scripts/(\w+)\.py", told)) | set(re.findall(r"-m scripts\.(\w+)", told))
    assert {one.stem for one in (checkout / "scripts").glob("*.py")} <= named


@pytest.mark.parametrize("command", [("build",), ("doctor",), ("toolchain", "torch")])
def test_what_the_bootstrap_hands_on_is_known_to_all_three(
    checkout: Path, command: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    def options(script: str, mark: str) -> list[str]:
        lines = (checkout / "scripts" / script).read_text(encoding="ascii").splitlines()
        return re.findall(r"--?[a-z][a-z-]*", next(line for line in lines if mark in line))

    named = options("bootstrap.sh", "--profile | -p |")
    assert options("bootstrap.ps1", "$named =") == named
    assert run([*command, "--help"]) == 0
    told = capsys.readouterr().out
    assert [name for name in named if not re.search(rf"{name}\b", told)] == []
