"""What `doctor patches` says: one verdict for each check, and who is wrong in one sentence."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MOST_NAMED: Final = 3


class Part(enum.Enum):
    """What can be wrong: each is known from the others as well."""

    PATCHES = "patch files"
    LOCK = "lock"
    TAG = "tag"
    """The manifest's pins, and the source they stand for."""
    TOOL = "tool"


class State(enum.Enum):
    """The outcome of one check."""

    AGREES = "agrees"
    WRONG = "wrong"
    UNDECIDED = "undecided"
    """Two disagree, and nothing that is here says which is right."""
    LEFT = "left over"
    UNCHECKED = "not checked"
    NOTE = "note"


UNWELL: Final = (State.WRONG, State.UNDECIDED, State.LEFT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One verdict.

    Attributes:
        name: of the check.
        state: its outcome.
        parts: what it is about; of a wrong one the culprit alone.
        words: the verdict as a sentence without its full stop.
        evidence: the facts it rests on.
        fix: the command that repairs it.
        is_telling: the sentence mentions it even where it was not checked.
    """

    name: str
    state: State
    parts: tuple[Part, ...]
    words: str
    evidence: tuple[str, ...] = ()
    fix: str = ""
    is_telling: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Every check of one patch set."""

    tag: str
    checks: tuple[Check, ...]

    @property
    def is_healthy(self) -> bool:
        return not any(check.state in UNWELL for check in self.checks)

    @property
    def culprits(self) -> tuple[Part, ...]:
        """What is wrong, or may be."""
        bad = {part for check in self.checks if check.state in UNWELL for part in check.parts}
        return tuple(part for part in Part if part in bad)

    @property
    def agreeing(self) -> tuple[Part, ...]:
        """What was compared and found right."""
        good = {part for check in self.checks if check.state is State.AGREES for part in check.parts}
        return tuple(part for part in Part if part in good and part not in self.culprits)

    @property
    def sentence(self) -> str:
        """Who is wrong, and who agrees."""
        bad = [check.words for check in self.checks if check.state in (State.WRONG, State.UNDECIDED)]
        left = [check for check in self.checks if check.state is State.LEFT]
        told = _some(list(dict.fromkeys(bad)))
        if left:
            told.append(
                f"{len(left)} {'thing is' if len(left) == 1 else 'things are'} left over from killed runs"
            )
        agreeing = [part.value for part in self.agreeing]
        if len(agreeing) > 1:
            told.append(f"{listed(agreeing)} agree")
        elif agreeing:
            told.append(f"nothing is wrong with the {agreeing[0]}")
        told += [check.words for check in self.checks if check.state is State.UNCHECKED and check.is_telling]
        return "; ".join(told) or "nothing could be compared"


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def _some(words: list[str]) -> list[str]:
    more = len(words) - MOST_NAMED
    return [*words[:MOST_NAMED], *([f"and {more} more"] if more > 0 else [])]
