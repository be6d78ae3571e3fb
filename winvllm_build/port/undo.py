"""The end of a port: done, with worktree and refs removed, or aborted, with everything as it was before."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import replace

from winvllm_build.errors import TreeStateError
from winvllm_build.git import Git, GitError, Oid
from winvllm_build.patchset.worktree import Worktree, open_worktree, scratch, snapshot
from winvllm_build.port import backup, bench, harvest, statefile
from winvllm_build.port.state import HandOff, Phase, State
from winvllm_build.workspace import storage_errors


def abort(state: State, *, tell: Callable[[str], None]) -> None:
    """Put the new set's folder back as it was before the port; edits of it and of the worktree are kept.

    Raises:
        StorageError: the disk refused; the next command finishes.
    """
    if state.phase is Phase.OPEN:
        for what, ref in _kept(state):
            tell(f"{what} are kept as {ref}")
    finish_abort(statefile.save(replace(state, phase=Phase.ABORTING)))


def finish_abort(state: State) -> None:
    """`abort` from where nothing can be lost any more."""
    before = None if state.before is None else state.git.tree_of(state.before)
    backup.put_back(state.git, before, state.folder)
    close(state)


def close(state: State) -> None:
    """Remove the worktree, the refs and the state."""
    if state.handoff is not None:
        discard(state.handoff)
    for repository in state.repositories:
        _forget_refs(Git(repository), state.ref(""))
    statefile.forget(state)


def discard(handoff: HandOff) -> None:
    """Remove a worktree with the proposals beside it.

    Raises:
        StorageError: a file there is in use.
    """
    bench.discard(handoff.repository, handoff.worktree)
    with storage_errors(str(handoff.proposals)):
        if handoff.proposals.exists():
            shutil.rmtree(handoff.proposals)


def _kept(state: State) -> list[tuple[str, str]]:
    """What a human did that would go, saved: words and ref."""
    found = []
    made = state.handoff
    place = None if made is None else _there(made)
    if made is not None and place is not None:
        with contextlib.suppress(GitError):  # a lock that a crash left must not stand in the way back
            harvest.remember(place)
        now = _everything(place)
        if now != made.laid:
            ref = backup.keep(made.git, now, f"The worktree of the port to {state.new}", made.onto)
            found.append((f"the edits in {place.folder}", f"{ref} in {made.repository}"))
    here = backup.tree_of(state.git, state.folder)
    if state.written is not None and here != state.written:
        ref = backup.keep(state.git, here, f"{state.new} when its port was aborted")
        found.append((f"the edits in {state.folder}", f"{ref} in {state.repository}"))
    return found


def _there(handoff: HandOff) -> Worktree | None:
    try:
        return open_worktree(handoff.worktree)
    except TreeStateError:
        return None


def _everything(place: Worktree) -> Oid:
    """The worktree with the files that git does not know."""
    new = [path for path in bench.unknown(place) if not path.endswith("/")]
    with storage_errors(str(place.objects)), scratch(place, keep=True) as git:
        return snapshot(place, git, new)


def _forget_refs(git: Git, prefix: str) -> None:
    names = git.out("for-each-ref", "--format=%(refname)", prefix.rstrip("/")).decode().split()
    if names:
        git.out("update-ref", "--stdin", stdin="".join(f"delete {name}\n" for name in names).encode())
