"""A port under way: what was computed from what, what is done, and what a human has."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from winvllm_build.git import Git, Oid, RepoPath
from winvllm_build.patchset import advice
from winvllm_build.patchset.record import Key, Ported
from winvllm_build.port.carry import Unit


class Phase(enum.Enum):
    """What a killed run was about to do; only `OPEN` waits for a human."""

    WRITING = "writing"
    """The new set's folder may be half written."""
    PREPARING = "preparing"
    """It is written; the worktree is being made."""
    OPEN = "open"
    """A human decides."""
    ABORTING = "aborting"
    """The folder is being put back."""
    CLOSING = "closing"
    """All is written; only worktree and refs are left to remove."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A layer of the new set that needs nobody any more: the trees its patches stand between."""

    target: str
    layer: str
    repository: Path
    base: Oid
    patched: Oid
    entries: tuple[Ported, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOff:
    """The layer a human decides about, in a worktree.

    Attributes:
        target: the source tree.
        layer: its layer.
        repository: the tool's, which has the trees.
        worktree: the throw-away one.
        unit: what is carried.
        onto: the commit the worktree is made of, with the tree `unit.new_base`.
        picked: the commit that was picked, with the tree `unit.old_patched`.
        laid: the worktree's files as they were handed over.
        remembered: conflicts that were resolved as an earlier time.
        skipped: patches given up, by their path in the old set, and why.
        accepted: patches taken as they are: `merge`, `strict` or `proposal`.
    """

    target: str
    layer: str
    repository: Path
    worktree: Path
    unit: Unit
    onto: Oid
    picked: Oid
    laid: Oid
    remembered: tuple[RepoPath, ...] = ()
    skipped: Mapping[RepoPath, str] = field(default_factory=dict)
    accepted: Mapping[RepoPath, str] = field(default_factory=dict)

    @property
    def git(self) -> Git:
        return Git(self.repository)

    @property
    def proposals(self) -> Path:
        """Beside the worktree, where another program's resolutions are kept."""
        return self.worktree.with_name(f"{self.worktree.name}.proposals")


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A port under way.

    Attributes:
        root: the folder of patch sets.
        old: the tag it is from.
        new: the tag it is to.
        repository: the tool's for vLLM, where this state is kept.
        phase: what is being done.
        resolve: whether conflicts with one answer are settled.
        basis: what the port was computed from; another one later makes it void.
        before: the new set's folder as it was, as a commit; None where there was none.
        written: its tree as the port wrote it last.
        done: layers that are settled.
        stranded: source trees that could not be merged, so that no worktree is made for them.
        dropped: patches of those, given up, and why.
        handoff: what the human has.
    """

    root: Path
    old: str
    new: str
    repository: Path
    phase: Phase
    resolve: bool
    basis: str
    before: Oid | None
    written: Oid | None = None
    done: tuple[Done, ...] = ()
    stranded: tuple[str, ...] = ()
    dropped: Mapping[Key, str] = field(default_factory=dict)
    handoff: HandOff | None = None

    @property
    def folder(self) -> Path:
        """The new set's."""
        return self.root / self.new

    @property
    def git(self) -> Git:
        return Git(self.repository)

    @property
    def is_first(self) -> bool:
        """Whether nothing was ever written for this port."""
        return self.written is None

    @property
    def repositories(self) -> tuple[Path, ...]:
        """Every repository with refs of this port."""
        more = [made.repository for made in self.done]
        more += [self.handoff.repository] if self.handoff else []
        return tuple(dict.fromkeys([self.repository, *more]))

    def command(self, *options: str) -> str:
        """A command line about this port."""
        return advice.command("port", self.new, *options, root=self.root)

    def ref(self, name: str) -> str:
        """A ref that keeps an object alive while the port is under way."""
        return f"refs/winvllm/port/{self.new}/{name}"
