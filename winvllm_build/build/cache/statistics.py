"""What sccache counted, read from its JSON: hits of sub-steps, not of compile requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from winvllm_build.errors import ToolchainError


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """Counters of one server.

    sccache takes an nvcc call apart into sub-steps (CUDA host code, device code, PTX, cubin), each with an
    entry of its own; hits over lookups is the ratio, hits over requests is not.

    Attributes:
        hits: lookups answered, by kind of sub-step.
        misses: lookups that had to be computed, by kind.
        errors: lookups that failed, by kind.
        requests: commands given to it.
        writes: entries written.
        write_errors: entries that could not be written.
    """

    hits: Mapping[str, int] = field(default_factory=dict)
    misses: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    requests: int = 0
    writes: int = 0
    write_errors: int = 0

    @property
    def hit(self) -> int:
        return sum(self.hits.values())

    @property
    def pending(self) -> bool:
        """Whether entries may still be on their way; a read-only cache never writes any."""
        return 0 < self.writes + self.write_errors < sum(self.misses.values())

    @property
    def lookups(self) -> int:
        return self.hit + sum(self.misses.values())

    def summary(self) -> str:
        """`31 of 32 lookups hit for 11 commands`."""
        words = f"{self.hit} of {self.lookups} lookups hit for {self.requests} commands"
        return words + (f", {self.write_errors} could not be written" if self.write_errors else "")

    def as_data(self) -> dict[str, Any]:
        return {
            "errors": dict(self.errors),
            "hits": dict(self.hits),
            "lookups": self.lookups,
            "misses": dict(self.misses),
            "requests": self.requests,
            "write_errors": self.write_errors,
            "writes": self.writes,
        }


def read(text: str) -> Statistics:
    """The counters in what `--show-stats --stats-format json` printed.

    Raises:
        ToolchainError: it is not what this sccache prints.
    """
    try:
        stats = json.loads(text)["stats"]
        return Statistics(
            hits=_by_kind(stats["cache_hits"]),
            misses=_by_kind(stats["cache_misses"]),
            errors=_by_kind(stats["cache_errors"]),
            requests=int(stats["compile_requests"]),
            writes=int(stats["cache_writes"]),
            write_errors=int(stats["cache_write_errors"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise ToolchainError(f"sccache's statistics cannot be read: {error}") from error


def _by_kind(counter: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    return {kind: int(count) for kind, count in sorted(counter["counts"].items()) if count}
