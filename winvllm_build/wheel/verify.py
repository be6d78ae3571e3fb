"""A wheel installed into a fresh environment and looked at from there, outside any source folder."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from winvllm_build import process
from winvllm_build.errors import ToolchainError
from winvllm_build.wheel import binary, metadata, modules
from winvllm_build.wheel.libraries import Origin, origin
from winvllm_build.wheel.opened import Member, OpenWheel
from winvllm_build.wheel.version import read_local

PROBE: Final = Path(__file__).parent / "data" / "probe.py"
MARK: Final = "\x1e"
"""Before the probe's answer: torch and vLLM print what they like."""
SECONDS: Final = 300.0
INSTALL_SECONDS: Final = 1800.0


class Installer(Enum):
    """What installs the wheel; each gets an environment of its own."""

    PIP = "pip"
    UV = "uv"


class Verdict(Enum):
    """What became of one step; `NOT_DONE` says why this machine cannot do it, and is no failure."""

    GOOD = "good"
    FAILED = "failed"
    NOT_DONE = "not done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a verification."""

    installer: Installer
    name: str
    verdict: Verdict
    detail: str

    def as_data(self) -> dict[str, str]:
        return {
            "detail": self.detail, "installer": self.installer.value, "name": self.name,
            "verdict": self.verdict.value,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyRequest:
    """What to verify, and how.

    Attributes:
        file: the wheel.
        python: makes the environments.
        installers: by which programs.
        beside: an environment's interpreter whose packages (torch and the rest) are visible, too.
        requirements: install what the wheel requires; hundreds of packages, several GB.
    """

    file: Path
    python: Path
    installers: tuple[Installer, ...] = tuple(Installer)
    beside: Path | None = None
    requirements: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Module:
    """An extension of the wheel and the libraries that it asks for, by who brings them.

    Attributes:
        member: its name.
        torch: whether it asks for any of torch, or of CUDA, which torch brings.
        cuda: whether it asks for what only a torch for CUDA has.
        driver: the driver's libraries.
    """

    member: str
    torch: bool
    cuda: bool
    driver: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inside:
    """What a wheel says before it is installed; `cuda` is the release that it was compiled with."""

    modules: tuple[_Module, ...]
    requires: tuple[Requirement, ...]
    cuda: Version | None


def verify(request: VerifyRequest) -> Iterator[Step]:
    """Install the wheel and say of each step what became of it.

    Raises:
        WheelError: the file cannot be read as a wheel, or its own check refused it.
    """
    metadata.refuse_refused(request.file)
    inside = _inside(request.file)
    for installer in request.installers:
        with tempfile.TemporaryDirectory(prefix="winvllm-verify-") as folder:
            yield from _Verification(request, installer, Path(folder)).run(inside)


class _Verification:
    """One environment."""

    def __init__(self, request: VerifyRequest, installer: Installer, folder: Path) -> None:
        self.request = request
        self.installer = installer
        self.outside = folder / "outside"
        self.environment = folder / "environment"
        self.outside.mkdir()

    def run(self, inside: _Inside) -> Iterator[Step]:
        failure = self._install()
        if failure is not None:
            yield failure
            return
        yield self._step("installed", Verdict.GOOD, "into a fresh environment")
        seen = self._ask("installed")
        if "error" in seen:
            yield self._step("seen from outside", Verdict.FAILED, str(seen["error"]))
            return
        yield self._place(seen)
        yield self._step("version", *compare_versions(str(seen["distribution"]), seen["runtime"]))
        yield self._step("requirements", *requirements_met(inside.requires, seen))
        yield self._step("torch's CUDA", *compare_cuda(inside.cuda, seen))
        for module in inside.modules:
            yield self._loaded(module, seen)
        yield self._imported(inside.requires, seen)

    def _step(self, name: str, verdict: Verdict, detail: str) -> Step:
        return Step(installer=self.installer, name=name, verdict=verdict, detail=detail)

    def _install(self) -> Step | None:
        """Make the environment and install; the step that failed, or could not be done."""
        for name, command in self._commands():
            try:
                done = process.capture(command, cwd=self.outside, env=_clean(), timeout=INSTALL_SECONDS)
            except ToolchainError as error:
                return self._step(name, Verdict.NOT_DONE, error.message)
            if done.code != 0:
                said = (done.error_text or done.text).strip().splitlines()
                return self._step(name, Verdict.FAILED, said[-1] if said else f"exit code {done.code}")
        if self.request.beside is not None:
            self._see(self.request.beside)
        return None

    def _commands(self) -> Iterator[tuple[str, list[str | Path]]]:
        python, wheel = self.request.python, self.request.file.absolute()
        alone = [] if self.request.requirements else ["--no-deps"]
        match self.installer:
            case Installer.PIP:
                yield "environment", [python, "-m", "venv", self.environment]
                pip: list[str | Path] = [self.interpreter, "-m", "pip", "install", "--quiet"]
                yield "installed", [*pip, "--disable-pip-version-check", *alone, wheel]
            case Installer.UV:
                uv = find_uv()
                yield "environment", [uv, "venv", "--quiet", "--python", python, self.environment]
                install: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", self.interpreter]
                yield "installed", [*install, *alone, wheel]

    @property
    def interpreter(self) -> Path:
        if os.name == "nt":
            return self.environment / "Scripts" / "python.exe"
        return self.environment / "bin" / "python"

    def _see(self, beside: Path) -> None:
        """Let the environment see the packages of another one, after its own."""
        ask = "import json, sysconfig as s; print(json.dumps([s.get_path('purelib'), s.get_path('platlib')]))"
        own, other = (
            json.loads(process.capture([python, "-I", "-c", ask], env=_clean()).text)
            for python in (self.interpreter, beside)
        )
        folders = ascii(list(dict.fromkeys(other)))  # before 3.13 it is read in the code page
        Path(own[0], "beside.pth").write_text(f"import sys; sys.path.extend({folders})\n", encoding="ascii")

    def _ask(self, *words: str) -> dict[str, Any]:
        command: list[str | Path] = [self.interpreter, "-I", PROBE, *words]
        try:
            done = process.capture(command, cwd=self.outside, env=_clean(), timeout=SECONDS)
        except ToolchainError as error:
            return {"error": error.message}
        _, mark, answer = done.text.rpartition(MARK)
        if not mark:
            said = done.error_text.strip().splitlines()
            return {"error": f"ended with code {done.code}: {said[-1] if said else 'it said nothing'}"}
        found: dict[str, Any] = json.loads(answer)
        return found

    def _place(self, seen: Mapping[str, Any]) -> Step:
        place = Path(str(seen["origin"]))
        inside = place.resolve().is_relative_to(self.environment.resolve())
        where = "the environment's own package is found" if inside else f"another one is found: {place}"
        return self._step("seen from outside", Verdict.GOOD if inside else Verdict.FAILED, where)

    def _loaded(self, module: _Module, seen: Mapping[str, Any]) -> Step:
        name = f"import {module.member}"
        if module.torch and seen["torch"] is None:
            return self._step(name, Verdict.NOT_DONE, "it needs torch, which this environment has not")
        file = Path(str(seen["origin"])).parent.parent / module.member
        answer = self._ask("load", str(file), *module.driver)
        if "lacking" in answer:
            lacking = ", ".join(answer["lacking"])
            return self._step(name, Verdict.NOT_DONE, f"this machine has no {lacking}")
        if "error" in answer:
            return self._step(name, *_load_failure(module, str(answer["error"]), seen))
        return self._step(name, Verdict.GOOD, "loaded")

    def _imported(self, requires: Sequence[Requirement], seen: Mapping[str, Any]) -> Step:
        lacking = _unmet(requires, seen)
        if lacking:
            why = f"{len(lacking)} requirements are not there, {lacking[0]} the first"
            return self._step("import vllm", Verdict.NOT_DONE, why)
        answer = self._ask("import")
        if "error" in answer:
            return self._step("import vllm", Verdict.FAILED, str(answer["error"]))
        return self._step("import vllm", Verdict.GOOD, "imported")


def compare_versions(distribution: str, runtime: object) -> tuple[Verdict, str]:
    """Whether two versions agree in their public part; a build's local part may be missing in one of them."""
    try:
        installed, inside = Version(distribution), Version(str(runtime))
    except InvalidVersion as error:
        return Verdict.FAILED, f"installed as {distribution}, vllm says {runtime}: {error}"
    words = f"installed as {installed}, vllm says {inside}"
    return (Verdict.GOOD if installed.public == inside.public else Verdict.FAILED), words


def compare_cuda(wanted: Version | None, seen: Mapping[str, Any]) -> tuple[Verdict, str]:
    """Whether torch is for the CUDA that the wheel was compiled with: the libraries of one major release fit.

    Args:
        wanted: the wheel's release, None where it names none.
        seen: the environment.
    """
    torch, cuda = seen["torch"], seen["torch_cuda"]
    if torch is None:
        return Verdict.NOT_DONE, "this environment has no torch"
    if wanted is None:
        return Verdict.NOT_DONE, "the wheel names no release of CUDA"
    if cuda is None:
        return Verdict.NOT_DONE, f"torch {torch} here is not one for CUDA; the wheel is for CUDA {wanted}"
    words = f"torch {torch} is for CUDA {cuda}, the wheel for CUDA {wanted}"
    fits = Version(str(cuda)).major == wanted.major
    return (Verdict.GOOD if fits else Verdict.FAILED), words


def requirements_met(requires: Sequence[Requirement], seen: Mapping[str, Any]) -> tuple[Verdict, str]:
    """What is installed of the requirements that hold there: missing is not done, wrong is failed."""
    wanted = list(_wanted(requires, seen["environment"]))
    there = {canonicalize_name(name): str(version) for name, version in seen["installed"].items()}
    wrong = [
        f"{one.name} {there[canonicalize_name(one.name)]} is not {one.specifier}"
        for one in wanted
        if canonicalize_name(one.name) in there
        and not one.specifier.contains(Version(there[canonicalize_name(one.name)]).public, prereleases=True)
    ]
    if wrong:
        return Verdict.FAILED, "; ".join(wrong)
    missing = [one.name for one in wanted if canonicalize_name(one.name) not in there]
    if missing:
        return Verdict.NOT_DONE, f"{len(missing)} of {len(wanted)} are not installed here"
    return Verdict.GOOD, f"all {len(wanted)} that are for this machine are installed"


def find_uv() -> Path | str:
    """The uv beside this interpreter, else the one on PATH."""
    beside = Path(sys.executable).parent
    return process.which("uv", path=str(beside)) or process.which("uv") or "uv"


def _clean() -> dict[str, str]:
    """This process's variables without those by which Python finds packages of another environment."""
    return {k: v for k, v in os.environ.items() if k not in {"PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV"}}


def _wanted(requires: Sequence[Requirement], environment: Mapping[str, str]) -> Iterator[Requirement]:
    for one in requires:
        if one.marker is None or one.marker.evaluate({**environment, "extra": ""}):
            yield one


def _unmet(requires: Sequence[Requirement], seen: Mapping[str, Any]) -> list[str]:
    there = {canonicalize_name(name) for name in seen["installed"]}
    wanted = _wanted(requires, seen["environment"])
    return [one.name for one in wanted if canonicalize_name(one.name) not in there]


def _load_failure(module: _Module, error: str, seen: Mapping[str, Any]) -> tuple[Verdict, str]:
    """A torch without CUDA cannot load an extension for CUDA; that says nothing of the extension."""
    if module.cuda and seen["torch_cuda"] is None:
        return Verdict.NOT_DONE, f"torch {seen['torch']} here is not one for CUDA: {error}"
    return Verdict.FAILED, error


def _inside(file: Path) -> _Inside:
    with OpenWheel(file) as wheel:
        said = metadata.read_name(file)
        described = metadata.read(wheel, said)
        members = (one for one in wheel.members() if isinstance(one, Member) and modules.is_module(one.name))
        return _Inside(
            modules=tuple(_module(member) for member in members),
            requires=described.requires,
            cuda=read_local(said.version).cuda if said else None,
        )


def _module(member: Member) -> _Module:
    try:
        read = binary.read(member.content)
    except binary.UnreadableError:
        return _Module(member=member.name, torch=False, cuda=False, driver=())
    by = {name: origin(name, read.format) for name in read.needed}
    return _Module(
        member=member.name,
        torch=any(kind in {Origin.TORCH, Origin.CUDA} for kind in by.values()),
        cuda=any(kind is Origin.CUDA or "cuda" in name.lower() for name, kind in by.items()),
        driver=tuple(name for name, kind in by.items() if kind is Origin.DRIVER),
    )
