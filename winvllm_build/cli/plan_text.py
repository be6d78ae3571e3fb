"""A plan as text: counts by target and device code, predictions with what they stand on, what is shared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from winvllm_build.build.engine.cost import Basis
from winvllm_build.build.plan.result import BuildPlan, Count, Planned, Sharing
from winvllm_build.cli import render

GIB: Final = 1 << 30
WORDS: Final = {
    Basis.MEASURED: "as measured here",
    Basis.SIMILAR: "as the same file was here for other code",
    Basis.RECORDED: "as recorded with the tool",
    Basis.CLASS: "by the class of the file",
}


def show(plan: BuildPlan, *, with_edges: bool) -> None:
    """One build."""
    total = plan.total
    render.out(
        f"vLLM {plan.tag} for {';'.join(plan.archs)} ({' + '.join(plan.layers)}): "
        f"{_many(total.edges, 'edge')}: {_many(total.cuda, 'CUDA object')} with "
        f"{_many(total.passes, 'device pass', 'device passes')}, {_many(total.cxx, 'C++ object')}, "
        f"{_many(total.links, 'link')}; {_pending(plan)}"
    )
    _table(("TARGET", "CUDA", "PASSES", "C++", "LINKS", "WORK"), _counts(plan.targets))
    _table(("DEVICE CODE", "OBJECTS", "WORK"), [(n, str(c.cuda), _time(c)) for n, c in plan.codes.items()])
    for reason, names in _by_reason(plan).items():
        render.out(f"left out  {', '.join(names)}: {reason}")
    for text in plan.notes:
        render.out(f"note      {text}")
    _predicted(plan)
    if with_edges:
        _table(
            ("SECONDS", "MEMORY", "BASIS", "CODES", "TARGET", "FILE"),
            [_edge(one) for one in sorted(plan.edges, key=lambda one: (-one.cost.seconds, one.edge.output))],
        )
    render.out("")


def _predicted(plan: BuildPlan) -> None:
    schedule, room = plan.schedule, plan.room
    budget = f"{room.budget / GIB:.1f} GiB for compilers"
    render.out(
        f"time      {render.duration(schedule.makespan)} from nothing, {room.slots} at a time, {budget} "
        f"({room.reason}); {render.duration(plan.total.seconds)} of work"
    )
    heaviest, longest = plan.heaviest, plan.longest
    if heaviest is not None and longest is not None:
        render.out(
            f"memory    {schedule.peak / GIB:.1f} GiB at the most; {heaviest.cost.memory / GIB:.1f} GiB for "
            f"{_name(heaviest)}"
        )
        render.out(f"longest   {render.duration(longest.cost.seconds)} for {_name(longest)}")
    render.out(f"disk      {render.size(plan.total.size)} of objects and libraries")
    stands_on = ", ".join(f"{number} {WORDS[basis]}" for basis, number in plan.bases.items())
    render.out(f"reckoned  {stands_on}")


def compare(plans: Sequence[BuildPlan], shared: Sharing) -> None:
    """Several builds beside each other."""
    distinct, together = shared.distinct, shared.all_edges
    _table(
        ("BUILD", "EDGES", "CUDA", "PASSES", "C++", "LINKS", "WORK", "ALONE"),
        [
            (
                plan.title, str(c.edges), str(c.cuda), str(c.passes), str(c.cxx), str(c.links), _time(c),
                render.duration(plan.schedule.makespan),
            )
            for plan in plans
            for c in [plan.total]
        ],
    )  # fmt: skip
    commands = shared.commands
    render.out(
        f"together  {together.cuda} CUDA and {together.cxx} C++ objects; {commands.cuda} and {commands.cxx} "
        f"distinct commands; {distinct.cuda} and {distinct.cxx} to compile"
        + ("" if distinct == commands else ", as generated headers differ")
    )
    counted = ", ".join(
        f"{many} by {'one build alone' if number == 1 else f'{number} builds'}"
        for number, many in shared.shared_by.items()
    )
    render.out(f"used      {counted}")
    saved = together.seconds - distinct.seconds
    share = saved / together.seconds if together.seconds else 0.0
    render.out(
        f"saved     {render.duration(saved)} of {render.duration(together.seconds)} of work ({share:.0%}) "
        "when objects are shared"
    )
    apart = sum(plan.schedule.makespan for plan in plans)
    render.out(
        f"time      {render.duration(shared.schedule.makespan)} for all, {shared.room.slots} at a time; "
        f"{render.duration(apart)} one after the other without sharing"
    )


def _pending(plan: BuildPlan) -> str:
    left = plan.pending
    return (
        "nothing is left to do"
        if not left
        else f"{left} left to do"
        if left != plan.total.edges
        else "none done"
    )


def _many(number: int, noun: str, plural: str = "") -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {plural or noun + 's'}"


def _counts(counts: Mapping[str, Count]) -> list[tuple[str, ...]]:
    return [
        (name, str(c.cuda), str(c.passes), str(c.cxx), str(c.links), _time(c)) for name, c in counts.items()
    ]


def _time(counted: Count) -> str:
    return render.duration(counted.seconds)


def _edge(one: Planned) -> tuple[str, ...]:
    return (
        f"{one.cost.seconds:.1f}", f"{one.cost.memory / GIB:.2f} GiB", one.cost.basis.name.lower(),
        " ".join(one.edge.gencodes) or "-", one.edge.target, one.edge.source or one.edge.output,
    )  # fmt: skip


def _name(one: Planned) -> str:
    return PurePosixPath(one.edge.source or one.edge.output).name


def _by_reason(plan: BuildPlan) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for target in plan.left_out:
        many = plan.unbuilt.get(target.name)
        name = target.name if many is None else f"{target.name} ({_many(many, 'object')})"
        found.setdefault(target.reason, []).append(name)
    return found


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """Columns as wide as their widest cell; numbers to the right."""
    lines = [head, *rows]
    if len(lines) == 1:
        return
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    for line in lines:
        cells = [
            cell.rjust(width) if lines[1][at][:1].isdigit() else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        render.out(f"  {'  '.join(cells)}".rstrip())
    render.out("")
