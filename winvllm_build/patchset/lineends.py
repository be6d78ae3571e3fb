"""Line ends that an editor changed: CRLF in a file that had none."""

from __future__ import annotations

from collections.abc import Mapping

from winvllm_build.errors import TreeStateError
from winvllm_build.git import Git, RepoPath
from winvllm_build.patchset import tree
from winvllm_build.patchset.diff import Change, Diff


def refuse_crlf(git: Git, diffs: Mapping[RepoPath, Diff]) -> None:
    """Refuse changes that bring CRLF into files without it.

    Raises:
        TreeStateError: there are such changes; the files are named.
    """
    ids = [oid for diff in diffs.values() if diff.change is Change.MODIFIED and not diff.binary
           for oid in (diff.pre, diff.post) if oid is not None]  # fmt: skip
    blobs = tree.contents(git, ids)
    wrong = [
        path
        for path, diff in diffs.items()
        if diff.pre in blobs and diff.post in blobs
        and b"\r\n" not in blobs[diff.pre] and b"\r\n" in blobs[diff.post]
    ]  # fmt: skip
    if wrong:
        listed = "".join(f"\n  {path}" for path in wrong)
        raise TreeStateError(
            f"CRLF line ends were brought into files that had none:{listed}",
            fix="convert them back to LF (editor, or `dos2unix`), then run again",
        )
