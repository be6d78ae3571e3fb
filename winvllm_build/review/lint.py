"""`lint`: every rule about the patch set of one tag, from its files alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from winvllm_build.errors import PatchError
from winvllm_build.patchset import lock, manifest
from winvllm_build.patchset.patchset import MAIN_TARGET, Place, manifest_of, tags
from winvllm_build.review import diff_rules, hazards, header_rules, places, port_rules, set_rules
from winvllm_build.review.fixes import with_fix
from winvllm_build.review.header_rules import Surroundings
from winvllm_build.review.places import Known
from winvllm_build.review.reading import Reading, read
from winvllm_build.review.rules import Finding, Rule, Severity, found
from winvllm_build.review.set_rules import Facts
from winvllm_build.sources.pins import Pins, read_pins


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
    folder = manifest_of(root, tag).parent
    rules, pins, unreadable = _manifest(folder)
    locked, damaged = set_rules.read_lock(folder / lock.FILE)
    layers = None if rules is None else tuple(layer.name for layer in rules.layers)
    targets = None if pins is None else (MAIN_TARGET, *(pin.name for pin in pins.dependencies))
    there = places.search(folder, Known(layers=layers, targets=targets))
    readings = [read(place, _sha256(locked, place)) for place in there.places]
    facts = Facts(folder=folder, rules=rules, pins=pins, locked=locked, readings=readings)
    known, unknown = hazards.read_list(folder / hazards.FILE)
    around = Surroundings(
        tag=tag, tags=tags(root), hazards=known.states if known else None,
        topics=None if rules is None else tuple(topic.name for topic in rules.topics),
    )  # fmt: skip
    findings = [*unreadable, *damaged, *unknown, *there.findings]
    findings += _of_files(folder, readings, around)
    findings += set_rules.check(facts)
    findings += hazards.check(known, readings) if known else []
    findings += set_rules.dropped(facts)
    findings += port_rules.check(facts)
    return Report(
        tag=tag, folder=folder, patches=len(readings),
        findings=tuple(sorted((with_fix(facts, finding) for finding in findings), key=_order)),
    )  # fmt: skip


def _of_files(folder: Path, readings: list[Reading], around: Surroundings) -> Iterator[Finding]:
    yield from places.check(folder, readings)
    for reading in readings:
        yield from reading.findings
        if not reading.is_unread:
            yield from header_rules.check(reading, around)
            yield from diff_rules.check(reading)


def _manifest(folder: Path) -> tuple[manifest.Manifest | None, Pins | None, list[Finding]]:
    """Both readings of `patchset.toml`; each fault once."""
    file = folder / manifest.FILE
    rules: manifest.Manifest | None = None
    pins: Pins | None = None
    messages: list[str] = []
    try:
        rules = manifest.read(file)
    except (PatchError, OSError, RecursionError) as error:
        messages += str(getattr(error, "message", error)).splitlines()
    try:
        pins = read_pins(file)
    except (PatchError, OSError, RecursionError) as error:
        messages += str(getattr(error, "message", error)).splitlines()
    if pins is not None and pins.upstream.tag != folder.name:
        messages.append(f"it is for {pins.upstream.tag}, not for {folder.name}")
    plain = [message.removeprefix(f"{file}: ").removeprefix(f"{file} ") for message in messages]
    return rules, pins, [found(Rule.MANIFEST, file, message) for message in dict.fromkeys(plain)]


def _sha256(locked: lock.Lock | None, place: Place) -> str | None:
    target = locked.targets.get(place.target) if locked else None
    entry = target.of(place.layer).get(place.path) if target else None
    return entry.sha256 if entry else None


def _order(finding: Finding) -> tuple[str, int, str, str]:
    return str(finding.file), finding.line or 0, finding.rule.id, finding.message
