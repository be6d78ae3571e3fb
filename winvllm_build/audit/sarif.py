"""A scan as SARIF 2.1.0, the format that code hosts and editors show findings from."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import quote

from typing_extensions import assert_never

from winvllm_build.audit.coverage import Coverage, Place
from winvllm_build.audit.hazard import Hazard, Severity, catalogue
from winvllm_build.audit.hit import Blind, Found, Hit, State
from winvllm_build.audit.newsince import Since
from winvllm_build.review.suppressions import Fault, plain

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
VERSION: Final = "2.1.0"
PAGE: Final = "https://github.com/winvllm-build/winvllm-build/tree/main/docs"
BASE: Final = "SOURCE"
"""Every path is relative to the scanned tree; who reads the file knows where that lies."""
FINGERPRINT: Final = "hazardTextOccurrence/v1"


def log(
    *, found: Found, coverage: Coverage, since: Since | None, version: str, guarded: bool
) -> dict[str, Any]:
    """The whole log.

    Args:
        found: what the scanners said: files they could not follow become notifications.
        coverage: the places to tell.
        since: the comparison with an older tree, for the state of each place against it.
        version: of this tool.
        guarded: places that Windows does not get to see, too.
    """
    rules = [hazard for hazard in catalogue().values() if hazard.samples or _is_used(hazard, coverage, since)]
    index = {hazard.id: number for number, hazard in enumerate(rules)}
    places = [place for place in coverage.places if guarded or place.hit.state is State.LIVE]
    results = [*_results(places, since), *_absent(since)]
    for result in results:
        result["ruleIndex"] = index[result["ruleId"]]
    driver = {
        "name": "winvllm-build scan", "version": version, "informationUri": PAGE,
        "rules": [_rule(hazard) for hazard in rules],
    }  # fmt: skip
    notices = [*(_blind(blind) for blind in found.blind), *(_fault(fault) for fault in coverage.faults)]
    run = {
        "tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results,
        "originalUriBaseIds": {BASE: {"description": {"text": "The top folder of vLLM's source."}}},
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": notices}],
    }  # fmt: skip
    return {"$schema": SCHEMA, "version": VERSION, "runs": [run]}


def fingerprints(hits: Sequence[Hit]) -> list[str]:
    """For each hit a value that stays while lines move: hazard, file, text, and which of several alike."""
    seen: Counter[tuple[str, str, str]] = Counter()
    made: dict[int, str] = {}
    for number, hit in sorted(enumerate(hits), key=lambda item: (item[1].path, item[1].line)):
        key = hit.hazard, hit.path, plain(hit.text)
        words = "\0".join((*key, str(seen[key])))
        seen[key] += 1
        made[number] = hashlib.sha256(words.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return [made[number] for number in range(len(hits))]


def uri(path: str) -> str:
    """A path as the relative reference that RFC 3986 wants: nothing in it is taken for a scheme."""
    return quote(path.encode("utf-8", "surrogateescape"))


def _is_used(hazard: Hazard, coverage: Coverage, since: Since | None) -> bool:
    gone = since.gone if since is not None else ()
    return any(hit.hazard == hazard.id for hit in (*(place.hit for place in coverage.places), *gone))


def _rule(hazard: Hazard) -> dict[str, Any]:
    text = f"{hazard.why}\n\nShows as: {hazard.shows}\n\nFix: {hazard.fix}"
    return {
        "id": hazard.id, "name": _name(hazard.title), "shortDescription": {"text": hazard.title},
        "fullDescription": {"text": hazard.why}, "help": {"text": text, "markdown": _markdown(hazard)},
        "helpUri": f"{PAGE}/hazards/{hazard.id}.md",
        "defaultConfiguration": {"level": level(hazard.severity)},
        "properties": {"severity": hazard.severity.value, "source": hazard.source},
    }  # fmt: skip


def _name(title: str) -> str:
    """A title in one word, as rule names are."""
    words = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in title).split()
    return "".join(word[:1].upper() + word[1:] for word in words)


def _markdown(hazard: Hazard) -> str:
    parts = [f"**{hazard.title}**", hazard.why, f"Shows as: {hazard.shows}", f"Fix: {hazard.fix}"]
    for sample in hazard.samples[:1]:
        parts += [f"Bad:\n\n```\n{sample.bad.strip()}\n```", f"Good:\n\n```\n{sample.good.strip()}\n```"]
    return "\n\n".join(parts)


def level(severity: Severity) -> str:
    """A severity in SARIF's words."""
    match severity:
        case Severity.COMPILE:
            return "error"
        case Severity.RUNTIME:
            return "warning"
        case Severity.ADVISORY:
            return "note"
        case _:
            assert_never(severity)


def _results(places: Sequence[Place], since: Since | None) -> Iterator[dict[str, Any]]:
    fresh = Counter(place.hit for place in since.fresh) if since else Counter()
    moved = Counter(pair.new for pair in since.moved) if since else Counter()
    prints = fingerprints([place.hit for place in places])
    for place, fingerprint in zip(places, prints, strict=True):
        made = _result(place.hit, fingerprint)
        if place.suppression is not None:
            entry = {"kind": "external", "status": "accepted", "justification": place.suppression.reason}
            made["suppressions"] = [entry]
        if since is not None and place.is_left:
            made["baselineState"] = _baseline(place.hit, fresh, moved)
        yield made


def _baseline(hit: Hit, fresh: Counter[Hit], moved: Counter[Hit]) -> str:
    for word, counts in (("new", fresh), ("updated", moved)):
        if counts[hit] > 0:
            counts[hit] -= 1
            return word
    return "unchanged"


def _absent(since: Since | None) -> Iterator[dict[str, Any]]:
    """What the older tree had and this one has not."""
    gone = since.gone if since is not None else ()
    for hit, fingerprint in zip(gone, fingerprints(gone), strict=True):
        yield {**_result(hit, fingerprint), "baselineState": "absent"}


def _result(hit: Hit, fingerprint: str) -> dict[str, Any]:
    hazard = catalogue()[hit.hazard]
    made: dict[str, Any] = {
        "ruleId": hit.hazard,
        "message": {"text": f"{hazard.title}: {hit.detail or hit.text or hit.rule}. {hazard.fix}"},
        "locations": [_location(hit.path, hit.line, hit.text)],
        "partialFingerprints": {FINGERPRINT: fingerprint},
        "properties": {"rule": hit.rule, "state": hit.state.value, "reach": hit.reach.value},
    }
    match hit.state:
        case State.LIVE:
            made |= {"kind": "fail", "level": level(hazard.severity)}
        case State.GUARDED:
            made |= {"kind": "pass", "level": "none"}
        case State.DEAD:
            made |= {"kind": "notApplicable", "level": "none"}
        case _:
            assert_never(hit.state)
    return made


def _location(path: str, line: int = 0, text: str = "") -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": uri(path), "uriBaseId": BASE}}
    if line > 0:
        place["region"] = {"startLine": line} | ({"snippet": {"text": text}} if text else {})
    return {"physicalLocation": place}


def _blind(blind: Blind) -> dict[str, Any]:
    part = f" in {blind.lines} lines" if blind.lines else ""
    return {
        "level": "warning", "message": {"text": f"rules that need a parser saw nothing{part}: {blind.why}"},
        "locations": [_location(blind.path)],
    }  # fmt: skip


def _fault(fault: Fault) -> dict[str, Any]:
    return {"level": "error", "message": {"text": f"{fault.file.name}:{fault.line}: {fault.message}"}}
