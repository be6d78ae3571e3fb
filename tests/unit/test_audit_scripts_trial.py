"""Batch files run by wine's cmd.exe: what it does right is run, what it does wrong is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from winvllm_build.audit.scripts import trial
from winvllm_build.audit.scripts.check import check
from winvllm_build.audit.scripts.trial import Cmd, distrust, find_cmd
from winvllm_build.errors import ToolchainError
from winvllm_build.workspace import Workspace


@pytest.fixture(scope="module")
def cmd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cmd]:
    try:
        found = find_cmd(Workspace(root=tmp_path_factory.mktemp("wine")))
    except ToolchainError as missing:
        pytest.skip(missing.message)  # Wine is not on the package index, CI has none
    yield found
    found.stop()


def batch(folder: Path, text: str) -> Path:
    file = folder / "a.bat"
    file.write_bytes(text.replace("\n", "\r\n").encode())
    return file


@pytest.mark.parametrize(
    "text",
    [
        "a && b\n", "a || b\n", "powershell -Command exit 3\n", "if exist a (\n  PowerShell.exe -File b\n)\n",
        '"%SystemRoot%\\System32\\WindowsPowerShell\\v1.0\\powershell.exe" -File a\n', "call robocopy a b\n",
        "for %%i in (a) do pwsh -File %%i\n", "echo !P:\\=/!\n",
    ],
)  # fmt: skip
def test_what_wine_does_otherwise_is_refused(text: str) -> None:
    assert len(distrust(text)) == 1


def test_a_word_that_only_looks_like_a_stub_is_no_reason_to_refuse() -> None:
    assert distrust('echo powershell\nrem robocopy\nset "X=a && b"\nif exist pwsh.exe (call :pwsh)\n') == ()


def test_our_capture_is_run_and_our_fronts_are_refused_because_they_start_powershell(cmd: Cmd) -> None:
    report = check(cmd=cmd)
    assert report.findings == ()
    assert [one.code for one in report.trials if not one.refused] == [0, 0, 0, 1, 1]
    refused = {one.path: one.refused for one in report.trials if one.refused}
    fronts = ("scripts/bootstrap.bat", "scripts/quickstart.bat")
    assert refused == dict.fromkeys(fronts, "line 6: powershell is a stub")


def test_logic_that_wine_does_right_is_run_in_a_copy(cmd: Cmd, tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_bytes(b"one;two\r\n")
    file = batch(
        tmp_path,
        "@echo off\nsetlocal enabledelayedexpansion\n"
        'for /f "tokens=1,2 delims=;" %%a in (data.txt) do (\n  set /a n=3+4\n  echo %%b !n!\n)\n'
        'call :sub "%~dp0"\necho made> made.txt\nexit /b %CODE%\n:sub\nif exist "%~1data.txt" set CODE=9\n'
        "exit /b 0\n",
    )
    done = trial.run("a.bat", file, cmd)
    assert (done.refused, done.code, done.output) == ("", 9, "two 7")
    assert not (tmp_path / "made.txt").exists()


def test_nothing_of_our_environment_reaches_the_script(
    cmd: Cmd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET", "of ours")
    done = trial.run("a.bat", batch(tmp_path, "@echo off\necho [%A_SECRET%]\n"), cmd)
    assert "of ours" not in done.output


def test_a_machine_without_wine_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(trial, "WINE_FOLDERS", ())
    with pytest.raises(ToolchainError) as caught:
        find_cmd(Workspace(root=tmp_path))
    assert caught.value.fix is not None
