"""The pieces of planned builds, with costs on which every machine agrees."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from winvllm_build.build.engine.edge import Language
from winvllm_build.build.matrix.shares import Piece
from winvllm_build.build.plan import setting
from winvllm_build.build.plan.costs import CostModel
from winvllm_build.build.plan.result import BuildPlan
from winvllm_build.errors import UsageError


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


def from_plan(text: str) -> dict[tuple[str, tuple[str, ...]], tuple[Piece, ...]]:
    """The compile edges in what `plan --edges --json` printed, by tag and architectures of their build.

    Raises:
        UsageError: it is no such plan, or one without edges.
    """
    try:
        builds = json.loads(text)["builds"]
        return {
            (build["tag"], tuple(build["archs"])): tuple(
                _recorded(edge, number) for edge in build["edges"] if edge["language"] != Language.LINK.value
            )
            for number, build in enumerate(builds)
        }
    except (ValueError, KeyError, TypeError) as error:
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
