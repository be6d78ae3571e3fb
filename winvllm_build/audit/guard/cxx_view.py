"""Two versions of a C, C++ or CUDA file compared as the preprocessor leaves them on Linux."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from winvllm_build.audit.cxx.branches import view as text_left
from winvllm_build.audit.cxx.conditions import LINUX_CUDA, LINUX_ROCM, World
from winvllm_build.audit.cxx.text import logical_lines
from winvllm_build.audit.guard.cxx_grounds import rewrites
from winvllm_build.audit.guard.difference import Line, differences
from winvllm_build.audit.guard.judgement import Confirmed, Ground, Platform, Verdict, View

SUFFIXES: Final = (
    ".cu", ".cuh", ".h", ".hpp", ".hxx", ".hh", ".inl", ".c", ".cc", ".cpp", ".cxx", ".hip", ".inc",
)  # fmt: skip
WORLDS: Final[Mapping[Platform, World]] = {Platform.CUDA: LINUX_CUDA, Platform.ROCM: LINUX_ROCM}
NOT_ROCM: Final = "compiled by nvcc only; ROCm sees no other change"


def view(before: str, after: str, platform: Platform) -> View:
    """How one platform sees the change of a file."""
    try:
        old, new = (_lines(text, platform) for text in (before, after))
    except ValueError as error:
        return View.of((), left=(f"cannot be read: {error}",))
    changes = differences(old, new)
    if not changes:
        return View.of(())
    grounds: list[Confirmed] = []
    left = changes
    for ground, rewrite in rewrites().items():
        old, new = rewrite(old), rewrite(new)
        rest = differences(old, new)
        if rest != left:
            gone = [change for change in left if change not in rest]
            grounds.append(Confirmed(ground=ground, detail=", ".join(gone)))
        left = rest
    return View.of(grounds, changes, left=changes if left else ())


def with_record(cuda: View, rocm: View, words: str, ground: Ground) -> tuple[View, View]:
    """Both views once a record proves that a compiler, or a generator, made the same of both versions.

    The record is of CUDA. ROCm gets the ground where it sees no change that CUDA does not see.
    """
    proven = Confirmed(ground=ground, detail=words)
    if ground is Ground.GENERATED:  # whatever the text is
        return View.of([proven], cuda.changes), View.of([proven], rocm.changes)
    views = [cuda, rocm]
    if cuda.verdict is Verdict.CHANGED:
        views[0] = View.of([*cuda.grounds, proven], cuda.changes)
    if rocm.verdict is Verdict.CHANGED and _plain(rocm) <= _plain(cuda) and cuda.verdict is Verdict.CHANGED:
        views[1] = View.of([*rocm.grounds, replace(proven, detail=f"{words}; {NOT_ROCM}")], rocm.changes)
    return views[0], views[1]


def _plain(view: View) -> set[str]:
    """The changes, however often each was made."""
    parts = (change.partition(" x ") for change in view.changes)
    return {rest if sep and count.isdigit() else f"{count}{sep}{rest}" for count, sep, rest in parts}


def _lines(text: str, platform: Platform) -> Sequence[Line]:
    return text_left(logical_lines(text), WORLDS[platform])
