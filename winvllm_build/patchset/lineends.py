"""Line ends that an editor changed: CRLF in a file that had none."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from winvllm_build.errors import TreeStateError
from winvllm_build.git import Git, Oid, RepoPath
from winvllm_build.patchset import tree
from winvllm_build.patchset.diff import Change, Diff

BATCH: Final = (".bat", ".cmd")


def refuse_crlf(git: Git, diffs: Mapping[RepoPath, Diff], *, known: Collection[RepoPath]) -> None:
    """Refuse changes that bring CRLF into files without it, and new files with it, but for cmd.exe's.

    Args:
        git: has their contents.
        diffs: what is changed.
        known: files that the set has patches for already; a new one among them is what somebody meant.

    Raises:
        TreeStateError: there are such changes; the files are named.
    """
    held = {
        path: diff
        for path, diff in diffs.items()
        if not diff.binary
        and (
            diff.change is Change.MODIFIED
            or (diff.change is Change.ADDED and path not in known and not path.endswith(BATCH))
        )
    }
    blobs = tree.contents(git, [oid for d in held.values() for oid in (d.pre, d.post) if oid is not None])
    wrong = [
        path
        for path, diff in held.items()
        if b"\r\n" in _content(blobs, diff.post) and b"\r\n" not in _content(blobs, diff.pre)
    ]
    if wrong:
        listed = "".join(f"\n  {path}" for path in wrong)
        raise TreeStateError(
            f"CRLF line ends were brought into files that had none, or are new:{listed}",
            fix="convert them back to LF (editor, or `dos2unix`), then run again",
        )


def _content(blobs: Mapping[Oid, bytes], oid: Oid | None) -> bytes:
    return b"" if oid is None else blobs.get(oid, b"")
