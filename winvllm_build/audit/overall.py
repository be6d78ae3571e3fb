"""All checks that need no Windows, one after the other: what each says, and what none of them can say."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from winvllm_build.audit.subject import Doors
from winvllm_build.errors import UNOBTAINABLE, ToolchainError, WinvllmError
from winvllm_build.profile.loader import ResolvedProfile

NEVER_COVERED: Final = (
    "cl.exe's own back end (optimiser, internal errors, C1061 and other limits in what no rule counts)",
    "linking on Windows (LNK codes, exports, sizes)",
    "running on Windows (DLLs, the driver, memory, the hazards of docs/hazards that no text shows)",
)

MOST: Final = 20
"""Findings of a part that are told."""


class Result(Enum):
    """How a part ended."""

    CLEAN = "clean"
    FOUND = "found"
    FAILED = "failed"
    """It broke off."""
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a part says.

    Attributes:
        result: how it ended.
        words: one line.
        findings: one line each.
        uncovered: what it could not look at on this machine, and why.
        fix: the command that shows or repairs what was found, or makes it run.
    """

    result: Result
    words: str
    findings: tuple[str, ...] = ()
    uncovered: tuple[str, ...] = ()
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is audited.

    Attributes:
        tag: whose set.
        root: the folder of patch sets.
        doors: where sources come from.
        stl: Microsoft's STL, for the front ends.
        profile: what the front ends are configured for; None where nothing slow is run.
    """

    tag: str
    root: Path
    doors: Doors
    stl: Path | None = None
    profile: ResolvedProfile | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One check.

    Attributes:
        name: shown; the command `audit NAME` or `scan` says more.
        look: does it.
        slow: it takes more than seconds, so it is run only when all is asked for, and may break off alone.
        optional: a tool that is missing leaves it out; without that, it is an error.
    """

    name: str
    look: Callable[[Setting], Outcome]
    slow: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A part that had its turn."""

    name: str
    outcome: Outcome
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Overall:
    """Every part, in order."""

    tag: str
    lines: tuple[Line, ...]

    @property
    def found(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.outcome.result is Result.FOUND)

    @property
    def failed(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.outcome.result is Result.FAILED)

    @property
    def not_run(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.outcome.result is Result.NOT_RUN)

    @property
    def seconds(self) -> float:
        return sum(line.seconds for line in self.lines)


def audit(
    setting: Setting, parts: Sequence[Part], *, full: bool = False, tell: Callable[[str], None] | None = None
) -> Overall:
    """Run the parts.

    Args:
        setting: what is audited.
        parts: in this order.
        full: slow parts too.
        tell: hears the name of each part that begins.

    Raises:
        WinvllmError: what a fast part raises, but for a tool or download that an optional one misses.
    """
    lines = []
    for part in parts:
        begun = time.perf_counter()
        if tell is not None and (full or not part.slow):
            tell(f"{part.name} ...")
        outcome = _outcome(part, setting, full=full)
        lines.append(Line(name=part.name, outcome=outcome, seconds=time.perf_counter() - begun))
    return Overall(tag=setting.tag, lines=tuple(lines))


def shown(findings: Sequence[str], most: int = MOST) -> tuple[str, ...]:
    """The first findings; the part's own command has all."""
    rest = len(findings) - most
    return (*findings[:most], *([f"and {rest} more"] if rest > 0 else []))


def _outcome(part: Part, setting: Setting, *, full: bool) -> Outcome:
    if part.slow and not full:
        fix = f"winvllm-build audit {part.name} {setting.tag}, or audit --full"
        return Outcome(result=Result.NOT_RUN, words="takes minutes to hours", fix=fix)
    try:
        return part.look(setting)
    except WinvllmError as error:
        left_out = part.optional and isinstance(error, (ToolchainError, *UNOBTAINABLE))
        if not (left_out or part.slow):
            raise
        first, *more = error.message.splitlines()
        return Outcome(
            result=Result.NOT_RUN if left_out else Result.FAILED, words=first,
            uncovered=tuple(words.strip() for words in more), fix=error.fix or "",
        )  # fmt: skip
