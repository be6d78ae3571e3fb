"""A CUDA toolkit laid down from NVIDIA's wheels: no installer, no administrator, every file pinned."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from packaging.version import Version
from typing_extensions import assert_never

from winvllm_build.index import Index, PlatformTag
from winvllm_build.toolchain.files import copy_tree, link_or_copy
from winvllm_build.toolchain.host import HostLimits
from winvllm_build.toolchain.table import read_table
from winvllm_build.workspace import Workspace, locked, staged_folder, storage_errors, write_atomic

TABLE: Final = "cuda_wheels.toml"
COMPLETE: Final = ".complete.json"
PROGRAM_FOLDERS: Final = ("bin", "nvvm/bin")
LOCK_SECONDS: Final = 900.0


class Role(Enum):
    """COMPILER: nvcc and what every compile needs. HEADERS: of libraries that torch's headers include."""

    COMPILER = "compiler"
    HEADERS = "headers"


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelPin:
    """One of NVIDIA's wheels and which of its files belong to the toolkit.

    Attributes:
        marker: a file by which a toolkit that has this part is known.
        keep: patterns of the files to take, below `root`; `*` crosses folders.
        root: the toolkit's folder inside the wheel, with a trailing slash.
        record: the sha256 of the wheel's RECORD.
    """

    project: str
    version: str
    role: Role
    marker: str
    keep: tuple[str, ...]
    root: str
    record: str
    system: PlatformTag

    def wants(self, member: str) -> bool:
        """A file of the toolkit, or a licence text."""
        if not member.startswith(self.root):
            return ".dist-info/licenses/" in member
        return any(fnmatch.fnmatchcase(member[len(self.root) :], pattern) for pattern in self.keep)

    @property
    def key(self) -> str:
        """Names the fetched part; another pin or another choice of files has another name."""
        choice = f"{self.record} {self.root} {' '.join(self.keep)}"
        return f"{self.project}-{self.version}-{digest(choice)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolkitPins:
    """The wheels of one toolkit for one system.

    Attributes:
        architectures: what its nvcc compiles for.
        limits: the host compilers that it takes.
    """

    version: Version
    system: PlatformTag
    wheels: tuple[WheelPin, ...]
    architectures: tuple[str, ...] = ()
    limits: HostLimits = HostLimits()  # noqa: RUF009 - frozen

    @property
    def folder_name(self) -> str:
        return f"cuda-{self.version}-{self.system.value}"

    @property
    def identity(self) -> str:
        return digest("\n".join(pin.key for pin in self.wheels))


def read_pins(system: PlatformTag) -> ToolkitPins:
    """The shipped pins."""
    table = read_table(TABLE)
    toolkit = table["toolkit"]
    oldest, refused = toolkit["msvc"]
    return ToolkitPins(
        version=Version(toolkit["version"]),
        system=system,
        wheels=tuple(_pin(entry, str(toolkit["root"]), system) for entry in table["wheel"]),
        architectures=tuple(toolkit["architectures"]),
        limits=HostLimits(
            gcc_newest=toolkit["gcc_newest"], clang_below=toolkit["clang_below"], msvc=(oldest, refused)
        ),
    )


def lay_down(
    pins: ToolkitPins, *, workspace: Workspace, index: Index, on_event: Callable[[str], None]
) -> Path:
    """The toolkit's folder; made once, then found. A killed run keeps the wheels it had fetched.

    Raises:
        OfflineError: it is not there yet and the index does not answer.
        SourceError: the index has other files than the pinned ones.
        StorageError: it cannot be written.
        BusyError: another run is laying it down for longer than a quarter of an hour.
    """
    home = workspace.toolchains / pins.folder_name
    with locked(home.with_name(f".{home.name}.lock"), "the CUDA toolkit", wait=LOCK_SECONDS):
        if is_complete(home, pins):
            return home
        on_event(f"laying down CUDA {pins.version} from NVIDIA's wheels in {home}")
        parts = [fetch(pin, workspace=workspace, index=index) for pin in pins.wheels]
        with storage_errors(str(home)):
            shutil.rmtree(home, ignore_errors=True)
            with staged_folder(home) as staged:
                for pin, part in zip(pins.wheels, parts, strict=True):
                    assemble(part, pin, staged)
                _fix_up(staged, pins.system)
                write_atomic(staged / COMPLETE, json.dumps({"pins": pins.identity}).encode())
            for part in parts:
                shutil.rmtree(part, ignore_errors=True)
    return home


def is_complete(home: Path, pins: ToolkitPins) -> bool:
    """Whether the folder was laid down to its end, from these pins."""
    try:
        marker = json.loads((home / COMPLETE).read_bytes())
    except (OSError, ValueError):
        return False
    known = isinstance(marker, dict) and marker.get("pins") == pins.identity
    return known and all((home / pin.marker).is_file() for pin in pins.wheels)


def fetch(pin: WheelPin, *, workspace: Workspace, index: Index) -> Path:
    """The wanted files of one wheel, as they lie in it."""
    return index.members(
        pin.project,
        pin.version,
        wanted=pin.wants,
        record_sha256=pin.record,
        into=workspace.toolchains / ".parts" / f"{pin.key}-{pin.system.value}",
        platform=pin.system,
    )


def assemble(part: Path, pin: WheelPin, home: Path) -> None:
    """Put a fetched part in its place; licence texts go to `licenses/<project>`."""
    inner = part / pin.root
    if inner.is_dir():
        copy_tree(inner, home, put=link_or_copy)
    for text in part.glob("*.dist-info/licenses/*"):
        kept = home / "licenses" / pin.project / text.name
        kept.parent.mkdir(parents=True, exist_ok=True)
        link_or_copy(text, kept)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _pin(entry: dict[str, Any], root: str, system: PlatformTag) -> WheelPin:
    return WheelPin(
        project=entry["project"],
        version=entry["version"],
        role=Role(entry["role"]),
        marker=entry["marker"],
        keep=tuple(entry["keep"]),
        root=root,
        record=entry["record"][system.value],
        system=system,
    )


def _fix_up(home: Path, system: PlatformTag) -> None:
    """What an installer does and a wheel cannot: execute bits, and the names a linker looks for."""
    match system:
        case PlatformTag.LINUX_X86_64:
            for folder in PROGRAM_FOLDERS:
                for file in (home / folder).glob("*"):
                    if file.is_file():
                        file.chmod(0o755)
            (home / "lib64").symlink_to("lib")
            runtime = max((home / "lib").glob("libcudart.so.*"))
            (home / "lib" / "libcudart.so").symlink_to(runtime.name)
        case PlatformTag.WINDOWS_AMD64:
            pass  # lib/x64 is where CMake looks, and the import libraries have their names
        case _:
            assert_never(system)
