"""Visual Studio, SDK and registered toolkits, from recorded answers and folders laid out like theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.version import Version

from tests.recorded_registry import RecordedRegistry
from winvllm_build.index import PlatformTag
from winvllm_build.registry import KeyState, NoRegistry, machine_registry, number, text
from winvllm_build.toolchain import cuda_search, visual_studio, vswhere, windows_sdk
from winvllm_build.toolchain.host import HostLimits
from winvllm_build.toolchain.host_survey import survey_msvc

# conan-io/conan#18202, as the user posted it, shortened after `displayName`
BUILD_TOOLS = rb"""[
  {
    "instanceId": "2c33f8c6",
    "installDate": "2025-04-10T22:18:32Z",
    "installationName": "VisualStudio/17.13.6+35931.197",
    "installationPath": "C:\\Program Files (x86)\\Microsoft Visual Studio\\2022\\BuildTools",
    "installationVersion": "17.13.35931.197",
    "productId": "Microsoft.VisualStudio.Product.BuildTools",
    "productPath": "C:\\Program Files (x86)\\Microsoft Visual Studio\\2022\\BuildTools\\Common7\\Tools\\LaunchDevCmd.bat",
    "state": 4294967295,
    "isComplete": true,
    "isLaunchable": true,
    "isPrerelease": false,
    "isRebootRequired": false,
    "displayName": "Visual Studio Build Tools 2022"
  }
]
"""  # noqa: E501 - recorded
# mxre/winres#14 has both views with other folders; as `reg query` prints them
KITS = """
HKEY_LOCAL_MACHINE\\SOFTWARE\\Microsoft\\Windows Kits\\Installed Roots
    KitsRoot10    REG_SZ    {wrong}

HKEY_LOCAL_MACHINE\\SOFTWARE\\WOW6432Node\\Microsoft\\Windows Kits\\Installed Roots
    KitsRoot10    REG_SZ    {right}
"""
# the keys of two toolkits as NVIDIA's installer writes them, one of them on another drive
TOOLKITS = """
HKEY_LOCAL_MACHINE\\SOFTWARE\\NVIDIA Corporation\\GPU Computing Toolkit\\CUDA
    FirstVersionInstalled    REG_SZ    v12.8

HKEY_LOCAL_MACHINE\\SOFTWARE\\NVIDIA Corporation\\GPU Computing Toolkit\\CUDA\\v12.8
    64BitInstalled    REG_SZ    1
    InstallDir    REG_SZ    C:\\Program Files\\NVIDIA GPU Computing Toolkit\\CUDA\\v12.8

HKEY_LOCAL_MACHINE\\SOFTWARE\\NVIDIA Corporation\\GPU Computing Toolkit\\CUDA\\v13.0
    64BitInstalled    REG_SZ    1
    InstallDir    REG_SZ    D:\\CUDA\\v13.0
