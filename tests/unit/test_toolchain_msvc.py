"""MSVC without Windows: documented answers of vswhere, `set` and cl, and the whole search over stand-ins."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from packaging.version import Version

from tests import toolchain_fakes as fakes
from winvllm_build.errors import ToolchainError
from winvllm_build.toolchain import msvc, visual_studio, vswhere
from winvllm_build.toolchain.host import HostCompiler, HostKind, HostLimits
from winvllm_build.toolchain.visual_studio import MsvcTools
from winvllm_build.toolchain.windows_sdk import WindowsSdk
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
SDK = WindowsSdk(version=Version("10.0.22621.0"), root=Path("C:/Kits/10"), rc=None, mt=None)


def test_installations_newest_first_and_complete_only() -> None:
    found = vswhere.parse(json.dumps(VSWHERE).encode("utf-8"))
    assert [one.version for one in found] == [Version("17.14.36109.1"), Version("17.9.34902.65")]
    assert found[1].name == "Visual Studio Build Tools 2022"


def test_no_installation() -> None:
    assert vswhere.parse(b"[]\r\n") == ()
    assert vswhere.parse(b"\xef\xbb\xbf[]") == ()


@pytest.mark.parametrize("answer", [b"", b"Visual Studio Locator version 3.1.7", b"[{]"])
def test_an_answer_that_is_not_json(answer: bytes) -> None:
    with pytest.raises(ToolchainError, match="did not answer with JSON"):
        vswhere.parse(answer)


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


def test_the_cache_key_follows_files_tools_and_environment() -> None:
    files = [("vcvarsall.bat", 10, 5), ("version.txt", 3, 7)]
    key = msvc.cache_key(files, ["14.44"], {"PATH": "a"})
    assert msvc.cache_key(list(reversed(files)), ["14.44"], {"PATH": "a"}) == key
    assert msvc.cache_key([("vcvarsall.bat", 10, 6), files[1]], ["14.44"], {"PATH": "a"}) != key
    assert msvc.cache_key(files, ["14.44", "10.0.26100.0"], {"PATH": "a"}) != key
    assert msvc.cache_key(files, ["14.44"], {"PATH": "b"}) != key


@dataclass(frozen=True)
class Machine:
    """Shell scripts that pose as vswhere, cmd and the compilers; the environment that leads to them."""

    folder: Path
    environment: dict[str, str]

    @property
    def studio(self) -> Path:
        return self.folder / "VS"

    def find(self, *limits: int, sdks: tuple[WindowsSdk, ...] = ()) -> HostCompiler:
        return msvc.find_msvc(
            msvc.Surroundings(
                environment=self.environment, workspace=Workspace(root=self.folder / "workspace"), sdks=sdks,
                limits=HostLimits(msvc=(limits[0], limits[1])) if limits else HostLimits(),
            )
        )  # fmt: skip

    def tools(self, version: str, cl: str) -> Path:
        """A set of tools, and what vcvarsall says when it is asked for it."""
        programs = self.studio / visual_studio.TOOLS / version / visual_studio.PROGRAMS
        for name in ("link", "lib"):
            fakes.script(programs / f"{name}.exe", "exit 0")
        fakes.script(programs / "cl.exe", f"echo 'Compiler Version {cl} for x64' >&2")
        dump = f"Path={programs}:{self.folder / 'sdk'}\r\nVCToolsInstallDir=C:\\VS\r\nLIB=x\r\n"
        (self.folder / f"dump-{version}").write_bytes(dump.encode("utf-16-le"))
        return programs

    def default(self, version: str) -> None:
        """What runs vcvarsall.bat, which takes these tools unless others are named."""
        (self.studio / visual_studio.TOOLS_VERSION).write_text(version, encoding="ascii")
        fakes.script(
            self.folder / "windows" / "cmd.exe",
            f"test -f vcvarsall.bat || exit 1\necho ran >> {self.folder}/runs\n"
            'asked=$(expr "$*" : ".*-vcvars_ver=\\([0-9.]*\\)")\n'
            f'cat "{self.folder}/dump-${{asked:-{version}}}"',
        )

    def runs(self) -> int:
        return (self.folder / "runs").read_text(encoding="utf-8").count("ran")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    if sys.platform == "win32":
        pytest.skip("the stand-ins are shell scripts")
    made = Machine(
        tmp_path,
        {"PROGRAMFILES(X86)": str(tmp_path / "x86"), "PATH": f"{tmp_path / 'windows'}:/usr/bin:/bin"},
    )
    (made.studio / "VC/Auxiliary/Build").mkdir(parents=True)
    (made.studio / visual_studio.VCVARSALL).write_text("rem", encoding="ascii")
    listed = [{"installationPath": str(made.studio), "installationVersion": "17.14.1", "displayName": "VS"}]
    fakes.script(tmp_path / "x86" / Path(*vswhere.VSWHERE.parts), f"cat <<'END'\n{json.dumps(listed)}\nEND")
    fakes.script(tmp_path / "sdk" / "rc.exe", "exit 0")
    made.tools("14.44.35207", "19.44.35222")
    made.default("14.44.35207")
    return made


def test_the_search_from_vswhere_to_the_compiler(machine: Machine) -> None:
    found = machine.find(1920, 1950)
    assert found.kind is HostKind.MSVC
    assert found.version == Version("19.44.35222")
    assert found.cxx.name == "cl.exe"
    assert found.librarian.name == "lib.exe"
    assert found.environment["LIB"] == "x"
    assert machine.find() == found
    assert machine.runs() == 1


def test_a_damaged_cache_is_made_again(machine: Machine) -> None:
    found = machine.find()
    for cached in (machine.folder / "workspace").rglob("msvc-*.json"):
        cached.write_text("{", encoding="ascii")
    assert machine.find() == found


def test_an_sdk_that_is_installed_after_a_refusal_is_seen(machine: Machine) -> None:
    (machine.folder / "sdk" / "rc.exe").unlink()
    with pytest.raises(ToolchainError, match=r"rc missing .*Windows SDK"):
        machine.find()
    fakes.script(machine.folder / "sdk" / "rc.exe", "exit 0")
    assert machine.find().cxx.name == "cl.exe"


def test_what_is_kept_is_taken_anew_once_where_a_program_of_it_is_gone(machine: Machine) -> None:
    machine.find()
    (machine.folder / "sdk").rename(machine.folder / "newer")
    dump = machine.folder / "dump-14.44.35207"
    dump.write_bytes(dump.read_bytes().replace("/sdk".encode("utf-16-le"), "/newer".encode("utf-16-le")))
    assert "/newer" in machine.find().environment["Path"]
    assert machine.runs() == 2
    (machine.folder / "newer" / "rc.exe").unlink()
    with pytest.raises(ToolchainError, match="rc missing"):
        machine.find()
    assert machine.runs() == 3


def test_another_sdk_is_another_environment(machine: Machine) -> None:
    machine.find(sdks=(SDK,))
    machine.find(sdks=(SDK,))
    assert machine.runs() == 1
    machine.find(sdks=(replace(SDK, version=Version("10.0.26100.0")), SDK))
    assert machine.runs() == 2


def test_older_tools_beside_those_that_nvcc_refuses_are_taken(machine: Machine) -> None:
    machine.tools("14.50.35717", "19.50.35720")
    machine.tools("14.38.33130", "19.38.33135")
    machine.default("14.50.35717")
    assert machine.find().version == Version("19.50.35720")
    older = machine.find(1920, 1950)
    assert older.version == Version("19.44.35222")
    assert "14.44.35207" in str(older.cxx)
    assert machine.find(1920, 1940).version == Version("19.38.33135")


def test_tools_that_vcvarsall_does_not_give_are_not_mistaken_for_others(machine: Machine) -> None:
    machine.tools("14.50.35717", "19.50.35720")
    machine.default("14.50.35717")
    (machine.folder / "dump-14.50.35717").replace(machine.folder / "dump-14.44.35207")
    with pytest.raises(ToolchainError, match=r"gives cl 19\.50\.35720, which is not of these tools"):
        machine.find(1920, 1960)


def test_a_compiler_nvcc_refuses(machine: Machine) -> None:
    with pytest.raises(
        ToolchainError, match=r"tools 14\.44\.35207: .* takes _MSC_VER 1920 to 1939, cl has 1944"
    ):
        machine.find(1920, 1940)
    assert not (machine.folder / "runs").exists()


def test_a_visual_studio_without_tools(machine: Machine) -> None:
    shutil.rmtree(machine.studio / visual_studio.TOOLS)
    with pytest.raises(ToolchainError, match=r"VS\): no C\+\+ workload"):
        machine.find()


def test_what_a_failing_vcvarsall_says_is_told(machine: Machine) -> None:
    fakes.script(
        machine.folder / "windows" / "cmd.exe",
        "echo '[ERROR:vcvars.bat] The input line is too long.' >&2; echo '****' >&2; exit 1",
    )
    with pytest.raises(ToolchainError, match=r"vcvarsall\.bat x64 failed\n  \| .*line is too long\.\nfix:"):
        machine.find()


def test_no_installer_at_all(tmp_path: Path) -> None:
    nowhere = Machine(tmp_path, {"PATH": ""})
    with pytest.raises(ToolchainError, match="vswhere") as caught:
        nowhere.find()
    assert caught.value.fix is not None
    assert "winget install" in caught.value.fix


def test_vcvarsall_is_asked_for_tools_by_the_name_of_their_folder() -> None:
    tools = MsvcTools(version=Version("14.44.35207"), folder=Path("VC/14.44.35207"), is_default=False)
    assert " x64 -vcvars_ver=14.44.35207 1>&2 &" in msvc.capture_words(tools)[-1]
    assert "vcvars_ver" not in msvc.capture_words(replace(tools, is_default=True))[-1]


def test_a_path_that_batch_files_would_cut_follows_after_vcvarsall() -> None:
    long = ";".join(f"C:\\Program Files\\Number {at}" for at in range(300))
    given, rest = msvc.split_path({"Path": long, "SystemRoot": "D:\\Win"})
    assert given["Path"] == (
        "D:\\Win\\System32;D:\\Win;D:\\Win\\System32\\Wbem;D:\\Win\\System32\\WindowsPowerShell\\v1.0"
    )
    assert rest == long
    assert msvc.split_path({"PATH": "C:\\a"}) == ({"PATH": "C:\\a"}, "")
