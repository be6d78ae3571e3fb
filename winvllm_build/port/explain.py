"""Which change of upstream broke a patch: the commit where history is at hand, else the first release."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from winvllm_build.errors import SourceError, UsageError
from winvllm_build.git import Git, Oid, RepoPath
from winvllm_build.intake.unpinned import ReleasedTag
from winvllm_build.patchset.diff import Diff
from winvllm_build.patchset.manifest import DEFAULT_LAYER
from winvllm_build.patchset.patchset import MAIN_TARGET, Patch
from winvllm_build.patchset.worktree import scratch_of
from winvllm_build.port import courses as courses_room
from winvllm_build.port.columns import Sources
from winvllm_build.port.courses import Courses
from winvllm_build.port.explanation import Explanation, Turn
from winvllm_build.port.history import History
from winvllm_build.port.locate import Lost, likeness, locate_all
from winvllm_build.port.matrix import Report, Row
from winvllm_build.port.report import Progress, report
from winvllm_build.port.upstream import Met, upstreams_change
from winvllm_build.port.verdict import Kind

NO_FILES: Final = "name a release with a source archive: winvllm-build tags list"


def by_history(
    history: History, patches: Sequence[Patch], asked: Sequence[Patch] | None = None, *,
    on_patch: Callable[[RepoPath], None],
) -> tuple[Explanation, ...]:  # fmt: skip
    """The commits that broke patches.

    Args:
        history: the commits from the old tag to the new one.
        patches: the whole set.
        asked: those to explain, of the required layer; None is those that the new tag leaves open.
        on_patch: told before each.

    Raises:
        UsageError: a patch of another layer, which is not made on upstream's files.
        PatchError: the old tag's files are not those that the patches are made for.
    """
    _refuse_optional(asked or ())
    diffs = {patch.path: patch.content.diff for patch in patches if patch.layer == DEFAULT_LAYER.name}
    courses = Courses(history.git, history.old, diffs, history.trees())
    last = courses.all(courses.last)
    paths = [path for path in diffs if last[path].kind.is_open] if asked is None else [p.path for p in asked]
    made = [
        Explanation(
            layer=DEFAULT_LAYER.name, path=course.path, now=last[course.path],
            turns=tuple(_of_turn(history, courses, course.path, turn) for turn in course.turns),
        )
        for course in courses.follow(paths, on_patch=on_patch)
    ]  # fmt: skip
    return _located(history.git, made, diffs, old=history.old, new=history.new)


def _of_turn(history: History, courses: Courses, path: RepoPath, turn: courses_room.Turn) -> Turn:
    names, trees, at = (history.start, *history.commits), courses.line.trees, turn.at
    met = courses.met(path, at)
    return Turn(
        at=names[at], before=names[at - 1] if at else None, commit=history.commit(names[at]),
        verdict=turn.verdict, halved=turn.halved,
        change=upstreams_change(history.git, trees[at - 1], trees[at], met) if at else (),
    )  # fmt: skip


def by_release(
    sources: Sources, tags: Sequence[ReleasedTag], asked: Sequence[Patch] | None = None, *,
    on_progress: Callable[[Progress], None], jobs: int | None = None,
) -> tuple[Explanation, ...]:  # fmt: skip
    """The releases that broke patches.

    Args:
        sources: the set and where the files come from.
        tags: the releases after the old tag; the last one is the new tag.
        asked: the patches to explain; None is those that the last release leaves open.
        on_progress: told how far it is.
        jobs: how many releases at a time.

    Raises:
        SourceError: the files of the old tag, or of the last release, cannot be had.
    """
    made = report(sources, tags, on_progress=on_progress, jobs=jobs, detailed=True)
    diffs = {(p.layer, p.path): p.content.diff for p in sources.old.of(MAIN_TARGET)}
    wanted = diffs.keys() if asked is None else {(patch.layer, patch.path) for patch in asked}
    rows = [row for row in made.rows if (row.layer, row.path) in wanted]
    last_source = made.columns[-1].source
    if last_source is None:
        raise SourceError(
            f"the files of {tags[-1].tag} cannot be had: {made.columns[-1].missing}",
            fix=NO_FILES,
        )
    old, new = sources.base_for(last_source), last_source.tree
    with scratch_of(last_source.repository / "objects") as git:
        found = [
            _of_row(git, made, row, sources, diffs[row.layer, row.path])
            for row in rows
            if asked is not None or row.verdicts[tags[-1].tag].kind.is_open
        ]
        of_found = {one.path: diffs[one.layer, one.path] for one in found}
        return _located(git, found, of_found, old=old, new=new)


def _of_row(git: Git, made: Report, row: Row, sources: Sources, patch: Diff) -> Explanation:
    """One row of a report as turns."""
    turns: list[Turn] = []
    before: tuple[str, Oid] | None = None
    was_open, unseen, now, place = False, list[str](), None, None
    for column in made.columns:
        now = row.verdicts.get(column.tag, now)
        if column.source is None or column.tag not in row.verdicts:
            unseen.append(column.tag)
            continue
        regions = row.details.get(column.tag, ())
        met = Met(patch=patch, verdict=row.verdicts[column.tag], regions=regions, place=place)
        if met.verdict.kind.is_open != was_open:
            was_open = not was_open
            last, tree_before = before or (made.old, sources.base_for(column.source))
            change = upstreams_change(git, tree_before, column.source.tree, met)
            turns.append(
                Turn(at=column.tag, before=last, verdict=met.verdict, change=change, unseen=tuple(unseen))
            )
        before, unseen, place = (column.tag, column.source.tree), [], met.verdict.to
    if now is None:
        raise SourceError(f"no release up to {made.columns[-1].tag} has files", fix=NO_FILES)
    return Explanation(layer=row.layer, path=row.path, now=now, turns=tuple(turns))


def _located(
    git: Git, made: Sequence[Explanation], diffs: Mapping[RepoPath, Diff], *, old: Oid, new: Oid
) -> tuple[Explanation, ...]:
    """With the places where the code of open patches may be now."""
    lost = {one.path: Lost(diff=diffs[one.path], place=one.now.to) for one in made if one.now.kind.is_open}
    places = locate_all(git, new, lost)
    return tuple(
        replace(
            one, locations=places.get(one.path, ()),
            likeness=likeness(git, one.path, old=old, new=new) if one.now.kind is Kind.DELETED else None,
        )
        for one in made
    )  # fmt: skip


def _refuse_optional(patches: Sequence[Patch]) -> None:
    for patch in patches:
        if patch.layer != DEFAULT_LAYER.name:
            raise UsageError(
                f"{patch.path} is of the layer {patch.layer}, which is made on top of patches: "
                "no commit of upstream alone breaks it",
                fix="leave out --history: then the first release is named",
            )
