"""cmake, ninja, git, Python and its headers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from winvllm_build.doctor.facts import Facts
from winvllm_build.doctor.finding import Check, Outcome, advice, ok, problem
from winvllm_build.index import PlatformTag
from winvllm_build.toolchain.python import headers_fix, newer_fix
from winvllm_build.toolchain.python_files import BITS

WINDOWS: Final = PlatformTag.WINDOWS_AMD64


def cmake(facts: Facts) -> Iterator[Outcome]:
    """One that upstream's files accept; this tool brings it along."""
    found, error = facts.inventory.cmake, facts.inventory.errors.get("cmake")
    if found is not None:
        yield ok(f"cmake {found.version} at {found.path}")
    else:
        yield problem(error.message if error else "no cmake", (error and error.fix) or "pip install cmake")


def ninja(facts: Facts) -> Iterator[Outcome]:
    """One that CMake's generator accepts; this tool brings it along."""
    found, error = facts.inventory.ninja, facts.inventory.errors.get("ninja")
    if found is not None:
        yield ok(f"ninja {found.version} at {found.path}")
    else:
        yield problem(error.message if error else "no ninja", (error and error.fix) or "pip install ninja")


def git(facts: Facts) -> Iterator[Outcome]:
    """2.38 or newer."""
    found, error = facts.inventory.git, facts.inventory.errors.get("git")
    if found is not None:
        yield ok(f"git {found.version}")
    else:
        install = "winget install Git.Git" if facts.system is WINDOWS else "sudo apt install git"
        yield problem(error.message if error else "no git", install)


def python(facts: Facts) -> Iterator[Outcome]:
    """A 64-bit CPython of a version the tag supports."""
    found, error = facts.inventory.python, facts.inventory.errors.get("python")
    fix = "uv venv --python 3.12, then name it in the profile (python.executable)"
    if found is None:
        yield problem(error.message if error else "no Python", (error and error.fix) or fix)
        return
    supported = facts.request.python_version
    if found.implementation != "cpython" or found.bits != BITS:
        yield problem(f"{found.executable} is no 64-bit CPython", fix)
    elif found.is_free_threaded:
        yield problem(f"{found.executable} is free-threaded; vLLM's extensions need the stable ABI", fix)
    elif not supported.contains(found.version, prereleases=True):
        yield problem(f"{found.executable} is Python {found.version}; {facts.tag} supports {supported}", fix)
    else:
        yield ok(f"Python {found.version} at {found.executable}")


def python_headers(facts: Facts) -> Iterator[Outcome]:
    """Python.h and, on Windows, pythonXY.lib: also Triton compiles with them when a model starts."""
    found = facts.inventory.python
    if found is None or not found.missing:
        return
    names = ", ".join(str(file) for file in found.missing)
    which = " (the embeddable package has neither)" if found.is_embedded else ""
    yield problem(f"{names} not there{which}", headers_fix(found.version, facts.system))


def python_gil(facts: Facts) -> Iterator[Outcome]:
    """The header says what the interpreter is."""
    found = facts.inventory.python
    if found is not None and found.lies:
        yield problem(
            f"pyconfig.h of Python {found.version} defines Py_GIL_DISABLED, which is wrong: everything "
            "links pythonXYt.lib",
            newer_fix(found.version),
        )


def python_embedded(facts: Facts) -> Iterator[Outcome]:
    """It finds only the modules that its ._pth file names."""
    found = facts.inventory.python
    if found is not None and found.is_embedded and not found.missing:
        yield advice(
            f"{found.executable} is the embeddable package: its ._pth file hides PYTHONPATH and "
            "site-packages from the kernel generators",
            headers_fix(found.version, facts.system),
        )


CHECKS: Final = (
    Check(id="cmake", title="cmake", ask=cmake),
    Check(id="ninja", title="ninja", ask=ninja),
    Check(id="git", title="git", ask=git),
    Check(id="python", title="Python fits the tag", ask=python, rows=("U5",)),
    Check(id="python-headers", title="Python's headers and library", ask=python_headers, rows=("U7",)),
    Check(id="python-gil", title="Python's header tells the truth", ask=python_gil, rows=("U7",)),
    Check(id="python-embedded", title="not the embeddable Python", ask=python_embedded, rows=("U7",),
          only=WINDOWS),
)  # fmt: skip
