"""MSVC: its environment taken once from vcvarsall and kept while its files stay."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from packaging.version import Version

from winvllm_build import process
from winvllm_build.errors import ToolchainError
from winvllm_build.toolchain import visual_studio
from winvllm_build.toolchain.host import HostCompiler, HostKind, HostLimits, misfit
from winvllm_build.toolchain.system import short_name
from winvllm_build.toolchain.visual_studio import TOOLS_VERSION, VCVARSALL, MsvcTools, VisualStudio
from winvllm_build.toolchain.vswhere import INSTALL, SECONDS, installations
from winvllm_build.toolchain.windows_sdk import WindowsSdk
from winvllm_build.workspace import Workspace, write_atomic

CAPTURE: Final = ("cmd.exe", "/d", "/e:on", "/v:off", "/u", "/c")
"""Without the user's AutoRun; `!` is a letter like any other; UTF-16."""
MANGLED: Final = "%^!"
"""Microsoft's own batch files call each other by their full paths and lose these."""
CL_VERSION: Final = re.compile(r"\b(19\.\d+\.\d+)(?:\.\d+)?\b")
UTF16_BYTES: Final = 2
LONGEST_PATH: Final = 4000
"""Characters of PATH: a line of a batch file ends at 8191, and vcvarsall puts 3,300 before it
(conan-io/conan#3522)."""
SYSTEM_FOLDERS: Final = ("System32", "", "System32\\Wbem", "System32\\WindowsPowerShell\\v1.0")
SHOWN: Final = 4
"""Lines of vcvarsall's own words in an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a search goes by.

    Attributes:
        environment: what vcvarsall starts from.
        limits: the compilers that nvcc takes.
        workspace: keeps what vcvarsall said.
        sdks: the Windows SDKs; what is kept counts only for these.
    """

    environment: Mapping[str, str]
    limits: HostLimits
    workspace: Workspace
    sdks: Sequence[WindowsSdk] = ()


def find_msvc(around: Surroundings) -> HostCompiler:
    """The first MSVC that this nvcc accepts, with its environment.

    Of each Visual Studio, the newest first, vcvarsall's own choice of tools is tried before those beside it.

    Raises:
        ToolchainError: there is none; each one tried is listed.
    """
    tried: list[str] = []
    for installation in installations(around.environment):
        studio = visual_studio.read(installation)
        where = f"  {installation.name} {installation.version} ({installation.path})"
        if not studio.tools:
            tried.append(f"{where}: no C++ workload")
        for tools in studio.tools:
            try:
                return _compiler(studio, tools, around)
            except ToolchainError as error:
                tried.append(f"{where}, tools {tools.version}: {error.message}")
    raise ToolchainError("\n".join(["no Visual C++ compiler that nvcc can work with", *tried]), fix=INSTALL)


def capture_words(tools: MsvcTools | None = None) -> tuple[str, ...]:
    """What prints the environment of a compiler, run in the folder of `vcvarsall.bat`.

    So no path is part of a command: cmd would expand its percent signs, and `call` doubles carets. What the
    script says goes to the error output, so that `set` alone is read.

    Args:
        tools: others than those that vcvarsall takes by itself; named by their folder, which it asks for.
    """
    asked = "" if tools is None or tools.is_default else f" -vcvars_ver={tools.folder.name}"
    return (*CAPTURE, f"call .\\vcvarsall.bat x64{asked} 1>&2 & if errorlevel 1 (exit 1) else (set)")


def parse_set(output: bytes) -> dict[str, str]:
    """The variables that `set` printed under `cmd /u` (UTF-16, little endian) or without it.

    What a vcvars script prints before its `set` has no `=` sign, or is not a variable's name.
    """
    variables = {}
    for line in _text(output).splitlines():
        name, equals, value = line.partition("=")
        if equals and re.fullmatch(r"[A-Za-z_][\w().]*", name):
            variables[name] = value
    return variables


def parse_cl_version(output: str) -> Version | None:
    """19.44.35222 from `cl`'s banner, in whatever language it is."""
    found = CL_VERSION.search(output)
    return Version(found.group(1)) if found else None


