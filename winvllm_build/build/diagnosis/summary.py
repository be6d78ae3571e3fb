"""The end of a build that failed: what failed, of which class, and what to do, in few lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.build.diagnosis.finding import Finding, findings
from winvllm_build.errors import ConfigureError, PackError

SHOWN: Final = 5
LONGEST: Final = 300
"""Letters of an error's text that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The failures that one rule explains; unknown ones are apart by their error."""

    findings: tuple[Finding, ...]

    @property
    def first(self) -> Finding:
        return self.findings[0]

    @property
    def outputs(self) -> tuple[str, ...]:
        return tuple(" ".join(finding.failure.outputs) for finding in self.findings)


def grouped(found: Sequence[Finding]) -> tuple[Group, ...]:
    """Failures with the same cause together, in the order in which each was first met."""
    groups: dict[str, list[Finding]] = {}
    for finding in found:
        named = finding.rule.id if finding.rule else f"{finding.message.code} {finding.message.text}"
        groups.setdefault(named, []).append(finding)
    return tuple(Group(findings=tuple(members)) for members in groups.values())


def lines(found: Sequence[Finding]) -> list[str]:
    """A few lines for each cause: what failed, the first error, class and hazards, the patch, the log."""
    said: list[str] = []
    for group in grouped(found):
        names = ", ".join(group.outputs[:SHOWN]) + (" ..." if len(group.outputs) > SHOWN else "")
        count = f"{len(group.outputs)} edges failed: " if len(group.outputs) > 1 else ""
        head = [f"{count}{names}"] if names else []
        said += [*head, *_about(group.first)]
    return said


def _about(finding: Finding) -> list[str]:
    said = [f"  first error: {shortened(finding)}"]
    hazards = f" ({', '.join(finding.hazards)})" if finding.hazards else ""
    said.append(f"  {finding.kind.value}: {finding.title}{hazards}")
    for touching in finding.place.patches[:1] if finding.place else ():
        where = "touches this line" if touching.covers else "touches this file"
        said.append(f"  {touching.tag}/{touching.patch} {where}: {touching.subject}")
    if finding.log is not None:
        said.append(f"  log: {finding.log}")
    return said


def shortened(finding: Finding) -> str:
    """The first error with its place as the tree names it."""
    message, place = finding.message, finding.place
    spot = f"{place.path}:{place.line}" if place and place.line else str(message.spot or "")
    code = f"{message.code}: " if message.code else ""
    text = message.text if len(message.text) <= LONGEST else message.text[:LONGEST] + " ..."
    return f"{spot}: {code}{text}" if spot else f"{code}{text}"


def configure_error(source: Path, code: int, text: str, log: Path) -> ConfigureError:
    """What a configure step that failed ends with."""
    found = findings(text, tree=source, log=log)
    said = "\n".join(lines(found)) if found else f"no error was printed\nlog: {log}"
    todo = found[0].do if found else "read the log"
    return ConfigureError(f"CMake could not configure {source} (exit {code}):\n{said}", fix=todo)


def step_error(what: str, code: int, output: Sequence[str], log: Path) -> PackError:
    """What a step of packing ends with: its first error, or its last line where no error can be told."""
    found = findings("\n".join(output), log=log)
    if found and found[0].message.text:
        return PackError(f"{what} failed (exit {code}):\n" + "\n".join(lines(found)), fix=found[0].do)
    last = next((line.strip() for line in reversed(output) if line.strip()), "no output")
    return PackError(f"{what} failed (exit {code}): {last}\nlog: {log}", fix=f"read {log}")
