"""What one file of a foreign patch comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from winvllm_build.git import RepoPath
from winvllm_build.review.bench import File
from winvllm_build.review.canonical import Task, canonical
from winvllm_build.review.fit import Form
from winvllm_build.review.import_verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one section of a patch does.

    Attributes:
        verdict: how surely.
        detail: what is to be said about it.
        hunks: of a failure, those that do not fit.
        files: what is changed, None for a file that goes.
        text: of what fits exactly, the diff that git has to agree with.
    """

    verdict: Verdict
    detail: str = ""
    hunks: tuple[str, ...] = ()
    files: Mapping[RepoPath, File | None] = field(default_factory=dict)
    text: bytes = b""


def failed(detail: str, *hunks: str) -> Outcome:
    return Outcome(verdict=Verdict.FAILED, detail=detail, hunks=hunks)


def already(detail: str = "") -> Outcome:
    return Outcome(verdict=Verdict.ALREADY, detail=detail)


def done(task: Task, verdict: Verdict, file: File, detail: str) -> Outcome:
    """The file after the patch is `file`; of a rename the old one goes."""
    changes: dict[RepoPath, File | None] = {}
    if task.old is not None and task.old != task.new and not task.section.copied:
        changes[task.old] = None
    if task.new is not None:
        changes[task.new] = file
    return Outcome(verdict=verdict, detail=detail, files=changes)


def exact(task: Task, file: File, form: Form) -> Outcome:
    made = done(task, Verdict.EXACT, file, notes(task, form))
    return replace(made, text=canonical(task, form))


def notes(task: Task, form: Form, *more: str) -> str:
    """What was done to the patch itself."""
    words = (*more, form.words, "line counts made anew" if task.section.recounted else "")
    return "; ".join(filter(None, words))
