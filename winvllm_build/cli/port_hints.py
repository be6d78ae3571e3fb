"""What can be done about a port that waits: whole commands, for a human to copy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from winvllm_build.port.progress import OpenPatch, Progress
    from winvllm_build.port.state import HandOff, State


def ways(state: State, progress: Progress) -> Iterator[str]:
    """Commands that go on from here, the likely ones first."""
    folder = state.handoff.worktree if state.handoff else state.folder
    if progress.undecided:
        yield f"edit the files in {folder}; any editor, `git mergetool` or `git diff` works there"
        yield f"{state.command('--continue')}  when all are decided"
        yield f"{state.command('--skip', 'PATH', '--reason', 'WHY')}  to give one up"
    else:
        yield f"{state.command('--continue')}  writes the patches as {folder} has them"
    yield f"{state.command('--abort')}  puts everything back as it was"


def hints(state: State, patch: OpenPatch) -> Iterator[str]:
    """Sentences about one open patch that say what is asked, and how to answer."""
    from winvllm_build.port.progress import Stand

    if state.handoff is None:
        return
    if patch.stand is Stand.CONFLICT:
        yield from _in_conflict(state, state.handoff, patch)
    if patch.stand is Stand.LOOK:
        yield from _to_decide(state, state.handoff, patch)
    if patch.stand in (Stand.LOOK, Stand.REMEMBERED):
        for path in _remembered(state.handoff, patch):
            yield f"to decide again: {_git(state.handoff, 'checkout', '--merge', path)}"
            yield f"to forget it: {_git(state.handoff, 'rerere', 'forget', path)}"


def _in_conflict(state: State, handoff: HandOff, patch: OpenPatch) -> Iterator[str]:
    from winvllm_build.port.proposal import proposed

    for path in dict.fromkeys(mark.path for mark in patch.marks):
        lines = [str(mark.line) for mark in patch.marks if mark.path == path]
        yield f"conflict lines at {path}:{', '.join(lines)}"
    for place in patch.located:
        yield place.words
    for path in patch.explicit:
        yield f"`git add` or `git rm` of {path} there has to say what becomes of it"
    there = proposed(handoff)
    for path in [path for path in patch.verdict.places if path in there]:
        yield f"proposed: {_git(handoff, 'diff', '--no-index', path, str(there[path]))}"
        yield f"take it: {state.command('--accept', patch.verdict.path)}"


def _to_decide(state: State, handoff: HandOff, patch: OpenPatch) -> Iterator[str]:
    verdict = patch.verdict
    if _remembered(handoff, patch):
        yield f"resolved as before to upstream's file; to drop it: {state.command('--skip', verdict.path)}"
        return
    if verdict.to is not None:
        yield f"right as it is: {state.command('--accept', verdict.path)}"
    if verdict.strict is not None and verdict.to is not None:
        other = _git(handoff, "diff", f"{handoff.laid}:{verdict.to}", verdict.strict)
        yield f"the other result: {other}"
        yield f"take that one: {state.command('--accept-strict', verdict.path)}"


def _git(handoff: HandOff, *words: str) -> str:
    from winvllm_build.patchset.advice import quoted

    return " ".join(quoted(word) for word in ("git", "-C", str(handoff.worktree), *words))


def _remembered(handoff: HandOff, patch: OpenPatch) -> list[str]:
    return [path for path in patch.verdict.places if path in handoff.remembered]
