"""Python files of a wheel, compiled in memory: what does not compile is found before a user imports it."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Iterator

from packaging.specifiers import SpecifierSet

from winvllm_build.wheel.finding import Finding, Subject, advice, problem
from winvllm_build.wheel.opened import Member

SUFFIX = ".py"


def uncompiled(member: Member) -> Iterator[Finding]:
    """Why this Python cannot compile a member."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(bytes(member.content), member.name, "exec", dont_inherit=True)
    except SyntaxError as error:
        where = f", line {error.lineno}" if error.lineno else ""
        yield problem(Subject.PYTHON, f"{type(error).__name__}{where}: {error.msg}", member.name)
    except ValueError as error:  # a null byte, for older Pythons
        yield problem(Subject.PYTHON, f"is not Python: {error}", member.name)


def not_for_this(python: SpecifierSet) -> Finding | None:
    """That this interpreter is not one that the wheel is for, so that its syntax may be newer."""
    running = platform.python_version()
    if python.contains(running, prereleases=True):
        return None
    return advice(
        Subject.PYTHON,
        f"no .py file was compiled: this is Python {running}, and the wheel requires {python};"
        " run the check with one of those",
    )
