"""An extension module or program as the loader sees it: format, machine, libraries, folders, device code."""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass
from enum import Enum
from typing import IO, Any, Final, cast

import pefile  # type: ignore[import-untyped]  # it has no types
from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import SymbolTableSection

from winvllm_build.wheel import fatbin
from winvllm_build.wheel.opened import Content

ELF_MAGIC: Final = b"\x7fELF"
PE_MAGIC: Final = b"MZ"
FATBIN_SECTIONS: Final = (".nv_fatb", "__nv_rel")
"""How the names of sections with device code begin; a Windows library has eight characters of a name."""
DIRECTORIES: Final = ("IMPORT", "DELAY_IMPORT", "EXPORT", "DEBUG")
ORIGIN: Final = re.compile(r"\$(?:ORIGIN|\{ORIGIN\})(?=/|$)")
"""The member's own folder, in a folder that an ELF file adds to the search."""
GLIBC: Final = re.compile(r"GLIBC_(\d+)\.(\d+)")
ELF_MACHINES: Final = {"EM_X86_64": "x86_64", "EM_AARCH64": "aarch64", "EM_386": "i686"}
PE_MACHINES: Final = {0x8664: "AMD64", 0xAA64: "ARM64", 0x14C: "x86"}

DAMAGED: Final = (
    ELFError, pefile.PEFormatError, struct.error, ArithmeticError, AssertionError, AttributeError,
    LookupError, MemoryError, OSError, TypeError, ValueError,
)  # fmt: skip
"""What the two libraries raise when a file is not what its header says."""


class Format(Enum):
    """The two kinds of library."""

    ELF = "ELF"
    PE = "PE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """What one library says of itself.

    Attributes:
        format: ELF or PE.
        machine: `x86_64`, `aarch64`, `AMD64`, `ARM64`, or the number of another.
        needed: libraries that the loader looks for, delayed ones included.
        search: folders that an ELF file adds to the search.
        symbols: where `PE_` debug information is said to lie; empty for none.
        code: device code: `sm_86`, `compute_86`.
        glibc: the newest release of glibc that it asks for, None on Windows.
        modules: the Python modules that it can be imported as.
    """

    format: Format
    machine: str
    needed: tuple[str, ...]
    search: tuple[str, ...]
    symbols: str
    code: frozenset[str]
    glibc: tuple[int, int] | None
    modules: frozenset[str]


class UnreadableError(ValueError):
    """Not a library of a known format, or a damaged one."""


def read(content: Content) -> Binary:
    """Read a library or program.

    Raises:
        UnreadableError: it is none, or damaged.
    """
    magic = content[:4]
    try:
        if magic == ELF_MAGIC:
            return _elf(content)
        if magic[:2] == PE_MAGIC:
            return _pe(content)
    except DAMAGED as error:
        raise UnreadableError(f"is a damaged library: {error}") from error
    raise UnreadableError("is neither an ELF nor a PE file")


def _elf(content: Content) -> Binary:
    stream = io.BytesIO(content) if isinstance(content, bytes) else content
    file = ELFFile(cast("IO[bytes]", stream))  # it reads and seeks, which a mapped file does too
    needed: list[str] = []
    search: list[str] = []
    code: set[str] = set()
    glibc = None
    for section in file.iter_sections():
        if isinstance(section, DynamicSection):
            needed += _texts(section, "needed")
            search += [*_texts(section, "rpath"), *_texts(section, "runpath")]
        elif isinstance(section, GNUVerNeedSection):
            glibc = _glibc(section)
        elif section.name.startswith(FATBIN_SECTIONS):
            code |= fatbin.architectures(content, section["sh_offset"], section["sh_size"])
    dynamic = file.get_section_by_name(".dynsym")
    symbols = dynamic.iter_symbols() if isinstance(dynamic, SymbolTableSection) else ()
    exported = (symbol.name for symbol in symbols if symbol["st_shndx"] != "SHN_UNDEF")
    return Binary(
        format=Format.ELF, machine=ELF_MACHINES.get(file["e_machine"], str(file["e_machine"])),
        needed=tuple(needed), search=tuple(folder for text in search for folder in text.split(":")),
        symbols="", code=frozenset(code), glibc=glibc, modules=_modules(exported),
    )  # fmt: skip


def _texts(section: DynamicSection, kind: str) -> list[str]:
    """The texts of one kind of tag: `needed`, `rpath`, `runpath`."""
    return [str(getattr(tag, kind)) for tag in section.iter_tags(f"DT_{kind.upper()}")]


def _glibc(section: GNUVerNeedSection) -> tuple[int, int] | None:
    names = [entry.name for _, entries in section.iter_versions() for entry in entries]
    found = [GLIBC.fullmatch(name) for name in names]
    return max(((int(m[1]), int(m[2])) for m in found if m), default=None)


def _pe(content: Content) -> Binary:
    file = pefile.PE(data=content, fast_load=True)
    wanted = [pefile.DIRECTORY_ENTRY[f"IMAGE_DIRECTORY_ENTRY_{name}"] for name in DIRECTORIES]
    file.parse_data_directories(directories=wanted)
    imports = [
        *getattr(file, "DIRECTORY_ENTRY_IMPORT", ()), *getattr(file, "DIRECTORY_ENTRY_DELAY_IMPORT", ())
    ]  # fmt: skip
    exported = getattr(getattr(file, "DIRECTORY_ENTRY_EXPORT", None), "symbols", ())
    code = [
        fatbin.architectures(content, section.PointerToRawData, section.SizeOfRawData)
        for section in file.sections
        if section.Name.decode("latin-1").startswith(FATBIN_SECTIONS)
    ]
    machine = file.FILE_HEADER.Machine
    return Binary(
        format=Format.PE, machine=PE_MACHINES.get(machine, f"{machine:#x}"),
        needed=tuple(entry.dll.decode("ascii", "replace") for entry in imports), search=(),
        symbols=_symbols(file), code=frozenset().union(*code), glibc=None,
        modules=_modules(one.name.decode("ascii", "replace") for one in exported if one.name),
    )  # fmt: skip


def _symbols(file: Any) -> str:  # noqa: ANN401 - pefile has no types
    """The path of the .pdb file, as the linker wrote it."""
    for entry in getattr(file, "DIRECTORY_ENTRY_DEBUG", ()):
        name = getattr(entry.entry, "PdbFileName", b"")
        if name:
            return bytes(name).rstrip(b"\0").decode("utf-8", "replace")
    return ""


def _modules(exported: Any) -> frozenset[str]:  # noqa: ANN401 - names from either library
    return frozenset(name.removeprefix("PyInit_") for name in exported if name.startswith("PyInit_"))
