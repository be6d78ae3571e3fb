"""`plan`'s words and refusals, without configuring anything."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from tests import recorded_builds
from winvllm_build.build.engine.edge import Language
from winvllm_build.build.plan import result, sharing
from winvllm_build.build.plan.costs import CostModel
from winvllm_build.build.plan.result import BuildPlan, Planned, Room
from winvllm_build.build.plan.schedule import jobs_of, simulate
from winvllm_build.build.selection import LeftOut
from winvllm_build.cli import main, plan_text

ROOM = Room(slots=2, budget=16 << 30, reason="as asked")


@cache
def plans() -> tuple[BuildPlan, ...]:
    """The recorded builds of v0.33.0 for five lists, reckoned with what comes with the tool."""
    known = CostModel(history=None, compiler="NVIDIA 13.0.88", build_type="Release")
    made = []
    for archs, edges in recorded_builds.recorded("v0.33.0").items():
        planned = tuple(Planned(edge=edge, cost=known.predict(edge), identity=edge.key) for edge in edges)
        jobs = jobs_of(edges, known.predict)
        made.append(
            BuildPlan(
                title=archs, tag="v0.33.0", archs=(archs,), layers=("windows",), selects={},
                build=Path("b"), reused=True,
                edges=planned, pending=len(edges), unbuilt={"_qutlass_C": 6}, room=ROOM, notes=(),
                left_out=(LeftOut(name="_qutlass_C", reason="not to be had"),),
                schedule=simulate(jobs, slots=ROOM.slots, budget=ROOM.budget),
            )
        )  # fmt: skip
    return tuple(made)


def test_five_builds_beside_each_other() -> None:
    found = plans()
    shared = sharing.shared(found, ROOM)
    assert (shared.all_edges.cuda, shared.commands.cuda, shared.distinct.cuda) == (821, 524, 524)
    assert sum(shared.shared_by.values()) == shared.distinct.cuda + shared.distinct.cxx
    assert sum(number * many for number, many in shared.shared_by.items()) == 821 + shared.all_edges.cxx
    apart = sum(plan.schedule.makespan for plan in found)
    assert shared.schedule.bound <= shared.schedule.makespan < 0.7 * apart


def test_a_command_that_reads_another_generated_header_is_compiled_again() -> None:
    one, other = plans()[1:3]
    marlin = next(p for p in other.edges if p.edge.source.endswith("marlin/marlin.cu"))
    edges = tuple(replace(p, identity="another") if p is marlin else p for p in other.edges)
    before, after = (sharing.shared([one, plan], ROOM) for plan in (other, replace(other, edges=edges)))
    assert after.commands == before.commands
    assert after.distinct.cuda == before.distinct.cuda + (marlin.identity in {p.identity for p in one.edges})


def test_counts_by_device_code_and_target_agree_with_the_whole() -> None:
    plan = plans()[2]
    total = plan.total
    assert total == result.count(plan.edges)
    assert sum(count.edges for count in plan.targets.values()) == total.edges == 176
    assert sum(count.cuda for count in plan.codes.values()) >= total.cuda
    assert list(plan.codes) == sorted(plan.codes)
    assert sum(plan.bases.values()) == total.edges


def test_the_text_says_it_all(capsys: pytest.CaptureFixture[str]) -> None:
    found = plans()
    plan_text.show(found[2], with_edges=True)
    plan_text.compare(found, sharing.shared(found, ROOM))
    text = capsys.readouterr().out
    for words in (
        "176 edges: 159 CUDA objects with 270 device passes, 10 C++ objects, 7 links; none done",
        "left out  _qutlass_C (6 objects): not to be had",
        "as recorded with the tool",
        "<tree>/csrc/quantization/w8a8/cutlass/scaled_mm_c2x.cu",
        "together  821 CUDA and 54 C++ objects; 524 and 18 distinct commands; 524 and 18 to compile",
        "by one build alone",
        "of work (",
    ):
        assert words in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_links_of_every_build_are_scheduled_and_wait_for_their_objects() -> None:
    found = plans()[:2]
    shared = sharing.shared(found, ROOM)
    ends = {span.job.name: span.end for span in shared.schedule.spans}
    links = [span for span in shared.schedule.spans if span.job.after]
    assert len(links) == shared.links == sum(
        1 for plan in found for one in plan.edges if one.edge.language is Language.LINK
    )  # fmt: skip
    assert all(span.start >= max(ends[name] for name in span.job.after) for span in links)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--arch", "8.6", "--arch-list", "8.9"], "use one of the two"),
        (["--slots", "0"], "slots"),
        (["--arch-list", "nonsense"], "nonsense"),
        (["--profile", "nothing of that name"], "nothing of that name"),
        (["--cuda-home", "no-toolkit"], "(cuda.home): "),
        (["--python", "a\nb"], "(python.executable): "),
    ],
)
def test_what_cannot_be_planned_is_refused(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.run(["plan", *arguments]) in {2, 6}
    assert words in capsys.readouterr().err
