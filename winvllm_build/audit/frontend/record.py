"""A result as data: for `--json`, and for the table that is kept with the tests."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from winvllm_build.audit.frontend import explain
from winvllm_build.audit.frontend.audit import Judged, Result
from winvllm_build.audit.frontend.outcome import Outcome, Side, Verdict


def as_data(result: Result) -> dict[str, Any]:
    """Everything, with what sums it up first."""
    return {
        "tag": result.tag,
        **({"layers": list(result.layers)} if result.layers else {}),
        "archs": list(result.archs),
        "tools": dict(result.tools),
        "summary": {
            side.value: {verdict.value: len(result.having(verdict, side)) for verdict in Verdict}
            for side in Side
            if any(one.side is side for one in result.judged)
        },
        "left_out": result.left_out,
        "units": [unit_data(one) for one in result.judged],
    }


def unit_data(one: Judged) -> dict[str, Any]:
    """One unit; `hazards` are the ids of the catalogue that explain its errors."""
    return {
        "path": one.unit.path,
        "target": one.unit.target,
        "side": one.side.value,
        "generated": one.unit.generated,
        "verdict": one.verdict.value,
        "hazards": list(hazards(one)),
        "passes": [_pass(outcome) for outcome in one.outcomes],
    }


def hazards(one: Judged) -> tuple[str, ...]:
    """What explains the errors of all passes, and what the text for cl.exe shows."""
    said = [message for outcome in one.outcomes for message in (*outcome.messages, *outcome.lint)]
    return explain.hazards(said)


def _pass(outcome: Outcome) -> dict[str, Any]:
    data: dict[str, Any] = {
        "kind": outcome.kind.value,
        "verdict": outcome.verdict.value,
        "cpu_seconds": outcome.cpu,
        "peak_megabytes": round(outcome.peak / 1e6),
        "text": outcome.text[:12],
    }
    if outcome.errors:
        data["errors"] = outcome.errors
    for name, listed in (("messages", outcome.messages), ("lint", outcome.lint)):
        if listed:
            data[name] = [{key: value for key, value in asdict(one).items() if value} for one in listed]
    return data
