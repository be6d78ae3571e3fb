"""What a build was asked for and what it made, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from winvllm_build.build.ninja import FailedEdge
from winvllm_build.build.selection import LeftOut
from winvllm_build.build.wheel import Wheel


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """The end of a build.

    Attributes:
        tag: the vLLM tag.
        source: what was taken and from where, in words.
        tree: the patched tree.
        build: the build folder.
        toolchain: names and versions of what compiled it.
        patches: number of patched files.
        layers: the layers of patches that are in, the required one first.
        artifacts: files made (extensions and single objects), with their size in bytes.
        left_out: targets not built, with the reason.
        edges: edges that ran in this run.
        total: edges this selection consists of.
        failed: edges that failed (only with keep-going; else an error is raised).
        seconds: wall time of each step.
        jobs: edges at a time, and why so many.
        wheel: the packed wheel, if one was asked for.
        loadable: whether the extensions can be loaded, or only prove that everything compiles and links.
        notes: limits of this result that a reader must know.
        messages: what was told on the way: what was taken, what was not, and why.
        cache: what a compiler cache did, as plain values; None without one.
    """

    tag: str
    source: str
    tree: Path
    build: Path
    toolchain: Mapping[str, str]
    patches: int
    layers: tuple[str, ...]
    artifacts: Mapping[str, int]
    left_out: tuple[LeftOut, ...]
    edges: int
    total: int
    failed: tuple[FailedEdge, ...]
    seconds: Mapping[str, float]
    jobs: str
    wheel: Wheel | None
    loadable: bool
    notes: tuple[str, ...]
    messages: tuple[str, ...]
    cache: Mapping[str, Any] | None = None

    def as_data(self) -> dict[str, Any]:
        """Plain values for `--json`; paths as text, seconds rounded to milliseconds."""
        return {
            "artifacts": dict(self.artifacts),
            "build": str(self.build),
            "cache": None if self.cache is None else dict(self.cache),
            "edges": {"ran": self.edges, "total": self.total},
            "failed": [
                {"error": f.first_error, "log": str(f.log), "outputs": list(f.outputs)} for f in self.failed
            ],
            "jobs": self.jobs,
            "layers": list(self.layers),
            "left_out": {o.name: o.reason for o in self.left_out},
            "loadable": self.loadable,
            "messages": list(self.messages),
            "notes": list(self.notes),
            "patches": self.patches,
            "seconds": {k: round(v, 3) for k, v in self.seconds.items()},
            "source": self.source,
            "tag": self.tag,
            "toolchain": dict(self.toolchain),
            "tree": str(self.tree),
            "wheel": None
            if self.wheel is None
            else {
                "extensions": list(self.wheel.extensions),
                "path": str(self.wheel.path),
                "size": self.wheel.size,
                "version": self.wheel.version,
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """What a build would do: the configured selection and its pending edges."""

    tag: str
    tree: Path
    layers: tuple[str, ...]
    build: Path
    ninja_targets: tuple[str, ...]
    pending: tuple[str, ...]
    total: int
    left_out: tuple[LeftOut, ...]
    jobs: str

    def as_data(self) -> dict[str, Any]:
        return {
            "build": str(self.build),
            "jobs": self.jobs,
            "layers": list(self.layers),
            "left_out": {o.name: o.reason for o in self.left_out},
            "pending": list(self.pending),
            "tag": self.tag,
            "total": self.total,
            "tree": str(self.tree),
        }
