"""One share of several builds: their plans made, the share's objects compiled, nothing linked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from winvllm_build.build import pipeline
from winvllm_build.build.events import Note, Watcher
from winvllm_build.build.matrix import pieces, shares
from winvllm_build.build.matrix.shares import Piece, Share
from winvllm_build.build.pipeline import BuildRequest
from winvllm_build.build.plan import planning
from winvllm_build.build.plan.planning import WhatIf
from winvllm_build.build.result import BuildResult


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardResult:
    """A share that was compiled.

    Attributes:
        share: which of how many.
        pieces: its distinct compile edges.
        everything: the distinct compile edges of all shares.
        builds: for each build folder that has some of them, what was done there.
    """

    share: Share
    pieces: tuple[Piece, ...]
    everything: tuple[Piece, ...]
    builds: tuple[BuildResult, ...]

    @property
    def failed(self) -> bool:
        return any(one.failed for one in self.builds)

    def as_data(self) -> dict[str, Any]:
        return {
            "all_edges": len(self.everything),
            "all_seconds": round(sum(p.seconds for p in self.everything), 1),
            "builds": [one.as_data() for one in self.builds],
            "edges": len(self.pieces),
            "seconds": round(sum(p.seconds for p in self.pieces), 1),
            "shard": str(self.share),
        }


def run(requests: Sequence[BuildRequest], share: Share, watch: Watcher) -> ShardResult:
    """Configure every build, and compile the share of what they need together.

    Work that several builds have in common is compiled once, in the first that has it.

    Raises:
        WinvllmError: as `pipeline.run`.
    """
    plans = [planning.plan(request, watch, title="", what_if=WhatIf()) for request in requests]
    everything = pieces.of(plans)
    mine = shares.dealt(everything, share.count)[share.index - 1]
    total = shares.distinct(everything)
    watch(Note(text=f"shard {share}: {len(mine)} of {len(total)} distinct compile edges"))
    done = [
        result
        for number, request in enumerate(requests)
        if (outputs := tuple(p.output for p in mine if p.build == number))
        and isinstance(result := pipeline.run(replace(request, only=outputs), watch), BuildResult)
    ]
    return ShardResult(share=share, pieces=mine, everything=total, builds=tuple(done))
