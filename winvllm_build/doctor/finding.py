"""What a check says, and what a check is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from winvllm_build.doctor.facts import Facts
from winvllm_build.index import PlatformTag


class Status(Enum):
    """PROBLEM: a build or what it makes fails. WARNING: it fails on some machines. ADVICE: it costs time.

    UNKNOWN: it could not be looked at. NOT_APPLICABLE: this system has no such thing.
    """

    OK = "ok"
    ADVICE = "advice"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not applicable"


RANK: Final = {
    Status.PROBLEM: 0, Status.WARNING: 1, Status.ADVICE: 2, Status.UNKNOWN: 3, Status.OK: 4,
    Status.NOT_APPLICABLE: 5,
}  # fmt: skip
TELLING: Final = frozenset({Status.PROBLEM, Status.WARNING, Status.ADVICE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One answer of a check; `fix` is a command or an edit where one helps, or several, each on its line."""

    status: Status
    detail: str
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An outcome under its check's name."""

    id: str
    title: str
    status: Status
    detail: str
    fix: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question to the facts.

    Attributes:
        id: its name.
        title: what is looked at.
        ask: the answers; none where all is well and there is nothing to say.
        rows: the rows of what users met (tests/diagnosis/rows.toml) that it tells beforehand.
        only: the system that has such a thing; None: all.
    """

    id: str
    title: str
    ask: Callable[[Facts], Iterable[Outcome]]
    rows: tuple[str, ...] = ()
    only: PlatformTag | None = None

    def run(self, facts: Facts) -> tuple[Finding, ...]:
        if self.only is not None and facts.system is not self.only:
            where = "Windows" if self.only is PlatformTag.WINDOWS_AMD64 else "Linux"
            outcomes = [Outcome(status=Status.NOT_APPLICABLE, detail=f"only {where} has this")]
        else:
            outcomes = list(self.ask(facts)) or [Outcome(status=Status.OK, detail="")]
        return tuple(
            Finding(id=self.id, title=self.title, status=one.status, detail=one.detail, fix=one.fix)
            for one in outcomes
        )


def ok(detail: str) -> Outcome:
    return Outcome(status=Status.OK, detail=detail)


def advice(detail: str, fix: str = "") -> Outcome:
    return Outcome(status=Status.ADVICE, detail=detail, fix=fix)


def warning(detail: str, fix: str = "") -> Outcome:
    return Outcome(status=Status.WARNING, detail=detail, fix=fix)


def problem(detail: str, fix: str = "") -> Outcome:
    return Outcome(status=Status.PROBLEM, detail=detail, fix=fix)


def unknown(detail: str, fix: str = "") -> Outcome:
    return Outcome(status=Status.UNKNOWN, detail=detail, fix=fix)
