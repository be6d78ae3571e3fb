"""One share of several builds: their plans made, the share's objects compiled, nothing linked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
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
class Dealt:
    """A share before it is compiled.

    Attributes:
        share: which of how many.
        builds: the configured folder of each build.
        pieces: its distinct compile edges.
        everything: the distinct compile edges of all shares.
    """

    share: Share
    builds: tuple[Path, ...]
    pieces: tuple[Piece, ...]
    everything: tuple[Piece, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the build folders that have some of the share."""
        return tuple(self.builds[number].name for number in sorted({piece.build for piece in self.pieces}))


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


def deal(requests: Sequence[BuildRequest], share: Share, watch: Watcher) -> Dealt:
    """Configure every build, and find the share of what they need together.

    Work that several builds have in common is compiled once, in the first that has it.

    Raises:
        WinvllmError: as `pipeline.run`.
    """
    plans = [planning.plan(request, watch, title="", what_if=WhatIf()) for request in requests]
    everything = pieces.of(plans)
    mine = shares.dealt(everything, share.count)[share.index - 1]
    total = shares.distinct(everything)
    watch(Note(text=f"shard {share}: {len(mine)} of {len(total)} distinct compile edges"))
    return Dealt(share=share, builds=tuple(plan.build for plan in plans), pieces=mine, everything=total)


def run(requests: Sequence[BuildRequest], dealt: Dealt, watch: Watcher) -> ShardResult:
    """Compile a share of the same requests; their folders are as `deal` left them.

    Raises:
        WinvllmError: as `pipeline.run`.
    """
    done = [
        result
        for number, request in enumerate(requests)
        if (outputs := tuple(p.output for p in dealt.pieces if p.build == number))
        and isinstance(
            result := pipeline.run(replace(request, only=outputs, fresh=False), watch), BuildResult
        )
    ]
    return ShardResult(
        share=dealt.share, pieces=dealt.pieces, everything=dealt.everything, builds=tuple(done)
    )
