"""A failure with everything that is known of it: the first error, its rule, its place, what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from winvllm_build.build.diagnosis import rule as rules
from winvllm_build.build.diagnosis.log import Failure, failures
from winvllm_build.build.diagnosis.message import Message, Spot
from winvllm_build.build.diagnosis.place import Place, place_of
from winvllm_build.build.diagnosis.rule import FailureClass, Rule
from winvllm_build.patchset.patchset import PatchSet

UNKNOWN_TITLE: Final = "no rule knows this error"
UNKNOWN_DO: Final = (
    "read the first error above and what the log has before it; docs/diagnosis.md lists what is known"
)
CHAIN_ENDS: Final = 2
"""Places of a chain of instantiations that are shown: where it starts and where it ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a failure is.

    Attributes:
        failure: the part of the log.
        message: the first error.
        rule: the rule that holds; None for an error that no rule knows.
        place: the file of the sources, if it is one.
        log: the file that was read; None for standard input.
    """

    failure: Failure
    message: Message
    rule: Rule | None
    place: Place | None
    log: Path | None = None

    @property
    def kind(self) -> FailureClass:
        return FailureClass.UNKNOWN if self.rule is None else self.rule.kind

    @property
    def title(self) -> str:
        return UNKNOWN_TITLE if self.rule is None else self.rule.title

    @property
    def do(self) -> str:
        return UNKNOWN_DO if self.rule is None else self.rule.do

    @property
    def why(self) -> str:
        return "" if self.rule is None else self.rule.why

    @property
    def hazards(self) -> tuple[str, ...]:
        """Those of the rule, then those that a patch of the very line names."""
        of_rule = () if self.rule is None else self.rule.hazards
        patches = () if self.place is None else self.place.patches
        of_patch = [hazard for patch in patches if patch.covers for hazard in patch.hazards]
        return tuple(dict.fromkeys((*of_rule, *of_patch)))

    @property
    def through(self) -> tuple[Spot, ...]:
        """Where the chain of instantiations starts and ends."""
        chain = self.message.chain
        return chain if len(chain) <= CHAIN_ENDS else (chain[0], chain[-1])

    def as_data(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        message, place = self.message, self.place
        return {
            "class": self.kind.value,
            "code": message.code,
            "command": self.failure.command,
            "do": self.do,
            "error": message.text,
            "file": None if message.spot is None else message.spot.file,
            "hazards": list(self.hazards),
            "line": None if message.spot is None else message.spot.line or None,
            "log": None if self.log is None else str(self.log),
            "log_line": message.at or None,
            "other_errors": self.failure.others,
            "outputs": list(self.failure.outputs),
            "patches": [] if place is None else [_patch(place, at) for at in range(len(place.patches))],
            "path": None if place is None else place.path,
            "rule": None if self.rule is None else self.rule.id,
            "through": [str(spot) for spot in message.chain],
            "title": self.title,
            "tool": message.tool,
            "why": self.why,
        }


def _patch(place: Place, at: int) -> dict[str, Any]:
    touching = place.patches[at]
    return {
        "covers": touching.covers,
        "hazards": list(touching.hazards),
        "hunk": touching.hunk,
        "patch": touching.patch,
        "subject": touching.subject,
        "tag": touching.tag,
    }


def findings(
    content: bytes | str, *, tree: Path | None = None, sets: Sequence[PatchSet] = (), log: Path | None = None
) -> tuple[Finding, ...]:
    """What failed according to a log.

    Args:
        content: the log, bytes in any code page.
        tree: the patched tree, where it is on this machine.
        sets: patch sets to look for the file in, the most likely first.
        log: the file that `content` is from.
    """
    found = []
    for failure in failures(content):
        rule, message = rules.best(failure)
        place = place_of(message, tree=tree, sets=sets)
        found.append(Finding(failure=failure, message=message, rule=rule, place=place, log=log))
    return tuple(found)
