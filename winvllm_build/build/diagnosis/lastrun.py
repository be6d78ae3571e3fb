"""What the last run of Ninja in a build folder left: which edges failed, and where their logs are."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.build.ninja import FailedEdge, RunResult
from winvllm_build.workspace import write_atomic

FILE: Final = Path("logs", "last-run.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """An edge that failed: what it should have made, and its log."""

    outputs: tuple[str, ...]
    log: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """A run of Ninja.

    Attributes:
        ended: seconds since the epoch.
        code: ninja's exit code.
        finished: edges that ran.
        total: edges there were to run.
        failed: those that failed, in order.
        tail: ninja's last words, where it failed and no edge did.
    """

    ended: float
    code: int
    finished: int
    total: int
    failed: tuple[Failed, ...]
    tail: tuple[str, ...]


def write(build: Path, ran: RunResult) -> None:
    """Note how a run ended; replaces the note of the run before."""
    data = {
        "ended": time.time(),
        "code": ran.code,
        "finished": ran.finished,
        "total": ran.total,
        "failed": [{"outputs": list(edge.outputs), "log": edge.log.name} for edge in _once(ran.failed)],
        "tail": list(ran.tail) if ran.code else [],
    }
    write_atomic(build / FILE, json.dumps(data, indent=1).encode() + b"\n")


def _once(failed: Sequence[FailedEdge]) -> list[FailedEdge]:
    return list({edge.log: edge for edge in failed}.values())


def read(build: Path) -> LastRun | None:
    """The note of the last run; None where there is none that can be read."""
    try:
        data = json.loads((build / FILE).read_bytes())
        return LastRun(
            ended=float(data["ended"]),
            code=int(data["code"]),
            finished=int(data["finished"]),
            total=int(data["total"]),
            failed=tuple(
                Failed(outputs=tuple(one["outputs"]), log=build / FILE.parent / Path(one["log"]).name)
                for one in data["failed"]
            ),
            tail=tuple(data["tail"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
