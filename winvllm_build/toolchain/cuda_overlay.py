"""What a toolkit lacks, in a folder of ours: headers from wheels, libraries as stubs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from typing_extensions import assert_never

from winvllm_build.index import Index, PlatformTag
from winvllm_build.toolchain import stubs
from winvllm_build.toolchain.cuda import CudaToolkit
from winvllm_build.toolchain.cuda_wheels import (
    LOCK_SECONDS,
    Role,
    ToolkitPins,
    WheelPin,
    assemble,
    digest,
    fetch,
)
from winvllm_build.toolchain.host import HostCompiler
from winvllm_build.toolchain.stubs import Stub
from winvllm_build.toolchain.system import link_library
from winvllm_build.workspace import Workspace, locked, staged_folder

LINKED: Final = {"cuda": "cuda_driver", "nvrtc": "nvrtc", "cublas": "cublas", "cublasLt": "cublasLt"}
"""Libraries that torch's CMake files and vLLM link, and the name CMake's CUDA module gives them."""
DECLARING: Final = {"nvrtc": ("nvrtc.h",), "cublas": ("cublas_api.h",), "cublasLt": ("cublasLt.h",)}


def complete(
    toolkit: CudaToolkit,
    *,
    pins: ToolkitPins,
    host: HostCompiler,
    workspace: Workspace,
    index: Index,
    on_event: Callable[[str], None],
) -> CudaToolkit:
    """The same toolkit with an overlay for what it lacks; the toolkit's own folder is not touched.

    Raises:
        OfflineError: headers have to be fetched and the index does not answer.
        SourceError: the index has other files than the pinned ones.
        ToolchainError: the host compiler cannot make the stubs.
        StorageError: the overlay cannot be written.
    """
    headers = missing_headers(toolkit, pins)
    libraries = missing_libraries(toolkit, pins.system)
    problems = toolkit.problems
    if headers and pins.version.major != toolkit.version.major:
        lacking = ", ".join(pin.marker for pin in headers)
        problems = (*problems, f"{toolkit.home} lacks {lacking}; no wheels are pinned for its major version")
        headers = []
    if not headers and not libraries:
        return replace(toolkit, problems=problems)
    folder = workspace.toolchains / _name(toolkit, headers, libraries, host, pins.system)
    with locked(folder.with_name(f".{folder.name}.lock"), "the CUDA overlay", wait=LOCK_SECONDS):
        if not folder.is_dir():
            on_event(f"completing {toolkit.home}: {_told(headers, libraries)}")
            parts = [fetch(pin, workspace=workspace, index=index) for pin in headers]
            with staged_folder(folder) as staged:
                for pin, part in zip(headers, parts, strict=True):
                    assemble(part, pin, staged)
                _make_stubs(libraries, staged, toolkit, host, pins.system)
            for part in parts:
                shutil.rmtree(part, ignore_errors=True)
    found = {f"CUDA_{LINKED[name]}_LIBRARY": _library(folder, name, pins.system) for name in libraries}
    include = (folder / "include",) if headers else ()
    return replace(toolkit, include_dirs=include, libraries=found, problems=problems)


def missing_headers(toolkit: CudaToolkit, pins: ToolkitPins) -> list[WheelPin]:
    """The header wheels whose marker the toolkit does not have."""
    return [pin for pin in pins.wheels if pin.role is Role.HEADERS and not toolkit.has_header(pin.marker)]


def missing_libraries(toolkit: CudaToolkit, system: PlatformTag) -> list[str]:
    return [name for name in LINKED if not toolkit.has_library(name, system)]


def stub_of(name: str, toolkit: CudaToolkit, exports: Sequence[str]) -> Stub:
    """The names NVIDIA gives its libraries, by the toolkit's version."""
    major = toolkit.version.major
    dlls = {"cuda": "nvcuda.dll", "nvrtc": f"nvrtc64_{major}0_0.dll"}
    return Stub(
        name=name,
        soname="libcuda.so.1" if name == "cuda" else f"lib{name}.so.{major}",
        dll=dlls.get(name, f"{name}64_{major}.dll"),
        exports=tuple(exports),
    )


def _name(
    toolkit: CudaToolkit,
    headers: Sequence[WheelPin],
    libraries: Sequence[str],
    host: HostCompiler,
    system: PlatformTag,
) -> str:
    content = [*(pin.key for pin in headers), *libraries, host.kind.value]
    return f"cuda-overlay-{toolkit.version}-{system.value}-{digest(' '.join(content))}"


def _told(headers: Sequence[WheelPin], libraries: Sequence[str]) -> str:
    parts = [f"headers of {', '.join(pin.project for pin in headers)}"] if headers else []
    return " and ".join([*parts, *([f"stub libraries {', '.join(libraries)}"] if libraries else [])])


def _library(folder: Path, name: str, system: PlatformTag) -> Path:
    return folder / "lib" / "stubs" / link_library(name, system)


def _make_stubs(
    libraries: Sequence[str], staged: Path, toolkit: CudaToolkit, host: HostCompiler, system: PlatformTag
) -> None:
    folder = staged / "lib" / "stubs"
    folder.mkdir(parents=True, exist_ok=True)
    for name in libraries:
        exports = _exports(name, (staged / "include", toolkit.home / "include"), system)
        stubs.make(stub_of(name, toolkit, exports), folder, host=host, system=system)


def _exports(name: str, folders: Sequence[Path], system: PlatformTag) -> tuple[str, ...]:
    match system:
        case PlatformTag.LINUX_X86_64:
            return ()
        case PlatformTag.WINDOWS_AMD64:
            files = [folder / header for header in DECLARING.get(name, ()) for folder in folders]
            return stubs.declared_functions(f.read_text("utf-8", "replace") for f in files if f.is_file())
        case _:
            assert_never(system)
