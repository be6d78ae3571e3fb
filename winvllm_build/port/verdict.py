"""What became of one patch on another tag: exactly one verdict each, with its evidence."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from winvllm_build.git import Oid, RepoPath


class Kind(enum.Enum):
    """The verdicts, from what needs no look to what needs a decision."""

    IDENTICAL = "identical"
    """Upstream's file is the same: so is the patch, byte for byte."""
    OFFSET = "offset"
    """The same hunks at other lines."""
    CONTEXT = "context"
    """The same added and removed lines in other surroundings."""
    NEW_FILE = "new file"
    """The patch adds a file that the new tag does not have either."""
    MOVED = "moved"
    """Upstream moved the file; the patch went along."""
    MERGED = "merged"
    """A clean merge whose added or removed lines are others than before: look at it."""
    PARTLY_UPSTREAMED = "partly upstreamed"
    """Some of its lines are upstream's now; the rest is carried."""
    UPSTREAMED = "upstreamed"
    """Upstream has all of it: no difference is left."""
    DELETED = "deleted"
    """Upstream deleted the file that the patch changes."""
    CONFLICT = "conflict"
    """Upstream and the patch change the same lines, or the same name."""
    AMBIGUOUS = "ambiguous"
    """Merge and strict application both succeed, with different results."""

    @property
    def is_open(self) -> bool:
        """Whether a human has to decide."""
        return self in (Kind.DELETED, Kind.CONFLICT, Kind.AMBIGUOUS)

    @property
    def is_carried(self) -> bool:
        """Whether there is a patch for the new tag without anyone's help."""
        return not self.is_open and self is not Kind.UPSTREAMED


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One patch of the old set.

    Attributes:
        path: the file it patches in the old tag.
        kind: the verdict.
        to: the file's place in the new tag; None where it has none.
        evidence: short sentences that say why.
        conflicts: git's names of the conflicts, such as `contents` or `modify/delete`.
        places: conflicting paths of the merged tree, and those that an open verdict takes back.
        lost: ids of the hunks that the carried patch no longer has.
        strict: the blob that strict application gives where that is another one than the merge's.
    """

    path: RepoPath
    kind: Kind
    to: RepoPath | None
    evidence: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()
    places: tuple[RepoPath, ...] = field(default=())
    lost: tuple[str, ...] = ()
    strict: Oid | None = None