"""


def tools(home: Path, version: str, *programs: str) -> None:
    folder = home / visual_studio.TOOLS / version / visual_studio.PROGRAMS
    folder.mkdir(parents=True)
    for name in programs:
        (folder / f"{name}.exe").touch()


def studio(home: Path, default: str = "14.44.35207") -> visual_studio.VisualStudio:
    file = home / visual_studio.TOOLS_VERSION
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{default}\r\n", encoding="ascii")
    return visual_studio.read(
        vswhere.Installation(path=home, version=Version("17.14.1"), name="Visual Studio Build Tools 2022")
    )


def sdk(root: Path, version: str, *, without: str = "") -> None:
    names = (
        f"bin/{version}/x64/rc.exe", f"bin/{version}/x64/mt.exe", f"Include/{version}/um/Windows.h",
        f"Include/{version}/ucrt/stdio.h", f"Lib/{version}/um/x64/kernel32.Lib",
        f"Lib/{version}/ucrt/x64/ucrt.lib", f"Include/{version}/um/WinSDKVer.h",
    )  # fmt: skip
    for name in names:
        if not without or without not in name:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()


def test_the_build_tools_as_vswhere_lists_them() -> None:
    (found,) = vswhere.parse(BUILD_TOOLS)
    assert found.version == Version("17.13.35931.197")
    assert found.name == "Visual Studio Build Tools 2022"
    assert str(found.path).endswith("BuildTools")


def test_the_compiler_of_a_visual_studio_is_the_default_one_before_the_newest(tmp_path: Path) -> None:
    tools(tmp_path, "14.44.35207", "cl", "link", "lib")
    tools(tmp_path, "14.50.35717", "cl", "link", "lib")
    found = studio(tmp_path)
    assert [(one.compiler.minor, one.is_default) for one in found.tools] == [(44, True), (50, False)]


def test_compilers_that_nvcc_refuses_or_that_lack_a_program(tmp_path: Path) -> None:
    limits = HostLimits(msvc=(1920, 1950))
    tools(tmp_path / "new", "14.50.35717", "cl", "link", "lib")
    (new,) = survey_msvc([studio(tmp_path / "new", "14.50.35717")], limits)
    assert "lacks vcvarsall.bat" in new.refusal
    (tmp_path / "new" / visual_studio.VCVARSALL).touch()
    (new,) = survey_msvc([studio(tmp_path / "new", "14.50.35717")], limits)
    assert new.refusal == "this nvcc takes _MSC_VER 1920 to 1949, cl has 1950"
    tools(tmp_path / "half", "14.44.35207", "cl")
    (half,) = survey_msvc([studio(tmp_path / "half")], limits)
    assert half.refusal == "it lacks link.exe, lib.exe, vcvarsall.bat"


def test_tools_beside_the_default_ones_are_listed_each_with_its_refusal(tmp_path: Path) -> None:
    for version in ("14.44.35207", "14.50.35717", "14.38.33130"):
        tools(tmp_path, version, "cl", "link", "lib")
    made = studio(tmp_path, "14.50.35717")
    (tmp_path / visual_studio.VCVARSALL).touch()
    made = visual_studio.read(made.installation)
    found = survey_msvc([made], HostLimits(msvc=(1920, 1950)))
    assert [(one.version.minor, bool(one.refusal)) for one in found] == [(50, True), (44, False), (38, False)]
    assert found[1].named_by.endswith("17.14.1, tools 14.44.35207")


def test_a_visual_studio_without_cpp_has_no_compiler(tmp_path: Path) -> None:
    assert survey_msvc([studio(tmp_path)], HostLimits()) == ()


def test_sdks_newest_first_from_the_view_that_vcvarsall_reads(tmp_path: Path) -> None:
    right, wrong = tmp_path / "x86", tmp_path / "64"
    sdk(right, "10.0.22621.0")
    sdk(right, "10.0.26100.0", without="rc.exe")
    sdk(wrong, "10.0.26100.0")
    found = windows_sdk.find_sdks(RecordedRegistry(KITS.format(right=right, wrong=wrong)), {})
    assert [(str(one.version), one.is_complete) for one in found] == [
        ("10.0.26100.0", False),
        ("10.0.22621.0", True),
    ]
    assert found[0].rc is None
    assert found[0].root == right


def test_an_sdk_of_programs_alone_is_none_that_vcvarsall_takes(tmp_path: Path) -> None:
    sdk(tmp_path / "Windows Kits/10", "10.0.22621.0")
    sdk(tmp_path / "Windows Kits/10", "10.0.26100.0", without="um/")
    found = windows_sdk.find_sdks(RecordedRegistry(), {"ProgramFiles(x86)": str(tmp_path)})
    assert [one.is_known for one in found] == [False, True]
    taken = windows_sdk.chosen(found)
    assert taken is not None
    assert str(taken.version) == "10.0.22621.0"
    assert taken.is_complete


def test_an_sdk_without_its_libraries(tmp_path: Path) -> None:
    sdk(tmp_path / "Windows Kits/10", "10.0.26100.0", without="kernel32")
    (found,) = windows_sdk.find_sdks(RecordedRegistry(), {"ProgramFiles(x86)": str(tmp_path)})
    assert found.lacks == ("Lib/10.0.26100.0/um/x64/kernel32.lib",)


def test_registered_toolkits_newest_first() -> None:
    assert [str(home) for home in cuda_search.registered(RecordedRegistry(TOOLKITS))] == [
        "D:\\CUDA\\v13.0",
        "C:\\Program Files\\NVIDIA GPU Computing Toolkit\\CUDA\\v12.8",
    ]


def test_a_registered_toolkit_is_looked_at_after_the_variables() -> None:
    places = cuda_search.machine_places(
        {"CUDA_PATH_V12_8": "/c/v12.8", "PROGRAMFILES": "/nowhere"}, PlatformTag.WINDOWS_AMD64, sites=(),
        registry=RecordedRegistry(TOOLKITS.replace("D:\\CUDA\\v13.0", "/d/v13.0")),
    )  # fmt: skip
    found = cuda_search.candidates(places, PlatformTag.WINDOWS_AMD64)
    assert [one.named_by for one in found] == ["CUDA_PATH_V12_8", "the registry", "the registry"]


def test_a_variable_that_names_bin_is_refused_or_read_as_meant() -> None:
    places = cuda_search.Places(environment={"CUDA_HOME": "C:\\CUDA\\v13.0\\bin"})
    (found,) = cuda_search.every_candidate(places, PlatformTag.WINDOWS_AMD64, strict=False)
    assert str(found.nvcc) == str(Path("C:\\CUDA\\v13.0") / "bin" / "nvcc.exe")
    with pytest.raises(Exception, match="names the toolkit's bin folder"):
        cuda_search.candidates(places, PlatformTag.WINDOWS_AMD64)


def test_values_of_the_registry_by_kind() -> None:
    recorded = RecordedRegistry(TOOLKITS, denied=["HKLM\\SECRET"])
    key = "hklm\\software\\nvidia corporation\\GPU Computing Toolkit\\CUDA"
    assert text(recorded, key, "firstversioninstalled") == "v12.8"
    assert number(recorded, key, "FirstVersionInstalled") is None
    assert recorded.state("HKLM\\SECRET") is KeyState.DENIED
    assert recorded.state("HKLM\\SOFTWARE\\NVIDIA Corporation") is KeyState.THERE
    assert recorded.state("HKLM\\SOFTWARE\\NVIDIA") is KeyState.MISSING


def test_no_registry_off_windows() -> None:
    assert isinstance(machine_registry(), NoRegistry)
    assert machine_registry().state("HKLM\\SOFTWARE") is KeyState.MISSING
