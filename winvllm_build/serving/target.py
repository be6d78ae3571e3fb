"""The Python that a server runs in: which one, and what is installed there; asked, not imported."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from winvllm_build import process
from winvllm_build.errors import ToolchainError, UsageError

SECONDS: Final = 60.0
FIRST_GLOO: Final = Version("2.11")
"""From this release on PyTorch's wheels for Windows have a transport for Gloo (docs/running.md)."""
PACKAGES: Final = Path(__file__).resolve().parents[1] / "fallback" / "packages.json"
FALLBACK: Final[Mapping[str, str]] = {
    Requirement(text).name: text for text in json.loads(PACKAGES.read_bytes())
}
"""What the fallback engine imports, by name as pip is told; what is older is refused there, too."""
RELAY: Final = "winvllm-build"
"""Its plugin lets cards on Windows exchange through main memory (docs/layers.md)."""
QUESTION: Final = """
import importlib.metadata, importlib.util, json, runpy, sys
def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
def there(name):
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    return found.origin if found else None
torch = there("torch")
try:
    built = runpy.run_path(torch[:-len("__init__.py")] + "version.py") if torch else {}
except Exception:
    built = {}
print(json.dumps({
    "version": "%d.%d.%d" % sys.version_info[:3],
    "platform": sys.platform,
    "vllm": there("vllm"),
    "torch": str(built["__version__"]) if built.get("__version__") else None,
    "cuda": built.get("cuda"),
    "hip": built.get("hip"),
    "triton": there("triton") is not None,
    "packages": {n: version(n) for n in sys.argv[1:]},
}))
"""
"""Nothing of what is asked about is imported: torch alone would take seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A Python and what a server finds there.

    Attributes:
        python: the interpreter.
        reason: why this one.
        windows: whether it is one for Windows.
        vllm: the installed vLLM's version, empty where it tells none; None where there is no vLLM.
        torch: the installed torch's version.
        cuda: the CUDA that torch was built for.
        triton: whether Triton is installed.
        packages: versions of what the fallback engine runs on.
    """

    python: Path
    reason: str
    version: str
    windows: bool
    vllm: str | None
    torch: str | None
    cuda: str | None
    triton: bool
    packages: Mapping[str, str | None]

    @property
    def missing(self) -> tuple[str, ...]:
        """What the fallback engine would need and does not find."""
        return tuple(text for name, text in FALLBACK.items() if _lacks(self.packages.get(name), text))

    def has(self, package: str) -> bool:
        return self.packages.get(package) is not None

    @property
    def has_gloo(self) -> bool:
        """Whether this torch can have a process group of more than one on a CPU."""
        found = _version(self.torch)
        return not self.windows or (found is not None and found >= FIRST_GLOO)

    def as_data(self) -> dict[str, Any]:
        return {
            "cuda": self.cuda,
            "python": str(self.python),
            "reason": self.reason,
            "torch": self.torch,
            "transformers": self.packages.get("transformers"),
            "version": self.version,
            "vllm": self.vllm,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An interpreter that may be the one."""

    python: Path
    reason: str


def ask(candidate: Candidate) -> Target:
    """What an interpreter has.

    Raises:
        ToolchainError: it does not answer like Python.
    """
    done = process.capture(
        [candidate.python, "-I", "-X", "utf8", "-c", QUESTION, "vllm", "pip", RELAY, *FALLBACK],
        timeout=SECONDS,
    )
    try:
        answer = json.loads(done.out)
        return Target(
            python=candidate.python,
            reason=candidate.reason,
            version=answer["version"],
            windows=answer["platform"] == "win32",
            vllm=None if answer["vllm"] is None else answer["packages"]["vllm"] or "",
            torch=answer["torch"],
            cuda=answer["cuda"],
            triton=answer["triton"],
            packages=answer["packages"],
        )
    except (ValueError, KeyError, TypeError) as error:
        words = f": {done.error_text.splitlines()[-1]}" if done.error_text else ""
        raise ToolchainError(
            f"{candidate.python} does not answer like Python{words}",
            fix="--python, an interpreter of 3.10 or newer",
        ) from error


def first_with_vllm(candidates: Iterable[Candidate]) -> Target:
    """The first that has vLLM; else the first that has what the fallback engine needs; else the first.

    Raises:
        ToolchainError: none answers.
    """
    found: list[Target] = []
    problem: ToolchainError | None = None
    for candidate in candidates:
        try:
            target = ask(candidate)
        except ToolchainError as error:
            problem = problem or error
            continue
        if target.vllm is not None:
            return target
        found.append(target)
    if not found:
        raise problem or ToolchainError("there is no Python to ask", fix="--python PYTHON")
    return next((target for target in found if not target.missing), found[0])


def interpreter(text: str) -> Path:
    """The interpreter that `--python` means: a file, an environment's folder, or a name on PATH.

    Raises:
        UsageError: there is none.
    """
    path = Path(text).expanduser()
    if path.is_dir():
        inside = in_environment(path)
        if inside is None:
            raise UsageError(f"{path} is a folder without a Python", fix="--python FOLDER/bin/python")
        return inside
    if path.is_file():
        return Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would leave the environment
    found = process.which(text)
    if found is None:
        raise UsageError(
            f'there is no Python "{text}"', fix="--python, a file, an environment or a name on PATH"
        )
    return found


def in_environment(folder: Path) -> Path | None:
    """The interpreter of a virtual environment."""
    names = ("Scripts/python.exe", "bin/python", "python.exe")
    return next((folder.absolute() / name for name in names if (folder / name).is_file()), None)


def _lacks(installed: str | None, wanted: str) -> bool:
    """Whether it is missing, or older than what was tried; a newer one may do."""
    found = _version(installed)
    oldest = [Version(bound.version) for bound in Requirement(wanted).specifier if bound.operator == ">="]
    return installed is None or (found is not None and any(found < one for one in oldest))


def _version(text: str | None) -> Version | None:
    try:
        return None if text is None else Version(text)
    except InvalidVersion:
        return None