def cache_key(files: Iterable[tuple[str, int, int]], names: Iterable[str], env: Mapping[str, str]) -> str:
    """Changes when a file (name, size, mtime in ns), the tools and SDKs (`names`) or the environment do."""
    content = json.dumps([sorted(files), sorted(names), sorted(env.items())])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def split_path(environment: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """The environment with a PATH that vcvarsall can put its own before, and what has to follow it then."""
    name = next((one for one in environment if one.upper() == "PATH"), "PATH")
    whole = environment.get(name, "")
    if len(whole) <= LONGEST_PATH:
        return dict(environment), ""
    root = next((value for one, value in environment.items() if one.upper() == "SYSTEMROOT"), r"C:\Windows")
    system = ";".join(f"{root}\\{folder}".rstrip("\\") for folder in SYSTEM_FOLDERS)
    return {**environment, name: system}, whole


def _text(output: bytes) -> str:
    """ASCII names in UTF-16 have a zero in every second byte."""
    is_utf16 = len(output) >= UTF16_BYTES and b"\0" in output[:64]
    return output.decode("utf-16-le" if is_utf16 else "utf-8", "replace").lstrip("\ufeff")


def _compiler(studio: VisualStudio, tools: MsvcTools, around: Surroundings) -> HostCompiler:
    missing = studio.lacks(tools)
    reason = misfit(HostKind.MSVC, tools.compiler, around.limits)
    if missing or reason is not None:
        raise ToolchainError(f"{', '.join(missing)} missing" if missing else str(reason), fix=INSTALL)
    kept = around.workspace.toolchains / f"msvc-{_key(studio, tools, around)}.json"
    with contextlib.suppress(OSError, ValueError, AttributeError, ToolchainError):
        loaded = json.loads(kept.read_bytes())
        return _checked({str(name): str(value) for name, value in loaded.items()}, tools, around.limits)
    captured = _capture(studio, tools, around.environment)
    found = _checked(captured, tools, around.limits)
    write_atomic(kept, json.dumps(captured, sort_keys=True).encode())
    return found


def _key(studio: VisualStudio, tools: MsvcTools, around: Surroundings) -> str:
    files = [studio.installation.path / name for name in (VCVARSALL, TOOLS_VERSION)]
    known = [(str(f), f.stat().st_size, f.stat().st_mtime_ns) for f in files if f.is_file()]
    names = [str(tools.folder), *(f"{one.root} {one.version} {one.rc}" for one in around.sdks)]
    return cache_key(known, names, around.environment)


def _checked(captured: Mapping[str, str], tools: MsvcTools, limits: HostLimits) -> HostCompiler:
    """The compiler of an environment, if it is of these tools and nothing that a build starts is missing."""
    path = next((value for name, value in captured.items() if name.upper() == "PATH"), "")
    programs = {name: process.which(f"{name}.exe", path=path) for name in ("cl", "link", "lib", "rc")}
    missing = [name for name, found in programs.items() if found is None]
    cl, librarian = programs["cl"], programs["lib"]
    if cl is None or librarian is None or missing:
        raise ToolchainError(f"{', '.join(missing)} missing (rc comes with the Windows SDK)", fix=INSTALL)
    banner = process.capture([cl], env=captured, timeout=SECONDS)
    version = parse_cl_version(banner.error_text + banner.text)
    if version is None:
        raise ToolchainError(f"{cl} does not answer like cl", fix=INSTALL)
    reason = misfit(HostKind.MSVC, version, limits)
    if reason is None and version.release[:2] != tools.compiler.release[:2]:
        reason = f"vcvarsall gives cl {version}, which is not of these tools"
    if reason is not None:
        raise ToolchainError(reason, fix=INSTALL)
    return HostCompiler(
        kind=HostKind.MSVC, cxx=cl, c=cl, version=version, librarian=librarian, environment=captured
    )


def _capture(studio: VisualStudio, tools: MsvcTools, environment: Mapping[str, str]) -> dict[str, str]:
    """What vcvarsall makes of `environment`; it takes seconds."""
    vcvarsall = studio.installation.path / VCVARSALL
    folder = short_name(vcvarsall.parent, marks=MANGLED)
    given, rest = split_path(environment)
    done = process.capture(capture_words(tools), cwd=folder, env=given, timeout=SECONDS)
    captured = parse_set(done.out)
    if done.code != 0 or "VCToolsInstallDir" not in captured:
        marks = sorted(set(MANGLED) & set(str(folder)))
        because = f": its batch files do not survive {' '.join(marks)} in a folder's name" if marks else ""
        said = [line.strip() for line in _text(done.err).splitlines() if line.strip("* \r")][-SHOWN:]
        raise ToolchainError(
            "\n".join([f"{vcvarsall} x64 failed{because}", *(f"  | {line}" for line in said)]), fix=INSTALL
        )
    if rest:
        name = next(one for one in captured if one.upper() == "PATH")
        captured[name] = f"{captured[name]};{rest}"
    return captured
