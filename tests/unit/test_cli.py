"""The command line's own conduct: help, versions, pipes, full disks, errors as text and as JSON."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from winvllm_build.cli import main, render

PROGRAM = Path(sys.executable).parent / "winvllm-build"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, check=False)


def test_alone_it_prints_its_help() -> None:
    done = run()
    assert done.returncode == 2
    assert "Examples:" in done.stdout
    assert "error" not in done.stderr


@pytest.mark.parametrize("command", [name for names in main.COMMANDS.values() for name in names])
def test_every_command_has_help_with_examples(command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    assert f"winvllm-build {command}" in done.stdout


def registered(app: typer.Typer) -> set[str]:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    return set(group.commands)


@pytest.mark.parametrize("module", main.COMMANDS)
def test_a_module_registers_what_the_table_says(module: str) -> None:
    for name in main.COMMANDS[module]:
        assert registered(main.application(["--verbose", name, "--help"])) == set(main.COMMANDS[module])


@pytest.mark.parametrize("arguments", [(), ("--help",), ("pot",), ("--verbose",)])
def test_without_a_command_of_ours_all_are_there(arguments: tuple[str, ...]) -> None:
    everything = {name for names in main.COMMANDS.values() for name in names}
    assert registered(main.application(arguments)) == everything
    modules = Path(main.__file__).parent.glob("*.py")
    commands = {path.stem for path in modules if "(app: typer.Typer)" in path.read_text(encoding="utf-8")}
    parts = {"audit_device", "audit_frontend", "audit_guards", "audit_scripts"}
    assert commands - parts == set(main.COMMANDS)


def test_an_error_is_one_message_with_its_fix() -> None:
    done = run("build", "--profile", "no-such-profile")
    assert done.returncode == 6
    assert done.stderr.count("error: ") == 1
    assert "fix: " in done.stderr
    assert done.stdout == ""


def test_an_error_is_data_when_data_was_asked_for() -> None:
    done = run("build", "--profile", "no-such-profile", "--json")
    assert json.loads(done.stdout)["error"]["exit_code"] == done.returncode == 6


@pytest.mark.skipif(
    sys.platform == "win32", reason="Windows does not remove a folder that is somebody's current one"
)
def test_a_current_folder_that_is_gone(tmp_path: Path) -> None:
    script = 'mkdir here && cd here && rmdir ../here && exec "$0" lint v0.14.1'
    done = subprocess.run(
        ["sh", "-c", script, PROGRAM], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "error: the current folder does not exist any more" in done.stderr


def test_a_reader_that_goes_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run([PROGRAM, "profile", "list"], stdout=pipe, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 141
    assert done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_output_to_a_full_disk_is_a_storage_error() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([PROGRAM, "profile", "list"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 12
    assert b"full" in done.stderr
    assert b"Traceback" not in done.stderr


def test_no_colour_reaches_a_pipe() -> None:
    assert "\x1b" not in run("--help").stdout
    assert "\x1b" not in run("build", "--profile", "no-such-profile").stderr


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (42, "42 s"), (59.6, "1 min 00 s"), (187, "3 min 07 s"), (7500, "2 h 05 min")],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert render.duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(517, "517 B"), (35_400, "35 kB"), (48_200_000, "48.2 MB")])
def test_sizes_read_well(count: int, text: str) -> None:
    assert render.size(count) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (300_000, "300 kB"), (430e6, "430 MB"), (5.5e9, "5.5 GB"), (128e9, "128 GB")],
)
def test_sizes_of_memory_read_well(count: float, text: str) -> None:
    assert render.memory_size(count) == text
