"""The command lines, as values: nothing here starts a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.audit.frontend import crt
from winvllm_build.audit.frontend.markers import Names
from winvllm_build.audit.frontend.parts import MSC_VERSION
from winvllm_build.audit.frontend.units import Unit

TRIPLE: Final = "x86_64-pc-windows-msvc"
MS_MODE: Final = (
    f"--target={TRIPLE}", f"-fms-compatibility-version={MSC_VERSION // 100}.{MSC_VERSION % 100}",
    "-fms-extensions", "-fdelayed-template-parsing", "-Wno-everything", "-nostdlibinc",
)  # fmt: skip
RUNTIME: Final = ("_MT", "_DLL", "WINE_UNICODE_NATIVE")
"""What `/MD` defines; and Wine's word for a WCHAR that is wchar_t."""
TEXT: Final = "unit.ii"
DEVICE_TEXT: Final = "unit.cpp1.ii"
RECEIVED: Final = "unit.cudafe1.cpp"
"""What cl.exe would be given."""
MODULE_ID: Final = "unit.module_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Headers:
    """The folders that every unit sees after its own.

    Attributes:
        cuda: the Windows toolkit; its `bin` has the front end.
        release: its version, like (13, 0, 88).
        stand_ins: our headers of the C runtime.
        stl: Microsoft's.
        wine: Wine's C headers, edited.
        windows: Wine's headers of the Windows API.
    """

    cuda: Path
    release: tuple[int, int, int]
    stand_ins: Path
    stl: Path
    wine: Path
    windows: Path

    def options(self) -> list[str]:
        return [
            word
            for folder in (self.stand_ins, self.stl, self.wine, self.windows)
            for word in ("-isystem", folder.as_posix())
        ]


def preprocess(
    clang: Path,
    unit: Unit,
    headers: Headers,
    names: Names,
    *,
    source: Path,
    device: str | None = None,
    cuda: bool = True,
) -> list[str]:
    """The preprocessor of clang in the place of cl.exe's, with what nvcc defines; writes standard output.

    Args:
        clang: the program.
        unit: what to read.
        headers: the system's headers.
        names: short names for `__FILE__`.
        source: the file.
        device: the architecture of a device pass, like `86`; None for the host.
        cuda: with nvcc's definitions, and not as clang; False for a host file.
    """
    if not cuda:
        return [
            str(clang), *MS_MODE, f"-std={unit.standard}", "-E", "-x", "c++",
            *_defined([*RUNTIME, *unit.definitions]), *_included(unit.includes), *headers.options(),
            *names.options(), source.as_posix(),
        ]  # fmt: skip
    return [
        str(clang), *MS_MODE, "-nobuiltininc", f"-std={unit.standard}", "-E", "-x", "c++",
        *_defined([*defined(unit, headers, device), *RUNTIME, *unit.definitions]),
        *_included([*unit.includes, headers.cuda / "include", headers.cuda / "include" / "cccl"]),
        *headers.options(), "-include", (headers.stand_ins / crt.NOT_CLANG).as_posix(),
        "-include", "cuda_runtime.h", *names.options(), source.as_posix(),
    ]  # fmt: skip


def defined(unit: Unit, headers: Headers, device: str | None) -> list[str]:
    """What nvcc defines, by `--dryrun` of 13.0; `device` is the architecture of a device pass."""
    major, minor, build = headers.release
    listed = ",".join(f"{arch.rstrip('abcdefghijklmnopqrstuvwxyz')}0" for arch in unit.archs)
    return [
        "__CUDACC__", "__NVCC__", f"__CUDACC_VER_MAJOR__={major}", f"__CUDACC_VER_MINOR__={minor}",
        f"__CUDACC_VER_BUILD__={build}", f"__CUDA_API_VER_MAJOR__={major}", f"__CUDA_API_VER_MINOR__={minor}",
        "__NVCC_DIAG_PRAGMA_SUPPORT__=1", "__CUDACC_DEVICE_ATOMIC_BUILTINS__=1",
        f"__CUDA_ARCH_LIST__={listed}",
        *(["__CUDACC_EXTENDED_LAMBDA__"] if unit.extended_lambda else []),
        *(["__CUDACC_RELAXED_CONSTEXPR__"] if unit.relaxed_constexpr else []),
        *(["CUDA_DOUBLE_MATH_FUNCTIONS", f"__CUDA_ARCH__={device}0"] if device is not None else []),
    ]  # fmt: skip


def cudafe(unit: Unit, headers: Headers) -> list[str]:
    """The host half of the CUDA front end, started in the folder with the preprocessed text."""
    return [
        str(headers.cuda / "bin" / "cudafe++.exe"), *_edg(unit), "--m64", "--parse_templates",
        "--gen_c_file_name", RECEIVED, "--stub_file_name", "unit.cudafe1.stub.c",
        "--gen_module_id_file", "--module_id_file_name", MODULE_ID, TEXT,
    ]  # fmt: skip


def cicc(unit: Unit, headers: Headers, arch: str) -> list[str]:
    """The device compiler up to PTX, started in the folder with the preprocessed text."""
    return [
        str(headers.cuda / "nvvm" / "bin" / "cicc.exe"), *_edg(unit), "-arch", f"compute_{arch}", "-m64",
        "--no-version-ident", "-ftz=0", "-prec_div=1", "-prec_sqrt=1", "-fmad=1",
        "--include_file_name", "unit.fatbin.c", "-tused", "--module_id_file_name", MODULE_ID,
        "--gen_c_file_name", "unit.cudafe1.c", "--stub_file_name", "unit.cudafe1.stub.c",
        "--gen_device_file_name", "unit.cudafe1.gpu", DEVICE_TEXT, "-o", "unit.ptx",
    ]  # fmt: skip


def check(clang: Path, unit: Unit, headers: Headers, *, source: Path) -> list[str]:
    """A host file parsed and checked by clang in Microsoft's mode, nothing written."""
    return [
        str(clang), *MS_MODE, f"-std={unit.standard}", "-fsyntax-only", "-ferror-limit=0",
        "-fno-caret-diagnostics", "-fno-color-diagnostics", "-x", "c++",
        *_defined([*RUNTIME, *unit.definitions]), *_included(unit.includes), *headers.options(),
        source.as_posix(),
    ]  # fmt: skip


def _edg(unit: Unit) -> list[str]:
    """What both halves are told; `--ms_c++17` and not `--c++17`, or conditional explicit is refused."""
    return [
        f"--ms_{unit.standard}", "--static-host-stub", f"--microsoft_version={MSC_VERSION}",
        f"--msvc_target_version={MSC_VERSION}", "--display_error_number", "--orig_src_file_name",
        unit.path.rpartition("/")[2], "--orig_src_path_name", unit.path, "--allow_managed",
        *(["--extended-lambda"] if unit.extended_lambda else []),
        *(["--relaxed_constexpr"] if unit.relaxed_constexpr else []), *unit.suppressed,
    ]  # fmt: skip


def _defined(names: Sequence[str]) -> list[str]:
    return [f"-D{name}" for name in names]


def _included(folders: Sequence[Path]) -> list[str]:
    return [f"-I{folder.as_posix()}" for folder in folders]
