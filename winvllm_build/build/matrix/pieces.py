"""The pieces of planned builds, with costs on which every machine agrees."""

from __future__ import annotations

import codecs
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from winvllm_build.build.engine.edge import Language
from winvllm_build.build.matrix.shares import Piece
from winvllm_build.build.plan import setting
from winvllm_build.build.plan.costs import CostModel
from winvllm_build.build.plan.result import BuildPlan
from winvllm_build.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What decides which edges a build has; `selects` are keys of `[build]` with their names, sorted."""

    tag: str
    archs: tuple[str, ...]
    layers: tuple[str, ...]
    selects: tuple[tuple[str, tuple[str, ...]], ...]

    @classmethod
    def of(
        cls, tag: str, archs: Sequence[str], layers: Sequence[str], selects: Mapping[str, Sequence[str]]
    ) -> Asked:
        listed = tuple(sorted((key, tuple(names)) for key, names in selects.items()))
        return cls(tag=tag, archs=tuple(archs), layers=tuple(layers), selects=listed)

    def __str__(self) -> str:
        words = [f"{self.tag} for {';'.join(self.archs)} ({' + '.join(self.layers)})"]
        return ", ".join([*words, *(f"{key} {' '.join(names)}" for key, names in self.selects if names)])


def of(plans: Sequence[BuildPlan]) -> tuple[Piece, ...]:
    """Every compile edge of several builds, those of the first build first.

    Costs come from figures recorded with the tool: what one machine measured would deal other shares there.
    """
    return tuple(piece for number, plan in enumerate(plans) for piece in _of_one(plan, number))


def _of_one(plan: BuildPlan, number: int) -> list[Piece]:
    here = setting.read(plan.build)
    model = CostModel(history=None, compiler=here.compiler, build_type=here.build_type)
    found = []
    for one in plan.edges:
        if one.edge.language is Language.LINK:
            continue
        cost = model.predict(one.edge)
        found.append(
            Piece(
                identity=one.identity,
                build=number,
                output=one.edge.output,
                name=" ".join((one.edge.source, *one.edge.gencodes)),
                seconds=cost.seconds,
                memory=cost.memory,
                size=cost.size,
            )
        )
    return found


def from_plan(content: bytes) -> dict[Asked, tuple[Piece, ...]]:
    """The compile edges in what `plan --edges --json` printed, by what their build is of.

    Args:
        content: UTF-8, or what a shell's `>` makes of it: UTF-16 or UTF-32, a byte order mark before it.

    Raises:
        UsageError: it is no such plan, or one without edges.
    """
    try:
        builds = json.loads(content.removeprefix(codecs.BOM_UTF8))["builds"]
        return {
            Asked.of(build["tag"], build["archs"], build["layers"], build["selects"]): tuple(
                _recorded(edge, number) for edge in build["edges"] if edge["language"] != Language.LINK.value
            )
            for number, build in enumerate(builds)
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"this is no plan with edges: {error!r}", fix="winvllm-build plan --edges --json > plan.json"
        ) from error


def _recorded(edge: Mapping[str, Any], build: int) -> Piece:
    return Piece(
        identity=str(edge["identity"]),
        build=build,
        output=str(edge["output"]),
        name=" ".join((edge["source"], *edge["codes"])),
        seconds=float(edge["seconds"]),
        memory=int(edge["memory_bytes"]),
        size=int(edge["bytes"]),
    )
