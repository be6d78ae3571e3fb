"""Visual C++ found on Windows, with programs that answer as Microsoft's do."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.wine.inside.programs import program
from winvllm_build.errors import ToolchainError
from winvllm_build.toolchain.host import HostCompiler, HostKind, HostLimits
from winvllm_build.toolchain.msvc import Surroundings, find_msvc
from winvllm_build.workspace import Workspace

LIMITS = HostLimits(msvc=(1920, 1950))
FOLDERS = ("Visual Studio", "Build Tools (x86) & more", "J\u00fcrgen 100% \u5efa")
BANNER = "Microsoft (R) C/C++-Optimierungscompiler Version 19.44.35222 f\\u00fcr x64"


def studio(folder: Path, *, version: str = "19.44.35222") -> dict[str, str]:
    """A Visual Studio and its installer below `folder`; the environment in which it is found."""
    home = folder / "VS"
    tools(home, "14.44.35207", version)
    batch = home / "VC" / "Auxiliary" / "Build" / "vcvarsall.bat"
    batch.parent.mkdir(parents=True)
    lines = (
        "@echo off",
        'if not "%~1"=="x64" exit /b 3',
        "set asked=14.44.35207",
        'if "%~2"=="-vcvars_ver" set "asked=%~3"',  # to cmd a = stands between two words
        'set "VCToolsInstallDir=%~dp0..\\..\\Tools\\MSVC\\%asked%\\"',
        'set "PATH=%VCToolsInstallDir%bin\\Hostx64\\x64;%PATH%"',
        'set "INCLUDE=C:\\a b;C:\\c (x86)"',
        f'echo {batch.parent.name} was here>>"%~dp0called.txt"',
        "echo noise=1",
    )
    batch.write_bytes("\r\n".join([*lines, ""]).encode())
    (batch.parent / "Microsoft.VCToolsVersion.default.txt").write_text("14.44.35207\n", encoding="ascii")
    answer = [{"installationPath": str(home), "installationVersion": "17.14.36109.1", "isComplete": True,
               "displayName": "Visual Studio Build Tools 2022"}]  # fmt: skip
    where = folder / "Program Files (x86)" / "Microsoft Visual Studio" / "Installer" / "vswhere.exe"
    program(where, f"sys.stdout.buffer.write({json.dumps(answer, ensure_ascii=False).encode()!r})")
    return {**os.environ, "PROGRAMFILES(X86)": str(folder / "Program Files (x86)")}


def tools(home: Path, name: str, version: str) -> None:
    """Programs of a set of tools; the resource compiler lies with them."""
    programs = home / "VC" / "Tools" / "MSVC" / name / "bin" / "Hostx64" / "x64"
    banner = BANNER.replace("19.44.35222", version)
    program(programs / "cl.exe", f"sys.stderr.buffer.write('{banner}\\r\\n'.encode('cp1252'))")
    for other in ("link", "lib", "rc"):
        program(programs / f"{other}.exe", "")


def found_in(environment: dict[str, str], workspace: Workspace) -> HostCompiler:
    return find_msvc(Surroundings(environment=environment, limits=LIMITS, workspace=workspace))


@pytest.mark.parametrize("name", FOLDERS)
def test_it_is_found_wherever_it_lies_and_its_environment_is_taken_once(
    name: str, tmp_path: Path, workspace: Workspace
) -> None:
    environment = studio(tmp_path / name)
    found = found_in(environment, workspace)
    assert found.kind is HostKind.MSVC
    assert str(found.version) == "19.44.35222"
    assert found.cxx.name == "cl.exe"
    assert found.environment["INCLUDE"] == "C:\\a b;C:\\c (x86)"
    assert found.librarian.name == "lib.exe"
    assert found_in(environment, workspace) == found
    calls = next(tmp_path.rglob("called.txt")).read_bytes()  # in UTF-16, or in bytes
    assert calls.replace(b"\0", b"").count(b"here") == 1


def test_one_that_nvcc_refuses_is_told(tmp_path: Path, workspace: Workspace) -> None:
    environment = studio(tmp_path, version="19.50.35222")
    with pytest.raises(ToolchainError, match="_MSC_VER 1920 to 1949, cl has 1950"):
        found_in(environment, workspace)


def test_older_tools_beside_them_are_asked_of_vcvarsall(tmp_path: Path, workspace: Workspace) -> None:
    environment = studio(tmp_path, version="19.50.35222")
    tools(tmp_path / "VS", "14.38.33130", "19.38.33135")
    found = found_in(environment, workspace)
    assert str(found.version) == "19.38.33135"
    assert "14.38.33130" in str(found.cxx)


def test_what_vcvarsall_says_when_it_fails_is_told(tmp_path: Path, workspace: Workspace) -> None:
    environment = studio(tmp_path)
    batch = next((tmp_path / "VS").rglob("vcvarsall.bat"))
    batch.write_bytes(b"@echo off\r\necho [ERROR:vcvars.bat] no J\xc3\xbcrgen\r\nexit /b 1\r\n")
    with pytest.raises(ToolchainError, match=r"failed\n  \| \[ERROR:vcvars\.bat\] no"):
        found_in(environment, workspace)


def test_without_a_studio_the_command_that_installs_one_is_told(tmp_path: Path, workspace: Workspace) -> None:
    environment = {**os.environ, "PROGRAMFILES(X86)": str(tmp_path), "PROGRAMFILES": str(tmp_path)}
    with pytest.raises(ToolchainError, match="vswhere") as told:
        found_in(environment, workspace)
    assert "winget install" in str(told.value.fix)
