"""One file of a foreign patch and the tree of the tag: how the change gets there, and how surely."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from winvllm_build.git import RepoPath
from winvllm_build.patchset.paths import REGULAR, mode_fault, path_fault
from winvllm_build.review import fit
from winvllm_build.review.bench import Bench, File
from winvllm_build.review.canonical import Task, canonical
from winvllm_build.review.fit import Form
from winvllm_build.review.import_verdict import Verdict
from winvllm_build.review.outcome import Outcome, already, exact, failed
from winvllm_build.review.textual import forms_of, is_blob, modified, was_made

WHOLE_ID: Final = 40


def settle(bench: Bench, task: Task, *, fuzz: bool) -> Outcome:
    """Decide about one section; nothing of the bench is changed.

    Args:
        bench: the files as they are.
        task: the section.
        fuzz: take places and context that are not exactly as the patch says.
    """
    fault = task.section.fault or _unsafe(task)
    if fault:
        return failed(fault)
    if task.section.binary:
        return _binary(bench, task)
    if task.old is None:
        return _added(bench, task)
    return _changed(bench, task, task.old, fuzz=fuzz)


def _unsafe(task: Task) -> str:
    if not task.paths:
        return "the patch names no file"
    faults = [f"the path {path!r} {fault}" for path in task.paths if (fault := path_fault(path))]
    modes = {mode for mode in task.section.modes if mode is not None}
    faults += [
        f"it {fault}; only regular files can be patched" for mode in modes if (fault := mode_fault(mode))
    ]
    return faults[0] if faults else ""


def _changed(bench: Bench, task: Task, path: RepoPath, *, fuzz: bool) -> Outcome:
    """A file that is there before the patch."""
    before = bench.file(path)
    if task.new is None:
        return already() if before is None else _deleted(task, before)
    if task.new != path and bench.exists(task.new):
        return _moved_already(bench, task, before)
    if before is None:
        return failed("the tag has no such file")
    return modified(bench, task, before, fuzz=fuzz)


def _added(bench: Bench, task: Task) -> Outcome:
    section, path = task.section, task.paths[0]
    made = [(form, content) for form in forms_of(section) if (content := fit.exact(form, b"")) is not None]
    if not made:
        return failed("a new file, but its hunks have lines of an older one")
    there = bench.file(path)
    if there is None:
        form, content = next((pair for pair in made if is_blob(section.ids[1], pair[1])), made[0])
        return exact(task, File(mode=section.modes[1] or REGULAR, content=content), form)
    if any(content == there.content for _, content in made):
        return already()
    return failed("a new file, but the tag has one of that name with other content")


def _deleted(task: Task, before: File) -> Outcome:
    section = task.section
    files: Mapping[RepoPath, File | None] = {task.paths[0]: None}
    whole = next((form for form in forms_of(section) if fit.exact(form, before.content) == b""), None)
    if whole is not None:
        return Outcome(verdict=Verdict.EXACT, files=files, text=canonical(task, whole))
    if not section.hunks and is_blob(section.ids[0], before.content):  # made with --irreversible-delete
        return Outcome(verdict=Verdict.EXACT, files=files)
    return failed("it is deleted, but the tag's file has other lines than the patch removes")


def _moved_already(bench: Bench, task: Task, before: File | None) -> Outcome:
    """A rename or copy whose new name is taken."""
    there = bench.file(task.paths[-1])
    finished = before is None or task.section.copied
    if there is not None and finished and was_made(task.section, there.content):
        return already()
    return failed(f"it becomes {task.new}, but the tag has a file of that name")


def _binary(bench: Bench, task: Task) -> Outcome:
    """Git alone reads binary content; it wants whole ids and checks both sides against them."""
    section = task.section
    files = {path: bench.file(path) for path in task.paths}
    before = None if task.old is None else files[task.old]
    after = None if task.new is None else files[task.new]
    if any(len(oid) != WHOLE_ID for oid in section.ids):
        return failed("binary content needs whole ids; make the patch with --binary --full-index")
    if (task.new is None and before is None) or (after is not None and after.oid == section.ids[1]):
        return already()
    if task.old is not None and (before is None or before.oid != section.ids[0]):
        return failed("its binary content is made for another file than the tag's")
    made = bench.applied(canonical(task, Form(hunks=())), files, ())
    if made is None:
        return failed("git cannot apply its binary content")
    return Outcome(verdict=Verdict.EXACT, files={path: made.get(path) for path in task.paths})
