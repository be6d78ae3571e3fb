"""MSVC without Windows: documented answers of vswhere, `set` and cl, and the whole search over stand-ins."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from packaging.version import Version

from tests import toolchain_fakes as fakes
from winvllm_build.errors import ToolchainError
from winvllm_build.toolchain import msvc
from winvllm_build.toolchain.host import HostKind, HostLimits
from winvllm_build.workspace import Workspace

VSWHERE = [
    {
        "instanceId": "6f2b1c3d",
        "installDate": "2025-03-01T10:00:00Z",
        "installationName": "VisualStudio/17.9.7+34902.65",
        "installationPath": "C:\\Program Files (x86)\\Microsoft Visual Studio\\2022\\BuildTools",
        "installationVersion": "17.9.34902.65",
        "productId": "Microsoft.VisualStudio.Product.BuildTools",
        "isComplete": True,
        "isLaunchable": True,
        "displayName": "Visual Studio Build Tools 2022",
    },
    {
        "instanceId": "0a1b2c3e",
        "installationPath": "D:\\VS\\2022\\Community",
        "installationVersion": "17.14.36109.1",
        "isComplete": True,
        "displayName": "Visual Studio Community 2022",
    },
    {
        "instanceId": "half",
        "installationPath": "E:\\VS",
        "installationVersion": "18.0.1",
        "isComplete": False,
    },
    {"instanceId": "odd", "installationVersion": "17.1"},
]
SET_DUMP = """\
**********************************************************************
** Visual Studio 2022 Developer Command Prompt v17.14.0
** Copyright (c) 2025 Microsoft Corporation
[vcvarsall.bat] Environment initialized for: 'x64'
CommonProgramFiles(x86)=C:\\Program Files (x86)\\Common Files
INCLUDE=C:\\VS\\VC\\Tools\\MSVC\\14.44.35207\\include;C:\\SDK\\ucrt
LIB=C:\\VS\\lib;C:\\SDK\\um\\x64
Path=C:\\VS\\bin\\Hostx64\\x64;C:\\Windows\\system32
PROMPT=$P$G
VCToolsInstallDir=C:\\VS\\VC\\Tools\\MSVC\\14.44.35207\\
USERPROFILE=C:\\Users\\J\u00fcrgen
WITH_EQUALS=a=b=c
=C:=C:\\work
""".replace("\n", "\r\n")
GERMAN_BANNER = (
    "Microsoft (R) C/C++-Optimierungscompiler Version 19.44.35222 f\u00fcr x64\r\nCopyright (C)\r\n"
)


def test_installations_newest_first_and_complete_only() -> None:
    found = msvc.parse_vswhere(json.dumps(VSWHERE).encode("utf-8"))
    assert [one.version for one in found] == [Version("17.14.36109.1"), Version("17.9.34902.65")]
    assert found[1].name == "Visual Studio Build Tools 2022"


def test_no_installation() -> None:
    assert msvc.parse_vswhere(b"[]\r\n") == ()
    assert msvc.parse_vswhere(b"\xef\xbb\xbf[]") == ()


@pytest.mark.parametrize("answer", [b"", b"Visual Studio Locator version 3.1.7", b"[{]"])
def test_an_answer_that_is_not_json(answer: bytes) -> None:
    with pytest.raises(ToolchainError, match="did not answer with JSON"):
        msvc.parse_vswhere(answer)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-8"])
def test_a_dump_of_set(encoding: str) -> None:
    found = msvc.parse_set(SET_DUMP.encode(encoding))
    assert found["INCLUDE"].startswith("C:\\VS\\VC\\Tools")
    assert found["USERPROFILE"] == "C:\\Users\\J\u00fcrgen"
    assert found["WITH_EQUALS"] == "a=b=c"
    assert found["CommonProgramFiles(x86)"] == "C:\\Program Files (x86)\\Common Files"
    assert "" not in found
    assert not [name for name in found if "*" in name or "[" in name]


@pytest.mark.parametrize(
    "banner",
    [
        "Microsoft (R) C/C++ Optimizing Compiler Version 19.44.35222 for x64",
        GERMAN_BANNER,
        "\u7528\u4e8e x64 \u7684 Microsoft (R) C/C++ \u4f18\u5316\u7f16\u8bd1\u5668 19.44.35222 \u7248",
    ],
)
def test_the_banner_in_any_language(banner: str) -> None:
    assert msvc.parse_cl_version(banner) == Version("19.44.35222")


def test_something_else_named_cl() -> None:
    assert msvc.parse_cl_version("cl 1.2.3 (Common Lisp)") is None


def test_the_cache_key_follows_files_and_environment() -> None:
    files = [("vcvarsall.bat", 10, 5), ("version.txt", 3, 7)]
    key = msvc.cache_key(files, {"PATH": "a"})
    assert msvc.cache_key(list(reversed(files)), {"PATH": "a"}) == key
    assert msvc.cache_key([("vcvarsall.bat", 10, 6), files[1]], {"PATH": "a"}) != key
    assert msvc.cache_key(files, {"PATH": "b"}) != key


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """Shell scripts that pose as vswhere, cmd and the compilers; the environment that leads to them."""
    if sys.platform == "win32":
        pytest.skip("the stand-ins are shell scripts")
    studio, tools, windows = tmp_path / "VS", tmp_path / "tools", tmp_path / "windows"
    (studio / "VC/Auxiliary/Build").mkdir(parents=True)
    (studio / msvc.VCVARSALL).write_text("rem", encoding="ascii")
    (studio / msvc.TOOLS_VERSION).write_text("14.44.35207", encoding="ascii")
    listed = [
        {"installationPath": str(studio), "installationVersion": "17.14.1", "displayName": "Build Tools"}
    ]
    fakes.script(tmp_path / "x86" / Path(*msvc.VSWHERE.parts), f"cat <<'END'\n{json.dumps(listed)}\nEND")
    for name in ("link", "lib", "rc"):
        fakes.script(tools / f"{name}.exe", "exit 0")
    fakes.script(tools / "cl.exe", "echo 'Compiler Version 19.44.35222 for x64' >&2")
    dump = tmp_path / "dump"
    dump.write_bytes(f"Path={tools}\r\nVCToolsInstallDir=C:\\VS\r\nLIB=x\r\n".encode("utf-16-le"))
    fakes.script(
        windows / "cmd.exe",
        f"test -f vcvarsall.bat || exit 1\necho ran >> {tmp_path}/runs\ncat {dump}",
    )
    return {"PROGRAMFILES(X86)": str(tmp_path / "x86"), "PATH": f"{windows}:/usr/bin:/bin"}


def test_the_search_from_vswhere_to_the_compiler(machine: dict[str, str], tmp_path: Path) -> None:
    workspace = Workspace(root=tmp_path / "workspace")
    found = msvc.find_msvc(machine, HostLimits(msvc=(1920, 1950)), workspace)
    assert found.kind is HostKind.MSVC
    assert found.version == Version("19.44.35222")
    assert found.cxx.name == "cl.exe"
    assert found.librarian.name == "lib.exe"
    assert found.environment["LIB"] == "x"
    again = msvc.find_msvc(machine, HostLimits(), workspace)
    assert again == found
    assert (tmp_path / "runs").read_text(encoding="utf-8") == "ran\n"


def test_a_damaged_cache_is_made_again(machine: dict[str, str], tmp_path: Path) -> None:
    workspace = Workspace(root=tmp_path / "workspace")
    found = msvc.find_msvc(machine, HostLimits(), workspace)
    for cached in workspace.toolchains.glob("msvc-*.json"):
        cached.write_text("{", encoding="ascii")
    assert msvc.find_msvc(machine, HostLimits(), workspace) == found


def test_a_compiler_nvcc_refuses(machine: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="takes _MSC_VER 1920 to 1939, cl has 1944"):
        msvc.find_msvc(machine, HostLimits(msvc=(1920, 1940)), Workspace(root=tmp_path / "workspace"))


def test_without_the_windows_sdk(machine: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "tools" / "rc.exe").unlink()
    with pytest.raises(ToolchainError, match=r"rc missing .*Windows SDK"):
        msvc.find_msvc(machine, HostLimits(), Workspace(root=tmp_path / "workspace"))


def test_vcvarsall_fails(machine: dict[str, str], tmp_path: Path) -> None:
    fakes.script(tmp_path / "windows" / "cmd.exe", "exit 1")
    with pytest.raises(ToolchainError, match=r"vcvarsall\.bat x64 failed"):
        msvc.find_msvc(machine, HostLimits(), Workspace(root=tmp_path / "workspace"))


def test_no_installer_at_all(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="vswhere") as caught:
        msvc.find_msvc({"PATH": ""}, HostLimits(), Workspace(root=tmp_path))
    assert caught.value.fix is not None
    assert "winget install" in caught.value.fix
