"""What `apply`, `status` and `regen` print, and their data for `--json`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from winvllm_build.cli import render

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from winvllm_build.git import RepoPath
    from winvllm_build.patchset.apply import ApplyResult
    from winvllm_build.patchset.layers import Selection
    from winvllm_build.patchset.linecount import LineCount
    from winvllm_build.patchset.patchset import PatchSet
    from winvllm_build.patchset.rewrite import RegenResult
    from winvllm_build.patchset.status import FileStatus, TreeStatus


def show_lines(
    result: ApplyResult, patch_set: PatchSet, target: str, chosen: Selection, *, reverse: bool
) -> None:
    """Each file that would be rewritten with its added and removed lines, and their total."""
    from winvllm_build.patchset.linecount import LineCount, count

    diffs = [
        (patch.path, patch.content.diff) for patch in patch_set.of(target) if patch.layer in chosen.layers
    ]
    counts: dict[RepoPath, LineCount] = {
        path: sum((count(diff) for other, diff in diffs if other == path), LineCount())
        for path in result.files
    }
    for path, lines in counts.items():
        render.out(f"  {_changed(lines, reverse=reverse)}  {path}")
    if counts:
        total = sum(counts.values(), LineCount())
        render.out(f"  {_changed(total, reverse=reverse)}  lines in {len(counts)} files")


def _changed(lines: LineCount, *, reverse: bool) -> str:
    added, removed = (lines.removed, lines.added) if reverse else (lines.added, lines.removed)
    return f"{f'+{added}':>6} {f'-{removed}':>6}"


def named(patch_set: PatchSet, chosen: Selection) -> str:
    """The tag, and the optional layers with it."""
    return " + ".join((patch_set.tag, *chosen.optional))


def show_applied(result: ApplyResult, name: str, folder: Path, *, reverse: bool, written: bool) -> None:
    took = render.duration(result.seconds)
    if result.already:
        state = "upstream's files are in place" if reverse else f"{name} is applied"
        render.out(f"{folder}: {state}, nothing to do ({took})")
    elif written:
        verb = "taken back from" if reverse else "applied to"
        render.out(f"{name}: {len(result.files)} patches {verb} {folder} ({took})")
    else:
        verb = "would be taken back" if reverse else "apply exactly"
        render.out(f"{name}: {len(result.files)} patches {verb}; nothing was written ({took})")


def show_status(found: TreeStatus, patch_set: PatchSet, *, verbose: bool) -> None:
    from winvllm_build.patchset.status import FileState

    order = (FileState.DIRTY, FileState.MISSING, FileState.OUTDATED, FileState.PRISTINE, FileState.APPLIED)
    counts = {state: len(found.having(state)) for state in order if found.having(state)}
    mixed = len(counts) > 1
    told = ": " + ", ".join(f"{number} {state.value}" for state, number in counts.items()) if mixed else ""
    name = " + ".join((patch_set.tag, *found.asked[1:]))
    render.out(f"{found.worktree}: {found.state.value} ({name}, {len(found.files)} patched files{told})")
    if found.detail:
        render.out(f"  {found.detail}")
    if found.applied and found.applied != found.asked:
        render.out(f"  {_other_layers(found)}")
    elif found.state.value == "outdated":
        render.out("  an earlier version of the patch set is applied; `apply` brings it up to date")
    if found.interrupted:
        render.out(f"  an {found.interrupted} was interrupted; the next apply finishes it or rolls it back")
    if mixed or verbose:
        _show_files([file for state in order for file in found.having(state)])


def _other_layers(found: TreeStatus) -> str:
    """Which layers are there instead of those asked for."""
    words = f"the layers {' + '.join(found.applied)} are applied, not {' + '.join(found.asked)}"
    options = "".join(f" --layer {name}" for name in found.applied[1:])
    meant = f"`status{options}` compares with them" if options else "`status` compares with them"
    switch = "; `apply` with the same options as here switches" if found.state.value == "outdated" else ""
    return f"{words}; {meant}{switch}"


def _show_files(files: Sequence[FileStatus]) -> None:
    if sys.stdout.isatty() and files:
        _show_table(files)
        return
    for file in files:
        render.out(f"  {file.state.value:<9} {file.path}{f' - {file.detail}' if file.detail else ''}")


def _show_table(files: Sequence[FileStatus]) -> None:
    from rich.table import Table

    from winvllm_build.patchset.status import FileState

    styles = {FileState.PRISTINE: "dim", FileState.APPLIED: "green", FileState.OUTDATED: "yellow"}
    table = Table(box=None, pad_edge=True, header_style="bold")
    for title in ("state", "file", ""):
        table.add_column(title, overflow="fold")
    for file in files:
        table.add_row(file.state.value, file.path, file.detail, style=styles.get(file.state, "red"))
    render.console().print(table)


def show_regenerated(result: RegenResult, root: Path) -> None:
    for file in result.written:
        render.out(f"  written  {file.relative_to(root).as_posix()}")
    for file in result.removed:
        render.out(f"  removed  {file.relative_to(root).as_posix()}")
    if result.removed:
        render.note(
            "note: files whose patches were removed are as upstream has them; if that was not meant, get the "
            "patches back with git; if it was, `winvllm-build drop` on a patch got back also notes why"
        )
    for finding in result.findings:
        render.note(f"note: {finding}")
    lock = "lock written" if result.relocked else "lock unchanged"
    render.out(
        f"{len(result.written)} written, {len(result.removed)} removed, {len(result.unchanged)} unchanged, "
        f"{lock} ({render.duration(result.seconds)})"
    )


def apply_data(result: ApplyResult, patch_set: PatchSet, folder: Path, chosen: Selection) -> dict[str, Any]:
    return {
        "tag": patch_set.tag, "layers": list(chosen.layers), "worktree": str(folder),
        "files": list(result.files), "already": result.already,
        "seconds": round(result.seconds, 3), "tree": result.tree, "recovered": result.recovered,
        "saved": result.saved,
    }  # fmt: skip


def status_data(found: TreeStatus, patch_set: PatchSet) -> dict[str, Any]:
    return {
        "tag": patch_set.tag, "worktree": str(found.worktree), "state": found.state.value,
        "base": found.base, "interrupted": found.interrupted, "detail": found.detail,
        "layers": list(found.asked), "applied": list(found.applied),
        "files": [{"path": f.path, "state": f.state.value, "detail": f.detail} for f in found.files],
        "findings": list(patch_set.findings),
    }  # fmt: skip


def regen_data(result: RegenResult, tag: str) -> dict[str, Any]:
    return {
        "tag": tag, "written": [str(f) for f in result.written], "removed": [str(f) for f in result.removed],
        "unchanged": len(result.unchanged), "orphans": list(result.orphans),
        "findings": list(result.findings), "relocked": result.relocked, "seconds": round(result.seconds, 3),
    }  # fmt: skip
