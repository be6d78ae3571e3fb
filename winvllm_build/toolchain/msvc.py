"""MSVC: found through vswhere, its environment taken once from vcvarsall and kept while its files stay."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any, Final

from packaging.version import InvalidVersion, Version

from winvllm_build import process
from winvllm_build.errors import ToolchainError
from winvllm_build.toolchain.host import HostCompiler, HostKind, HostLimits, misfit
from winvllm_build.toolchain.system import short_name
from winvllm_build.workspace import Workspace, write_atomic

COMPONENT: Final = "Microsoft.VisualStudio.Component.VC.Tools.x86.x64"
VSWHERE: Final = PureWindowsPath("Microsoft Visual Studio/Installer/vswhere.exe")
VSWHERE_OPTIONS: Final = ("-all", "-products", "*", "-format", "json", "-utf8", "-nologo")
WITH_CPP: Final = ("-requires", COMPONENT)
VCVARSALL: Final = "VC/Auxiliary/Build/vcvarsall.bat"
TOOLS_VERSION: Final = "VC/Auxiliary/Build/Microsoft.VCToolsVersion.default.txt"
CAPTURE: Final = (
    "cmd.exe", "/d", "/e:on", "/v:off", "/u", "/c",
    "call .\\vcvarsall.bat x64 >nul 2>nul & if errorlevel 1 (exit 1) else (set)",
)  # fmt: skip
"""Run in the script's own folder, so that no path is part of a command: cmd would expand its percent signs,
and `call` doubles carets. Without the user's AutoRun; `!` is a letter like any other; UTF-16."""
MANGLED: Final = "%^!"
"""Microsoft's own batch files call each other by their full paths and lose these."""
CL_VERSION: Final = re.compile(r"\b(19\.\d+\.\d+)(?:\.\d+)?\b")
UTF16_BYTES: Final = 2
SECONDS: Final = 120.0
INSTALL: Final = (
    "install the Build Tools with the C++ workload: `winget install Microsoft.VisualStudio.2022.BuildTools "
    '--override "--quiet --wait --add Microsoft.VisualStudio.Workload.VCTools --includeRecommended"`'
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """One Visual Studio or Build Tools with a C++ compiler for x64."""

    path: Path
    version: Version
    name: str


def parse_vswhere(output: bytes) -> tuple[Installation, ...]:
    """The complete installations that `vswhere -format json -utf8` lists, newest first.

    Raises:
        ToolchainError: the output is not vswhere's.
    """
    try:
        listed = json.loads(output.decode("utf-8-sig"))
    except ValueError as error:
        raise ToolchainError(
            "vswhere did not answer with JSON", fix="repair the Visual Studio Installer"
        ) from error
    entries = listed if isinstance(listed, list) else []
    found = [installation for entry in entries if (installation := _installation(entry)) is not None]
    return tuple(sorted(found, key=lambda one: one.version, reverse=True))


def parse_set(output: bytes) -> dict[str, str]:
    """The variables that `set` printed under `cmd /u` (UTF-16, little endian) or without it.

    What a vcvars script prints before its `set` has no `=` sign, or is not a variable's name.
    """
    text = output.decode("utf-16-le" if _is_utf16(output) else "utf-8", "replace").lstrip("\ufeff")
    variables = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and re.fullmatch(r"[A-Za-z_][\w().]*", name):
            variables[name] = value
    return variables


def parse_cl_version(output: str) -> Version | None:
    """19.44.35222 from `cl`'s banner, in whatever language it is."""
    found = CL_VERSION.search(output)
    return Version(found.group(1)) if found else None


def find_msvc(environment: Mapping[str, str], limits: HostLimits, workspace: Workspace) -> HostCompiler:
    """The newest MSVC that this nvcc accepts, with its environment.

    Raises:
        ToolchainError: there is none; each one tried is listed.
    """
    tried: list[str] = []
    for installation in parse_vswhere(_vswhere(environment, WITH_CPP)):
        try:
            return _compiler(installation, environment, limits, workspace)
        except ToolchainError as error:
            tried.append(
                f"  {installation.name} {installation.version} ({installation.path}): {error.message}"
            )
    raise ToolchainError("\n".join(["no Visual C++ compiler that nvcc can work with", *tried]), fix=INSTALL)


def installations(environment: Mapping[str, str]) -> tuple[Installation, ...]:
    """Every complete Visual Studio or Build Tools, with Visual C++ or not, newest first.

    Raises:
        ToolchainError: the Visual Studio Installer is not there, or does not answer.
    """
    return parse_vswhere(_vswhere(environment, ()))


def cache_key(files: Iterable[tuple[str, int, int]], environment: Mapping[str, str]) -> str:
    """Changes when a file (name, size, mtime in ns) of the installation or the environment does."""
    content = json.dumps([sorted(files), sorted(environment.items())])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _installation(entry: Any) -> Installation | None:  # noqa: ANN401 - parsed JSON
    if not isinstance(entry, dict) or entry.get("isComplete") is False:
        return None
    try:
        return Installation(
            path=Path(entry["installationPath"]),
            version=Version(entry["installationVersion"]),
            name=str(entry.get("displayName", "Visual Studio")),
        )
    except (KeyError, TypeError, InvalidVersion):
        return None


def _is_utf16(output: bytes) -> bool:
    """ASCII names in UTF-16 have a zero in every second byte."""
    return len(output) >= UTF16_BYTES and b"\0" in output[:64]


def _vswhere(environment: Mapping[str, str], options: Sequence[str]) -> bytes:
    for variable in ("PROGRAMFILES(X86)", "PROGRAMFILES"):
        program = Path(environment.get(variable, "")) / Path(*VSWHERE.parts)
        if environment.get(variable) and program.is_file():
            asked = (str(program), *VSWHERE_OPTIONS, *options)
            return process.capture(asked, env=environment, timeout=SECONDS).out
    raise ToolchainError(
        "no Visual C++ compiler: the Visual Studio Installer (vswhere) is not there", fix=INSTALL
    )


def _compiler(
    installation: Installation, environment: Mapping[str, str], limits: HostLimits, workspace: Workspace
) -> HostCompiler:
    captured = _environment(installation, environment, workspace)
    path = next((value for name, value in captured.items() if name.upper() == "PATH"), "")
    tools = {name: process.which(f"{name}.exe", path=path) for name in ("cl", "link", "lib", "rc")}
    missing = [name for name, found in tools.items() if found is None]
    cl, librarian = tools["cl"], tools["lib"]
    if cl is None or librarian is None or missing:
        raise ToolchainError(f"{', '.join(missing)} missing (rc comes with the Windows SDK)", fix=INSTALL)
    banner = process.capture([cl], env=captured, timeout=SECONDS)
    version = parse_cl_version(banner.error_text + banner.text)
    if version is None:
        raise ToolchainError(f"{cl} does not answer like cl", fix=INSTALL)
    reason = misfit(HostKind.MSVC, version, limits)
    if reason is not None:
        raise ToolchainError(reason, fix=INSTALL)
    return HostCompiler(
        kind=HostKind.MSVC, cxx=cl, c=cl, version=version, librarian=librarian, environment=captured
    )


def _environment(
    installation: Installation, environment: Mapping[str, str], workspace: Workspace
) -> dict[str, str]:
    """What vcvarsall makes of `environment`; it takes seconds, so it is kept."""
    files = [installation.path / VCVARSALL, installation.path / TOOLS_VERSION]
    known = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file()]
    if len(known) != len(files):
        raise ToolchainError(f"{installation.path} has no {VCVARSALL}", fix=INSTALL)
    cached = workspace.toolchains / f"msvc-{cache_key(known, environment)}.json"
    try:
        loaded = json.loads(cached.read_bytes())
        return {str(name): str(value) for name, value in loaded.items()}
    except (OSError, ValueError, AttributeError):
        captured = _capture(installation, environment)
        write_atomic(cached, json.dumps(captured, sort_keys=True).encode())
        return captured


def _capture(installation: Installation, environment: Mapping[str, str]) -> dict[str, str]:
    vcvarsall = installation.path / VCVARSALL
    folder = short_name(vcvarsall.parent, marks=MANGLED)
    done = process.capture(CAPTURE, cwd=folder, env=environment, timeout=SECONDS)
    captured = parse_set(done.out)
    if done.code != 0 or "VCToolsInstallDir" not in captured:
        marks = sorted(set(MANGLED) & set(str(folder)))
        because = f": its batch files do not survive {' '.join(marks)} in a folder's name" if marks else ""
        raise ToolchainError(f"{vcvarsall} x64 failed{because}", fix=INSTALL)
    return captured
