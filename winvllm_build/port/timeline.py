"""Which states the files of a tree went through, from tree to tree."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from winvllm_build.git import NO_OBJECT, Git, Oid, RepoPath

PAIR: Final = re.compile(rb"(?:[0-9a-f]{40} [0-9a-f]{40}\n)+")
"""The head that `diff-tree --stdin` writes above the differences of two trees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A file from one moment on; `oid` is `NO_OBJECT` while there is no file."""

    since: int
    mode: str
    oid: Oid

    @property
    def is_there(self) -> bool:
        return self.oid != NO_OBJECT


class Timeline:
    """Trees in their order; what is at a path is read from the differences between neighbours."""

    def __init__(self, git: Git, trees: Sequence[Oid]) -> None:
        self.git = git
        self.trees = tuple(trees)
        self._first = git.entries(self.trees[0])
        self._steps: dict[RepoPath, list[State]] = {}
        for at, path, mode, oid in _differences(git, self.trees):
            self._steps.setdefault(path, []).append(State(since=at, mode=mode, oid=oid))
        for states in self._steps.values():
            states.sort(key=lambda state: state.since)  # the same step can occur again after a revert

    def states(self, path: RepoPath) -> tuple[State, ...]:
        """Every state of a path; the first one is that of the first tree."""
        entry = self._first.get(path)
        first = State(
            since=0, mode="000000" if entry is None else entry.mode,
            oid=NO_OBJECT if entry is None else entry.oid,
        )  # fmt: skip
        return (first, *self._steps.get(path, ()))

    def state(self, path: RepoPath, at: int) -> State:
        """The state of a path at one moment."""
        return next(state for state in reversed(self.states(path)) if state.since <= at)

    def touching(self, paths: Sequence[RepoPath], after: int, until: int) -> list[int]:
        """The moments in between (`until` included) that change one of these files."""
        found = {state.since for path in paths for state in self._steps.get(path, ())}
        return sorted(at for at in found if after < at <= until)


def _differences(git: Git, trees: Sequence[Oid]) -> Iterator[tuple[int, RepoPath, str, Oid]]:
    """The number of each tree with every file that is another than in the tree before."""
    places: dict[bytes, list[int]] = {}
    for at, pair in enumerate(pairwise(trees), start=1):
        if pair[0] != pair[1]:
            places.setdefault(f"{pair[0]} {pair[1]}".encode("ascii"), []).append(at)
    options = ("-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--stdin")
    asked = b"".join(pair + b"\n" for pair in places)
    numbers: list[int] = []
    fields = iter(git.out("diff-tree", *options, stdin=asked).split(b"\0")[:-1])
    for field in fields:
        head = PAIR.match(field)
        if head is not None:
            numbers = places[head[0].splitlines()[-1]]
        _, mode, _, oid, _ = field[head.end() if head else 0 :].decode("ascii").split()
        path = RepoPath(next(fields).decode("utf-8", "surrogateescape"))
        for at in numbers:
            yield at, path, mode, Oid(oid)
