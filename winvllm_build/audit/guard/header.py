"""The field `Guard` of a patch's header, and whether it agrees with what was found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from winvllm_build.audit.guard.judgement import Ground, Judgement, Verdict
from winvllm_build.patchset.diff import Change

GUARDED: Final = "guarded"
NEUTRAL: Final = "neutral"
BOTH: Final = "guarded + neutral"
NEW: Final = "new file"
KINDS: Final = (GUARDED, NEUTRAL, BOTH, NEW)


@dataclass(frozen=True, slots=True)
class Stated:
    """What the header says: one of `KINDS`, or something else, and the reason behind ` - `."""

    kind: str
    reason: str


def read(field: str | None) -> Stated:
    kind, _, reason = f"{' '.join((field or '').split())} ".partition(" - ")
    return Stated(kind.strip(), reason.strip())


def compared(found: Judgement) -> Judgement:
    """The judgement with what the header says against it, and the line to write instead."""
    stated = read(found.guard)
    said = _against(stated, found)
    if not said:
        return found
    return replace(found, disagreement=said, fix=found.fix or f"write `{line_for(found)}` in the header")


def _against(stated: Stated, found: Judgement) -> str:
    if not stated.kind:
        return "the header has no field Guard"
    if stated.kind not in KINDS:
        return f"`Guard: {stated.kind}` is none of: {', '.join(KINDS)}"
    if stated.kind in (NEUTRAL, BOTH) and not stated.reason:
        return f"`Guard: {stated.kind}` gives no reason"
    agrees, seen = True, "no difference"
    match found.verdict:
        case Verdict.CHANGED:
            pass
        case Verdict.IDENTICAL:
            agrees = stated.kind == GUARDED or (stated.kind == NEW and found.change is Change.ADDED)
        case Verdict.NEUTRAL:
            agrees = stated.kind in (NEUTRAL, BOTH)
            seen = "a difference"
    return "" if agrees else f"the header says {stated.kind!r}, and Linux sees {seen}"


def line_for(found: Judgement) -> str:
    """The field that agrees with the verdict."""
    if found.verdict is not Verdict.NEUTRAL:
        alone = found.change is Change.ADDED
        return f"Guard: {NEW} - only used on Windows" if alone else f"Guard: {GUARDED}"
    kinds: dict[Ground, list[str]] = {}
    for ground in found.grounds:
        kinds.setdefault(ground.ground, []).append(ground.detail)
    reasons = [_reason(kind, details) for kind, details in kinds.items()]
    return f"Guard: {BOTH} - {'; '.join(reasons)}"


def _reason(kind: Ground, details: list[str]) -> str:
    told = ", ".join(dict.fromkeys(detail for detail in details if detail))
    return f"{kind.value}: {told}" if told else kind.value
