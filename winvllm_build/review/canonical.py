"""One file of a foreign patch with the tree's own paths, written as git would write it."""

from __future__ import annotations

from dataclasses import dataclass

from winvllm_build.git import RepoPath
from winvllm_build.patchset.paths import REGULAR
from winvllm_build.review.fit import Form
from winvllm_build.review.foreign import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One section with the paths it is about; `old` is None for a new file, `new` for a deleted one."""

    section: Section
    old: RepoPath | None
    new: RepoPath | None

    @property
    def paths(self) -> tuple[RepoPath, ...]:
        return tuple(dict.fromkeys(path for path in (self.old, self.new) if path is not None))


def canonical(task: Task, form: Form) -> bytes:
    """The section as git would write it, with the tree's own paths and counts that fit."""
    section = task.section
    old, new = (
        None if path is None else path.encode("utf-8", "surrogateescape") for path in (task.old, task.new)
    )
    left, right = old or new or b"", new or old or b""
    lines = [b"diff --git a/" + left + b" b/" + right]
    lines += _mode_lines(task)
    if old is not None and new is not None and old != new:
        word = b"copy" if section.copied else b"rename"
        lines += [word + b" from " + old, word + b" to " + new]
    if section.binary:
        lines.append(f"index {section.ids[0]}..{section.ids[1]}".encode("ascii"))
        return b"\n".join(lines) + b"\n" + section.binary
    if form.hunks:
        tab = b"\t" if b" " in left + right else b""
        lines.append(b"--- " + (b"/dev/null" if old is None else b"a/" + old + tab))
        lines.append(b"+++ " + (b"/dev/null" if new is None else b"b/" + new + tab))
    for hunk in form.hunks:
        ranges = f"@@ -{hunk.old_start},{hunk.old_count} +{hunk.new_start},{hunk.new_count} @@"
        lines += [ranges.encode("ascii"), *hunk.lines]
    return b"\n".join(lines) + b"\n"


def _mode_lines(task: Task) -> list[bytes]:
    before, after = (mode or REGULAR for mode in task.section.modes)
    if task.old is None:
        return [f"new file mode {after}".encode("ascii")]
    if task.new is None:
        return [f"deleted file mode {before}".encode("ascii")]
    return [f"old mode {before}".encode(), f"new mode {after}".encode()] if before != after else []
