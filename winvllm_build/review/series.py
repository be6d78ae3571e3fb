"""Patches tried one after the other on a tree, file by file; what fails is kept apart, never dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from winvllm_build.errors import PatchError
from winvllm_build.git import RepoPath
from winvllm_build.patchset.header import Header
from winvllm_build.review import foreign
from winvllm_build.review.bench import Bench, File
from winvllm_build.review.canonical import Task, canonical
from winvllm_build.review.fit import Form
from winvllm_build.review.foreign import Section
from winvllm_build.review.foreign_names import strip_level
from winvllm_build.review.import_verdict import FileVerdict, Verdict, worst
from winvllm_build.review.messages import Step
from winvllm_build.review.outcome import Outcome, failed
from winvllm_build.review.settle import settle


@dataclass(slots=True, kw_only=True)
class Trial:
    """What became of a series.

    Attributes:
        bench: the files, with every change that is clean.
        verdicts: one for each section of the patches, in their order.
        headers: of each file, what the patches that change it say.
        rejects: of each file that failed, its sections.
        links: pairs of files that a rename ties together.
    """

    bench: Bench
    verdicts: list[FileVerdict] = field(default_factory=list)
    headers: dict[RepoPath, list[Header | None]] = field(default_factory=dict)
    rejects: dict[RepoPath, list[bytes]] = field(default_factory=dict)
    links: list[tuple[RepoPath, RepoPath]] = field(default_factory=list)

    @property
    def failed(self) -> set[RepoPath]:
        """Every file with a failure, and those tied to one."""
        found = {RepoPath(one.path) for one in self.verdicts if one.verdict is Verdict.FAILED}
        while more := {b for pair in self.links for a, b in (pair, pair[::-1]) if a in found} - found:
            found |= more
        return found


def tried(bench: Bench, steps: Sequence[Step], *, strip: int | None, fuzz: bool) -> Trial:
    """Try every patch of a series.

    Args:
        bench: the tree.
        steps: the patches.
        strip: leading folders of the names to take off; None finds out.
        fuzz: take places and context that are not exactly as the patch says.

    Raises:
        PatchError: a patch without a diff, or git's own `apply` makes something else of it.
    """
    parts = [(step, foreign.read(step.content, where=step.where)) for step in steps]
    sections = [section for _, found in parts for section in found]
    level = _strip(bench, sections) if strip is None else strip
    bench.fetch(path for section in sections for path in section.names.stripped(level) if path is not None)
    trial = Trial(bench=bench)
    for step, found in parts:
        _step(trial, step, found, level, fuzz=fuzz)
    _finish(trial)
    return trial


def _strip(bench: Bench, sections: Sequence[Section]) -> int:
    firsts = {
        name.partition(b"/")[0] for section in sections for name in (section.names.old, section.names.new)
    }
    usual = int(bool(firsts & {b"a", b"b", b"i", b"w", b"c", b"o"}))
    return strip_level([section.names for section in sections], bench.entries, usual=usual)


def _step(trial: Trial, step: Step, sections: Sequence[Section], level: int, *, fuzz: bool) -> None:
    before = dict(trial.bench.changed)
    done: list[tuple[Task, Outcome]] = []
    for section in sections:
        task = _task(trial.bench, section, level)
        broken = trial.failed & set(task.paths)
        outcome = _after_failure(broken) if broken else settle(trial.bench, task, fuzz=fuzz)
        trial.bench.changed |= outcome.files
        done.append((task, outcome))
        _record(trial, step, task, outcome)
    _confirm(trial.bench, before, done, step.where)


def _task(bench: Bench, section: Section, level: int) -> Task:
    """The section with its paths; of two names the one that the tree knows, first the new one."""
    old, new = section.names.stripped(level)
    if section.added:
        return Task(section=section, old=None, new=new or old)
    if section.deleted:
        return Task(section=section, old=old or new, new=None)
    if section.names.moved is not None:
        return Task(section=section, old=old, new=new)
    known = next((path for path in (new, old) if path is not None and bench.exists(path)), new or old)
    fresh = known is not None and not bench.exists(known) and _is_all_new(section)
    return Task(section=section, old=None if fresh else known, new=known)


def _is_all_new(section: Section) -> bool:
    """A file that tools other than git announce by its numbers alone."""
    return bool(section.hunks) and all(hunk.old_start == hunk.old_count == 0 for hunk in section.hunks)


def _after_failure(broken: set[RepoPath]) -> Outcome:
    return failed(f"an earlier part of the patch failed on {', '.join(sorted(broken))}")


def _record(trial: Trial, step: Step, task: Task, outcome: Outcome) -> None:
    paths = task.paths or (_name(task.section),)
    for path in paths:
        trial.verdicts.append(
            FileVerdict(
                path=path, verdict=outcome.verdict, detail=outcome.detail, hunks=outcome.hunks,
                line=task.section.line,
            )
        )  # fmt: skip
        trial.headers.setdefault(path, []).append(step.header)
    if outcome.verdict is Verdict.FAILED:
        text = canonical(task, Form(hunks=task.section.hunks))
        trial.rejects.setdefault(paths[-1], []).append(text)
    if len(task.paths) > 1 and not task.section.copied:
        trial.links.append((task.paths[0], task.paths[1]))


def _name(section: Section) -> RepoPath:
    return RepoPath((section.names.new or section.names.old).decode("utf-8", "replace"))


def _confirm(
    bench: Bench, before: Mapping[RepoPath, File | None], done: Sequence[tuple[Task, Outcome]], where: str
) -> None:
    """What fits exactly has to be the same for git: all of it in one `git apply`, all or nothing."""
    exact = [(task, outcome) for task, outcome in done if outcome.text]
    paths = [path for task, _ in exact for path in task.paths]
    if not exact or len(paths) != len(set(paths)):
        return
    files = {path: before[path] if path in before else bench.original(path) for path in paths}
    text = b"".join(outcome.text for _, outcome in exact)
    made = bench.applied(text, files, ("--unidiff-zero",))
    wrong = [path for path in paths if made is None or made.get(path) != bench.file(path)]
    if wrong:
        raise PatchError(f"{where}: git apply disagrees about {', '.join(wrong)}; nothing was written")


def _finish(trial: Trial) -> None:
    """Take back what belongs to a failure, say so, and have one verdict for each file."""
    failed = trial.failed
    told = {one.path for one in trial.verdicts if one.verdict is Verdict.FAILED}
    for path in sorted(failed - told):
        words = "it is tied by a rename to a file that failed"
        trial.verdicts.append(FileVerdict(path=path, verdict=Verdict.FAILED, detail=words))
    for path in failed:
        trial.bench.changed.pop(path, None)
    trial.verdicts = list(worst(trial.verdicts))
