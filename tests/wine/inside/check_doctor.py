"""The registry, Windows' memory and the whole doctor, read by Windows' Python."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from winvllm_build.cli.main import run
from winvllm_build.doctor import collect, windows
from winvllm_build.doctor.checks import CHECKS
from winvllm_build.registry import KeyState, machine_registry, number, text

if sys.platform == "win32":
    import winreg

    KEY = r"HKCU\Software\winvllm-build-check"
    SYSTEM = r"HKLM\SOFTWARE\Microsoft\Windows NT\CurrentVersion"

    @pytest.fixture
    def written() -> Iterator[str]:
        inside = KEY.partition("\\")[2]
        with winreg.CreateKey(winreg.HKEY_CURRENT_USER, inside) as key:
            winreg.SetValueEx(key, "Number", 0, winreg.REG_DWORD, 10)
            winreg.SetValueEx(key, "Text", 0, winreg.REG_SZ, "J\u00fcrgen")
            winreg.SetValueEx(key, "Lines", 0, winreg.REG_MULTI_SZ, ["C:\\p.sys 0 0", "D:\\p.sys 16 64"])
            winreg.CreateKey(key, "v13.0").Close()
        yield KEY
        winreg.DeleteKey(winreg.HKEY_CURRENT_USER, f"{inside}\\v13.0")
        winreg.DeleteKey(winreg.HKEY_CURRENT_USER, inside)

    def test_values_and_keys(written: str) -> None:
        found = machine_registry()
        assert number(found, written, "number") == 10
        assert text(found, written, "TEXT") == "J\u00fcrgen"
        assert found.values(written)["lines"] == ("C:\\p.sys 0 0", "D:\\p.sys 16 64")
        assert found.subkeys(written) == ("v13.0",)
        assert found.state(written) is KeyState.THERE

    def test_what_is_not_there() -> None:
        found = machine_registry()
        assert found.state(f"{KEY}-gone") is KeyState.MISSING
        assert found.values(f"{KEY}-gone") == {}
        assert found.subkeys(f"{KEY}-gone") == ()
        assert text(found, SYSTEM, "no such value") is None

    def test_a_key_of_the_system_is_read() -> None:
        assert text(machine_registry(), SYSTEM, "CurrentVersion")

    def test_windows_tells_what_it_would_still_promise() -> None:
        found = windows.commit()
        assert found is not None
        assert found.left > 1 << 26

    def test_the_facts_of_this_windows() -> None:
        found = windows.read(machine_registry())
        assert found.code_page > 0
        assert found.defender.scanner is windows.Scanner.ABSENT

    def test_a_folder_is_asked_by_a_file_that_vanishes(tmp_path: Path) -> None:
        assert collect.is_writable(tmp_path)
        assert list(tmp_path.iterdir()) == []
        assert not collect.is_writable(tmp_path / "gone")

    def test_a_machine_without_anything(capsys: pytest.CaptureFixture[str]) -> None:
        """Wine has no Visual Studio, no SDK and no git; every check is asked all the same."""
        code = run(["doctor", "--json"])
        found = json.loads(capsys.readouterr().out)["findings"]
        status = {one["id"]: one["status"] for one in found}
        assert code == 1
        assert status.keys() == {check.id for check in CHECKS}
        assert "not applicable" not in status.values()
        grave = {"visual-cpp", "windows-sdk", "host-compiler", "git"}
        assert {name for name in grave if status[name] != "problem"} == set()
        assert status["python-headers"] == "ok"
        assert status["gpu-driver"] == "unknown"
