"""Rules: which first error means what, and what to do; they are data, read and asked here."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Final

from winvllm_build.build.diagnosis.log import Failure
from winvllm_build.build.diagnosis.message import Message

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER: Final = Path(__file__).with_name("data") / "rules"
PATTERNS: Final = ("text", "file", "excerpt", "nearby")
LISTS: Final = ("codes", "tools", "hazards", "threads", "rows")


class FailureClass(Enum):
    """What kind of problem it is: decides who can repair it."""

    MEMORY = "memory"
    SOURCE = "source"
    """The text of vLLM or of a dependency, as this compiler reads it."""
    CRASH = "crash"
    LINK = "link"
    TOOLCHAIN = "toolchain"
    CONFIGURE = "configure"
    PATHS = "paths"
    FETCH = "fetch"
    """Sources and patches that do not arrive or do not fit."""
    PACKAGES = "packages"
    RUN = "run time"
    """After the build: importing and starting vLLM."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a failure is of this kind, and what follows.

    Attributes:
        id: its name.
        title: the finding in a few words.
        kind: the class.
        why: the cause, in a sentence or two.
        do: what to do, with the command.
        codes: the message has one of these codes.
        tools: one of these said it.
        text: this is found in what it says.
        file: this is found in the name of the file it is about, with forward slashes.
        excerpt: this is found in the line of source that the compiler quotes.
        nearby: this is found anywhere in what the failed command said, or in the command.
        rank: added where two rules hold and both are right: the higher is told.
        hazards: the classes of hazard it belongs to (docs/hazards).
        threads: where it was met, as in the facts: `SP #41`, `V #23372`.
        rows: the rows of the troubleshooting pages it answers.
    """

    id: str
    title: str
    kind: FailureClass
    why: str
    do: str
    codes: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    text: re.Pattern[str] | None = None
    file: re.Pattern[str] | None = None
    excerpt: re.Pattern[str] | None = None
    nearby: re.Pattern[str] | None = None
    rank: int = 0
    hazards: tuple[str, ...] = ()
    threads: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Plain values for `--json`; patterns as they are written."""
        patterns = {name: getattr(self, name) for name in PATTERNS}
        return {
            "class": self.kind.value,
            "do": self.do,
            "id": self.id,
            "title": self.title,
            "why": self.why,
            **{name: None if pattern is None else pattern.pattern for name, pattern in patterns.items()},
            **{name: list(getattr(self, name)) for name in LISTS},
        }

    def score(self, message: Message, failure: Failure) -> int | None:
        """How much of the message the rule names; None where it does not hold."""
        score = self.rank
        if self.codes:
            if message.code not in self.codes:
                return None
            score += 10
        if self.tools:
            if message.tool not in self.tools:
                return None
            score += 2
        for pattern, subject, worth in (
            (self.text, message.text, 20),
            (self.file, _named(message), 20),
            (self.excerpt, message.excerpt, 20),
            (self.nearby, failure.text, 10),
        ):
            if pattern is not None:
                if not pattern.search(subject):
                    return None
                score += worth
        return score


def _named(message: Message) -> str:
    spots = ([message.spot] if message.spot else []) + list(message.chain)
    return "\n".join(spot.file.replace("\\", "/") for spot in spots)


def best(failure: Failure) -> tuple[Rule | None, Message]:
    """The rule that says most about the first error, and the message it speaks of; None where none holds."""
    for message in failure.first:
        ranked = ranking(message, failure)
        if ranked:
            return ranked[0][1], message
    return None, failure.first[0]


def ranking(message: Message, failure: Failure) -> list[tuple[int, Rule]]:
    """The rules that hold, the most specific first."""
    scored = ((rule.score(message, failure), rule) for rule in rulebook().values())
    held = [(score, rule) for score, rule in scored if score is not None]
    return sorted(held, key=lambda item: (-item[0], item[1].id))


@cache
def rulebook() -> Mapping[str, Rule]:
    """Every rule by its id.

    Raises:
        ValueError: a file of rules is wrong: an id given twice, a field missing or unknown, no condition.
    """
    found: dict[str, Rule] = {}
    for rule in _read():
        if rule.id in found:
            raise ValueError(f"the rule {rule.id} is given twice")
        if not (rule.codes or rule.text or rule.file):
            raise ValueError(f"the rule {rule.id} has no condition")
        found[rule.id] = rule
    return found


def _read() -> Iterator[Rule]:
    for file in sorted(FOLDER.glob("*.toml")):
        for name, entry in tomllib.loads(file.read_text("utf-8")).items():
            yield _rule(name, entry)


def _rule(name: str, entry: Mapping[str, Any]) -> Rule:
    fields = dict(entry)
    kind = FailureClass(fields.pop("class"))
    patterns: dict[str, Any] = {key: re.compile(fields.pop(key)) for key in PATTERNS if key in fields}
    lists: dict[str, Any] = {key: tuple(fields.pop(key)) for key in LISTS if key in fields}
    return Rule(id=name, kind=kind, **patterns, **lists, **fields)
