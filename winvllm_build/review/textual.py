"""A changed text file: exactly, already there, by 3-way merge, or only with a tolerance asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from winvllm_build.patchset.blob import blob_id
from winvllm_build.patchset.paths import REGULAR
from winvllm_build.review import fit
from winvllm_build.review.bench import Bench, File
from winvllm_build.review.canonical import Task, canonical
from winvllm_build.review.fit import Form
from winvllm_build.review.foreign import Section
from winvllm_build.review.import_verdict import Verdict
from winvllm_build.review.outcome import Outcome, already, done, exact, failed, notes

REDUCED: Final = ("-C2", "-C1")
"""What `patch` calls fuzz 1 and 2."""
CRLF: Final = b"\r\n"
BRINGS_CRLF: Final = "it brings CRLF line ends into a file that has none"
TELLING: Final = 7
"""Fewer digits of an id decide nothing."""


def modified(bench: Bench, task: Task, before: File, *, fuzz: bool) -> Outcome:
    """Decide about a file that is there.

    Args:
        bench: the repository with the files.
        task: the section.
        before: the file.
        fuzz: take places and context that are not exactly as the patch says.
    """
    section = task.section
    mode = section.new_mode or before.mode
    if not section.hunks:
        same = task.old == task.new and mode == before.mode
        return already() if same else exact(task, File(mode=mode, content=before.content), Form(hunks=()))
    known = is_blob(section.ids[1], before.content) and not is_blob(section.ids[0], before.content)
    made = None if known else _exactly(section, before.content)
    if made is not None:
        return _fitting(bench, task, before, File(mode=mode, content=made[1]), made[0], fuzz=fuzz)
    if task.old == task.new and (known or was_made(section, before.content)):
        return _but_its_mode(task, before, mode)
    if any(fit.exact(form, before.content) is not None for form in forms_of(section)):
        return failed(BRINGS_CRLF)
    return _three_way(bench, task, before, mode) or _inexact(bench, task, before, mode, fuzz=fuzz)


def is_blob(oid: str, content: bytes) -> bool:
    """Whether a content is the blob that the patch names, with digits enough to tell."""
    return len(oid) >= TELLING and blob_id(content).startswith(oid)


def was_made(section: Section, content: bytes) -> bool:
    """Whether taking the change back fits exactly; without hunks there is nothing to take back."""
    undone = [Form(hunks=fit.backwards(form.hunks)) for form in forms_of(section)]
    return not section.hunks or any(fit.exact(form, content) is not None for form in undone)


def forms_of(section: Section) -> list[Form]:
    return list(fit.forms(section.hunks, crlf=section.crlf))


def _fitting(bench: Bench, task: Task, before: File, after: File, form: Form, *, fuzz: bool) -> Outcome:
    """What fits at its lines: surely if the file is the one it was made of, else as far as its lines tell."""
    if is_blob(task.section.ids[0], before.content):
        return _as_named(task, after, form)
    if was_made(task.section, before.content):
        return failed("it fits forwards and backwards, so nothing tells whether it is there already")
    if before.content and any(hunk.old_count == 0 for hunk in form.hunks):
        words = "lines are put in where no context says that this is the place"
        return done(task, Verdict.FUZZY, after, words) if fuzz else failed(f"{words}; --fuzz takes it")
    merged = [
        bench.merged(base=base, changed=there[1], onto=before.content)
        for base in _bases(bench, task.section)
        if (there := _exactly(task.section, base)) is not None
    ]
    if any(content not in (None, after.content) for content in merged):
        return failed("at its lines it fits, but a 3-way merge puts it elsewhere: the lines are repeated")
    told = task.section.ids[0] if len(task.section.ids[0]) >= TELLING else ""
    made = exact(task, after, form)
    return replace(made, detail=notes(task, form, "the tag's file differs elsewhere")) if told else made


def _as_named(task: Task, after: File, form: Form) -> Outcome:
    """On the very file it was made of it has to give the file it names, or a part of it is missing."""
    named = task.section.ids[1]
    if form.words or len(named) < TELLING or is_blob(named, after.content):
        return exact(task, after, form)
    if task.section.last:
        return failed(
            "it gives another file than its index line says: cut off? without that line it is taken"
        )
    made = exact(task, after, form)
    return replace(made, detail=notes(task, form, "edited by hand: its index line names another result"))


def _bases(bench: Bench, section: Section) -> list[bytes]:
    """What the patch was made of, where the repository has it."""
    known = len(section.ids[0]) >= TELLING and section.ids[0].strip("0") != ""
    return bench.blob(section.ids[0]) if known else []


def _but_its_mode(task: Task, before: File, mode: str) -> Outcome:
    if mode == before.mode:
        return already()
    rest = replace(task, section=replace(task.section, hunks=()))
    return exact(rest, File(mode=mode, content=before.content), Form(hunks=()))


def _exactly(section: Section, before: bytes) -> tuple[Form, bytes] | None:
    """The reading that fits, and what it makes; of several the one that gives the blob the patch names.

    One that would bring CRLF into a file that has none is never right: no patch of a set may.
    """
    made = [
        (form, after)
        for form in forms_of(section)
        if (after := fit.exact(form, before)) is not None and (CRLF in before or CRLF not in after)
    ]
    return next((pair for pair in made if is_blob(section.ids[1], pair[1])), made[0] if made else None)


def _three_way(bench: Bench, task: Task, before: File, mode: str) -> Outcome | None:
    """By the file the patch was made of, if the repository has it: exactly there, then merged."""
    section = task.section
    for base in _bases(bench, section):
        made = _exactly(section, base)
        if made is None:
            continue
        merged = bench.merged(base=base, changed=made[1], onto=before.content)
        if merged is None:
            words = f"made of blob {blob_id(base)[:12]}, which the tag changed at the same places"
            return failed(words, *fit.misfits(made[0], before.content))
        if merged == before.content:
            return already("by 3-way merge")
        words = notes(task, made[0], f"from blob {blob_id(base)[:12]}")
        return done(task, Verdict.THREE_WAY, File(mode=mode, content=merged), words)
    return None


def _inexact(bench: Bench, task: Task, before: File, mode: str, *, fuzz: bool) -> Outcome:
    if task.old == task.new and any(fit.is_there(form, before.content) for form in forms_of(task.section)):
        return already("at other lines")
    form = fit.likeliest(forms_of(task.section), before.content)
    path = task.paths[0]
    text = canonical(Task(section=replace(task.section, modes=(None, None)), old=path, new=path), form)
    files = {path: File(mode=REGULAR, content=before.content)}
    misfits = tuple(fit.misfits(form, before.content))
    ways = ((Verdict.OFFSET, ()), *((Verdict.FUZZY, (less,)) for less in REDUCED))
    for verdict, options in ways:
        made = bench.applied(text, files, options)
        if made is None:
            continue
        if not fuzz:
            words = "at other lines" if verdict is Verdict.OFFSET else "with less context"
            return failed(f"it fits only {words}; --fuzz takes it", *misfits)
        words = notes(task, form, *misfits, *options)
        return done(task, verdict, File(mode=mode, content=made[path].content), words)
    return failed("it does not fit the tag's file", *misfits)
