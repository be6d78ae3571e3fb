"""What strict application makes of old diffs on a new tree, as a second opinion on the merge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from winvllm_build.git import Git, Oid, RepoPath, TreeEntry
from winvllm_build.patchset.diff import Diff, Hunk
from winvllm_build.port.renames import filled_index

REFUSED: Final = (1, 128)


def strict_results(
    git: Git, files: Sequence[TreeEntry], diffs: Sequence[Diff], *, likely: Sequence[Diff]
) -> dict[RepoPath, Oid]:
    """The blob that `git apply` makes of each file, for the diffs it takes.

    Args:
        git: a scratch repository.
        files: what to apply to, and no others, which keeps each call short.
        diffs: one per file, with the paths they have in `files`; tried one by one.
        likely: diffs that git should take; tried all at once.
    """
    if not diffs and not likely:
        return {}
    with filled_index(git, files) as index:
        taken = _applied(git, index, likely) if likely else []
        taken += [diff for diff in diffs if _takes(git, index, [diff])]
        if not taken:
            return {}
        names = [diff.path for diff in taken]
        listed = git.out("--literal-pathspecs", "ls-files", "--stage", "-z", "--", *names, index=index)
    found = {}
    for record in listed.split(b"\0")[:-1]:
        meta, name = record.split(b"\t", 1)
        found[RepoPath(name.decode("utf-8", "surrogateescape"))] = Oid(meta.split()[1].decode("ascii"))
    return found


def could_apply(diff: Diff, content: bytes) -> bool:
    """Whether the old side of every hunk occurs in `content`; where it does not, git refuses the diff."""
    return all(_old_side(hunk) in content for hunk in diff.hunks)


def _old_side(hunk: Hunk) -> bytes:
    lines: list[bytes] = []
    for before, line in zip((b"", *hunk.lines), hunk.lines, strict=False):
        if line[:1] in (b" ", b"-"):
            lines.append(line[1:] + b"\n")
        elif line[:1] == b"\\" and before[:1] in (b" ", b"-"):
            lines[-1] = lines[-1][:-1]
    return b"".join(lines)


def at_path(diff: Diff, path: RepoPath) -> Diff:
    """The same diff, which has hunks, of another file."""
    if path == diff.path:
        return diff
    head, mark, body = diff.text.partition(b"\n@@ ")
    name = path.encode("utf-8", "surrogateescape")
    tab = b"\t" if b" " in name else b""
    titles = {
        b"diff --git ": b"diff --git a/%b b/%b" % (name, name),
        b"--- ": b"--- a/%b%b" % (name, tab),
        b"+++ ": b"+++ b/%b%b" % (name, tab),
    }
    lines = [
        next((made for start, made in titles.items() if line.startswith(start)), line)
        for line in head.split(b"\n")
    ]
    return replace(diff, path=path, text=b"\n".join(lines) + mark + body)


def _applied(git: Git, index: Path, diffs: Sequence[Diff]) -> list[Diff]:
    """All of them, or halves again, so that few refusals cost few calls."""
    if _takes(git, index, diffs):
        return list(diffs)
    if len(diffs) == 1:
        return []
    half = len(diffs) // 2
    return _applied(git, index, diffs[:half]) + _applied(git, index, diffs[half:])


def _takes(git: Git, index: Path, diffs: Sequence[Diff]) -> bool:
    text = b"".join(diff.text for diff in diffs)
    done = git.run("apply", "--cached", "--whitespace=nowarn", "-", stdin=text, index=index, ok=(0, *REFUSED))
    return done.code == 0
