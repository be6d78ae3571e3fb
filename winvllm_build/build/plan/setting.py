"""What a configured build folder says of itself: folders, compilers, launchers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build import process
from winvllm_build.build.configure import STAMP
from winvllm_build.build.engine.edge import Roots
from winvllm_build.errors import ConfigureError

ENTRY: Final = re.compile(r"^(?P<name>[^#/:=\s][^:=]*):(?P<type>[A-Z]+)=(?P<value>.*)$", re.MULTILINE)
SET: Final = re.compile(r'^set\((?P<name>\w+) "(?P<value>[^"]*)"\)$', re.MULTILINE)
LAUNCHERS: Final = (
    "CMAKE_CUDA_COMPILER_LAUNCHER", "CMAKE_CXX_COMPILER_LAUNCHER", "CMAKE_CXX_LINKER_LAUNCHER",
    "CMAKE_CUDA_LINKER_LAUNCHER",
)  # fmt: skip
SOURCE_FOLDER: Final = re.compile(r"^(?:VLLM_)?(?P<name>\w+)_SRC_DIR$")
SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A configured build folder.

    Attributes:
        folder: the build folder.
        tree: the patched tree it was configured from.
        ninja: the program that builds it.
        roots: the folders that its commands name.
        launchers: what CMake was told to put before compilers and linkers, each as words.
        compiler: the compilers in words that change when their output does.
        build_type: CMake's word.
        cuda_compiler: what the commands of CUDA files begin with; empty where there is none.
        windows: whether its commands are for Windows.
    """

    folder: Path
    tree: Path
    ninja: Path
    roots: Roots
    launchers: tuple[tuple[str, ...], ...]
    compiler: str
    build_type: str
    cuda_compiler: str
    windows: bool


def read(build: Path) -> Setting:
    """What the folder's CMake cache and the tool's own note of the run say.

    Raises:
        ConfigureError: the folder is not configured.
    """
    try:
        cache = {m["name"]: m["value"] for m in ENTRY.finditer(_text(build / "CMakeCache.txt"))}
        found = _compilers(build)
        return Setting(
            folder=build,
            tree=Path(cache["CMAKE_HOME_DIRECTORY"]),
            ninja=Path(cache["CMAKE_MAKE_PROGRAM"]),
            roots=with_aliases(dict(_roots(build, cache))),
            launchers=tuple(tuple(cache[n].split(";")) for n in LAUNCHERS if cache.get(n)),
            compiler=_identity(found, cache),
            build_type=cache.get("CMAKE_BUILD_TYPE", ""),
            cuda_compiler=cache.get("CMAKE_CUDA_COMPILER", ""),
            windows=bool(re.match(r"^[A-Za-z]:", cache["CMAKE_HOME_DIRECTORY"])),
        )
    except (OSError, KeyError) as error:
        raise ConfigureError(
            f"{build} is no configured build folder: {error}",
            fix="run `winvllm-build plan` or `build` for it",
        ) from error


def with_aliases(folders: Mapping[str, str]) -> Roots:
    """The folders, and other paths to them through links: CMake writes now this path, now that."""
    real = {name: Path(folder).resolve().as_posix() for name, folder in folders.items()}
    links = {(folder, real[name]) for name, folder in folders.items() if folder != real[name]}
    found: set[tuple[str, str]] = set()
    for name, folder in folders.items():
        paths = {folder, real[name]}
        paths |= {
            link + path[len(to) :] for link, to in links for path in paths if f"{path}/".startswith(f"{to}/")
        }
        found |= {(name, path) for path in paths if path != folder}
    parts = [Path(folders.get("<workspace>", "")) / part for part in ("toolchains", "sources", "trees")]
    found |= {(f"<workspace>/{part.name}", part.resolve().as_posix()) for part in parts if part.is_symlink()}
    return Roots(folders=folders, aliases=tuple(sorted(found)))


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="surrogateescape")


def _compilers(build: Path) -> dict[str, str]:
    """What CMake found out about the compilers, by its own variables."""
    files = sorted((build / "CMakeFiles").glob("[0-9]*/CMakeC*Compiler.cmake"))
    return {m["name"]: m["value"] for file in files for m in SET.finditer(_text(file))}


def _identity(found: Mapping[str, str], cache: Mapping[str, str]) -> str:
    """Such as `NVIDIA 13.0.88, GNU 12.2.0 (g++ (Debian 12.2.0-14) 12.2.0)`."""
    cuda = f"{found.get('CMAKE_CUDA_COMPILER_ID', 'no')} {found.get('CMAKE_CUDA_COMPILER_VERSION', 'CUDA')}"
    kind = found.get("CMAKE_CXX_COMPILER_ID", "")
    host = f"{kind} {found.get('CMAKE_CXX_COMPILER_VERSION', '')}"
    program = cache.get("CMAKE_CXX_COMPILER", "")
    if kind in {"GNU", "Clang"} and Path(program).is_file():  # a distribution changes them within a version
        done = process.capture([program, "--version"], timeout=SECONDS)
        host += f" ({done.text.splitlines()[0] if done.text else ''})"
    return f"{cuda}, {host}"


def _roots(build: Path, cache: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each folder under the name that stands for it, the same on every machine."""
    yield "<build>", build.as_posix()
    yield "<tree>", cache["CMAKE_HOME_DIRECTORY"]
    if build.parent.name == "builds":
        yield "<workspace>", build.parent.parent.as_posix()
    if "CUDA_TOOLKIT_ROOT_DIR" in cache:
        yield "<cuda>", cache["CUDA_TOOLKIT_ROOT_DIR"].rstrip("/")
    if cache.get("Torch_DIR", "").endswith("/share/cmake/Torch"):
        yield "<torch>", cache["Torch_DIR"].removesuffix("/share/cmake/Torch")
    headers = Path(cache.get("_Python_INCLUDE_DIR", ""))
    if headers.is_absolute():
        at = headers if headers.name.lower() == "include" else headers.parent
        yield "<python>", at.parent.as_posix()
    for name, folder in sorted(_environment(build).items()):
        match = SOURCE_FOLDER.match(name)
        if match is not None and folder:
            yield f"<{match['name'].lower().replace('_', '-')}>", folder.rstrip("/")


def _environment(build: Path) -> dict[str, str]:
    """The relevant variables of the run that configured the folder; nothing where another program did."""
    try:
        loaded = json.loads((build / STAMP).read_bytes())
    except (OSError, ValueError):
        return {}
    found = loaded.get("environment", {}) if isinstance(loaded, dict) else {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}
