"""A Windows machine in order and a Linux one, as facts; a test makes one thing of them sick."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from winvllm_build.build import path_budget
from winvllm_build.choices import TorchOrigin
from winvllm_build.doctor.facts import Facts, Folder, Memory, Role
from winvllm_build.doctor.windows import Defender, PageFile, Scanner, WindowsFacts
from winvllm_build.git import UserSettings
from winvllm_build.index import PlatformTag
from winvllm_build.toolchain.buildtools import Tool
from winvllm_build.toolchain.cuda_survey import FoundToolkit, Verdict
from winvllm_build.toolchain.gpu import DriverModel, Gpu, Gpus
from winvllm_build.toolchain.host import HostKind, HostLimits
from winvllm_build.toolchain.host_survey import FoundCompiler
from winvllm_build.toolchain.inventory import Inventory, LaidDown
from winvllm_build.toolchain.python_files import PythonFiles
from winvllm_build.toolchain.request import ToolchainRequest
from winvllm_build.toolchain.torch import Torch
from winvllm_build.toolchain.torch_version import TorchVersion
from winvllm_build.toolchain.visual_studio import MsvcTools, VisualStudio
from winvllm_build.toolchain.vswhere import Installation
from winvllm_build.toolchain.windows_sdk import WindowsSdk

GB = 10**9
TAG = "v0.14.1"
HOME = Path("C:/CUDA/v12.8")
ARCHITECTURES = ("7.5", "8.0", "8.6", "8.9", "9.0", "10.0", "12.0")
TOOLKIT = FoundToolkit(
    home=HOME, named_by=("CUDA_PATH", "PATH"), verdict=Verdict.TAKEN, reason="the first that fits",
    version=Version("12.8.61"), architectures=ARCHITECTURES, limits=HostLimits(msvc=(1910, 1950)),
)  # fmt: skip
TORCH = Torch(
    version="2.9.1+cu128", cuda="12.8", origin=TorchOrigin.INSTALLED, import_path=None, cxx11_abi=True,
    package=Path("C:/v/Lib/site-packages/torch"),
)  # fmt: skip
TOOLS = MsvcTools(version=Version("14.44.35207"), folder=Path("C:/VS/14.44.35207"), is_default=True)
STUDIO = VisualStudio(
    installation=Installation(path=Path("C:/VS"), version=Version("17.14.1"), name="Build Tools"),
    tools=(TOOLS,), has_vcvarsall=True,
)  # fmt: skip
CL = FoundCompiler(
    path=Path("C:/VS/cl.exe"), kind=HostKind.MSVC, version=Version("19.44.35207"), named_by="Build Tools"
)
SDK = WindowsSdk(
    version=Version("10.0.26100.0"), root=Path("C:/Kits/10"), rc=Path("C:/Kits/rc.exe"),
    mt=Path("C:/Kits/mt.exe"),
)  # fmt: skip
CARD = Gpu(
    index=0, name="RTX 3090", uuid="GPU-a", capability="8.6", memory_total=24 * GB, memory_free=22 * GB,
    model=DriverModel.WDDM, shows_display=True,
)  # fmt: skip
PYTHON = PythonFiles(
    executable=Path("C:/v/Scripts/python.exe"), version=Version("3.12.10"), implementation="cpython", bits=64,
    header=Path("C:/Python312/include/Python.h"), library=Path("C:/Python312/libs/python312.lib"), missing=(),
    sites=(Path("C:/v/Lib/site-packages"),), torch=TorchVersion(version="2.9.1+cu128", cuda="12.8", hip=None),
)  # fmt: skip
LAID_DOWN = LaidDown(
    version=Version("13.0.88"), architectures=(*ARCHITECTURES, "12.1"), limits=HostLimits(msvc=(1920, 1950))
)
INVENTORY = Inventory(
    system=PlatformTag.WINDOWS_AMD64, toolkits=(TOOLKIT,), laid_down=LAID_DOWN, compilers=(CL,),
    studios=(STUDIO,), sdks=(SDK,), python=PYTHON, installed_torch=TORCH,
    gpus=Gpus(gpus=(CARD,), driver=Version("581.15"), cuda=Version("13.0")),
    git=UserSettings(program=Path("git.exe"), version="2.50.1.windows.1", values={"core.longpaths": "true"}),
    cmake=Tool(path=Path("cmake.exe"), version=Version("4.1")),
    ninja=Tool(path=Path("ninja.exe"), version=Version("1.13")),
)  # fmt: skip
WINDOWS = WindowsFacts(
    long_paths=True, page_files=(PageFile(path="?:\\pagefile.sys", largest=None),), tdr_delay=60,
    code_page=1252, defender=Defender(scanner=Scanner.SCANS, exclusions=("C:\\w",)),
)  # fmt: skip
HEALTHY = Facts(
    system=PlatformTag.WINDOWS_AMD64, tag=TAG, profile="sm86",
    request=ToolchainRequest(
        architectures=("8.6",), torch_version="2.9.1", python_version=SpecifierSet("<3.14,>=3.10"),
        cuda_version=SpecifierSet(">=12.6,<14"),
    ),
    inventory=INVENTORY, environment={"CUDA_PATH": "C:\\CUDA\\v12.8"},
    memory=Memory(total=64 * GB, free=48 * GB, limited_by="machine", commit_left=80 * GB, swap=32 * GB),
    slots=8, slots_reason="8 cores; 48 GB free",
    folders=(
        Folder(role=Role.WORKSPACE, path=Path("C:\\w"), free=300 * GB),
        Folder(role=Role.TEMPORARY, path=Path("C:\\t"), free=300 * GB),
        Folder(role=Role.ENVIRONMENT, path=Path("C:\\v"), free=300 * GB),
        Folder(role=Role.HERE, path=Path("C:\\work with blanks"), free=300 * GB),
    ),
    needs=path_budget.needs(TAG, tree="v0.14.1-sm86"), windows=WINDOWS,
)  # fmt: skip
LINUX = replace(
    HEALTHY,
    system=PlatformTag.LINUX_X86_64,
    windows=None,
    inventory=replace(INVENTORY, system=PlatformTag.LINUX_X86_64, studios=(), sdks=()),
)


def machine(**parts: Any) -> Facts:  # noqa: ANN401 - fields of a record
    """The Windows machine with other facts."""
    return replace(HEALTHY, **parts)


def equipped(**parts: Any) -> Facts:  # noqa: ANN401 - fields of a record
    """The Windows machine with another equipment."""
    return replace(HEALTHY, inventory=replace(INVENTORY, **parts))


def asking(**parts: Any) -> Facts:  # noqa: ANN401 - fields of a record
    """The Windows machine with another request."""
    return replace(HEALTHY, request=replace(HEALTHY.request, **parts))


def windows(**parts: Any) -> Facts:  # noqa: ANN401 - fields of a record
    """The Windows machine with other settings."""
    return replace(HEALTHY, windows=replace(WINDOWS, **parts))


def living(role: Role, **parts: Any) -> Facts:  # noqa: ANN401 - fields of a record
    """The Windows machine with one folder otherwise."""
    folders = tuple(replace(one, **parts) if one.role is role else one for one in HEALTHY.folders)
    return replace(HEALTHY, folders=folders)
