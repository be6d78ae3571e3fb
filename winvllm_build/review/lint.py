"""`lint`: every rule about the patch set of one tag, from its files alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from winvllm_build.patchset.patchset import tags
from winvllm_build.review import (
    diff_rules,
    hazards,
    header_rules,
    places,
    port_rules,
    set_rules,
    suppressions,
)
from winvllm_build.review.facts import Facts, gather
from winvllm_build.review.fixes import with_fix
from winvllm_build.review.header_rules import Surroundings
from winvllm_build.review.rules import Finding, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What was found, in the order of the files; `patches` is how many were looked at."""

    tag: str
    folder: Path
    patches: int
    findings: tuple[Finding, ...]

    def of(self, severity: Severity) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.rule.severity is severity)

    def is_clean(self, *, strict: bool) -> bool:
        """Whether nothing fails the check; `strict` counts warnings too."""
        return not self.of(Severity.ERROR) and not (strict and self.findings)


def lint(root: Path, tag: str) -> Report:
    """Hold every rule against one patch set; nothing but its own files is read.

    Args:
        root: the folder of all patch sets.
        tag: which one.

    Raises:
        PatchError: there is no patch set of that tag. Whatever is wrong inside one is a finding.
    """
    facts, findings = gather(root, tag)
    known, unknown = hazards.read_list(facts.folder / hazards.FILE)
    around = Surroundings(
        tag=tag, tags=tags(root), hazards=known.states if known else None,
        topics=None if facts.rules is None else tuple(topic.name for topic in facts.rules.topics),
    )  # fmt: skip
    findings += unknown
    findings += _of_files(facts, around)
    findings += set_rules.check(facts)
    findings += hazards.check(known, facts.readings) if known else []
    findings += set_rules.dropped(facts)
    findings += port_rules.check(facts)
    findings += suppressions.check(facts)
    return Report(
        tag=tag, folder=facts.folder, patches=len(facts.readings),
        findings=tuple(sorted((with_fix(facts, finding) for finding in findings), key=_order)),
    )  # fmt: skip


def _of_files(facts: Facts, around: Surroundings) -> Iterator[Finding]:
    yield from places.check(facts.folder, facts.readings)
    for reading in facts.readings:
        if not reading.is_unread:
            yield from header_rules.check(reading, around)
            yield from diff_rules.check(reading)


def _order(finding: Finding) -> tuple[str, int, str, str]:
    return str(finding.file), finding.line or 0, finding.rule.id, finding.message
