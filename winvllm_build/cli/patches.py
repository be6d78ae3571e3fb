"""`winvllm-build apply`, `status` and `regen`: the patch set and the tree it is applied to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from winvllm_build.cli import render

if TYPE_CHECKING:
    from winvllm_build.patchset.apply import ApplyResult
    from winvllm_build.patchset.patchset import PatchSet
    from winvllm_build.patchset.rewrite import RegenResult
    from winvllm_build.patchset.status import TreeStatus

APPLY_HELP = """Apply the patch set of a tag: exactly, all or nothing, rewriting only the patched files.

\b
Examples:
  winvllm-build apply                       the newest tag, on the tree the tool made
  winvllm-build apply v0.14.1 --tree ../vllm
  winvllm-build apply --check               prove that it would apply; writes nothing
  winvllm-build apply --reverse             take the patches back
  winvllm-build apply --restore             replace edits too, kept as a commit first
"""
STATUS_HELP = """Where a source tree stands: pristine, applied, partial, dirty, on a wrong base, or foreign.

\b
Examples:
  winvllm-build status
  winvllm-build status v0.14.1 --tree ../vllm --json
Exit code 0: pristine or applied; 1: partial, dirty or interrupted; 10: wrong base or foreign.
"""
REGEN_HELP = """Write the patch files anew from an edited tree; headers and hunk notes are kept.

\b
Examples:
  winvllm-build regen                              after editing patched files
  winvllm-build regen --new "vllm/platforms/*.py"  with new files
  winvllm-build regen --check                      exit code 1 if a patch file would change
  winvllm-build regen --relock                     take the patch files as they are, write the lock
"""
FINDINGS: Final = 1
BAD_TREE: Final = 10

TagArgument = Annotated[str | None, typer.Argument(metavar="TAG", help="vLLM tag; default: the newest.")]
TagOption = Annotated[str | None, typer.Option("--tag", help="The same as TAG.")]
TreeOption = Annotated[
    Path | None,
    typer.Option("--tree", help="Source tree; default: this folder, or the tree made for TAG."),
]
PatchesOption = Annotated[
    Path | None, typer.Option("--patches", help="Folder of patch sets; default: shipped.")
]
TargetOption = Annotated[str, typer.Option("--target", help="Which source tree of the set.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print data as JSON.")]


def register(app: typer.Typer) -> None:
    app.command(help=APPLY_HELP)(apply)
    app.command(help=STATUS_HELP)(status)
    app.command(help=REGEN_HELP)(regen)


def apply(
    given: TagArgument = None,
    *,
    tag: TagOption = None,
    tree: TreeOption = None,
    check: Annotated[bool, typer.Option("--check", help="Prove everything, write nothing.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="List the files, write nothing.")] = False,
    reverse: Annotated[bool, typer.Option("--reverse", help="Back to upstream's files.")] = False,
    restore: Annotated[
        bool, typer.Option("--restore", help="Replace edited files; the tree is saved as a commit first.")
    ] = False,
    target: TargetOption = "vllm",
    patches: PatchesOption = None,
    as_json: JsonOption = False,
) -> int:
    from winvllm_build.patchset import apply as room

    patch_set = _loaded(patches, given, tag)
    folder = _tree(tree, patch_set.tag)
    act = room.unapply if reverse else room.apply
    result = act(
        patch_set, folder, on_event=render.note, target=target, check=check or dry_run, restore=restore
    )
    if as_json:
        render.data(_apply_data(result, patch_set, folder))
    else:
        _show_applied(
            result, patch_set, folder, reverse=reverse, written=not (check or dry_run), each=dry_run
        )
    return 0


def status(
    given: TagArgument = None,
    *,
    tag: TagOption = None,
    tree: TreeOption = None,
    target: TargetOption = "vllm",
    patches: PatchesOption = None,
    as_json: JsonOption = False,
) -> int:
    from winvllm_build.patchset.status import TreeState
    from winvllm_build.patchset.status import status as examine

    patch_set = _loaded(patches, given, tag)
    found = examine(patch_set, _tree(tree, patch_set.tag), target=target)
    if as_json:
        render.data(_status_data(found, patch_set))
    else:
        _show_status(found, patch_set)
    if found.state in (TreeState.WRONG_BASE, TreeState.FOREIGN):
        return BAD_TREE
    sound = found.state in (TreeState.PRISTINE, TreeState.APPLIED) and found.interrupted is None
    return 0 if sound else FINDINGS


def regen(
    given: TagArgument = None,
    *,
    tag: TagOption = None,
    tree: TreeOption = None,
    layer: Annotated[
        str, typer.Option("--layer", help="Where patches of newly changed files go.")
    ] = "windows",
    target: TargetOption = "vllm",
    new: Annotated[list[str] | None, typer.Option("--new", help="Untracked files to add: a glob.")] = None,
    headers: Annotated[
        Path | None, typer.Option("--headers", help="Folder of <path>.hdr files that replace headers.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; differences are an error.")] = False,
    relock: Annotated[
        bool, typer.Option("--relock", help="Only prove the patch files and lock them.")
    ] = False,
    allow_empty: Annotated[bool, typer.Option("--allow-empty", help="Remove all patches.")] = False,
    patches: PatchesOption = None,
    as_json: JsonOption = False,
) -> int:
    from winvllm_build.errors import UsageError
    from winvllm_build.patchset import regen as room

    root, chosen = _chosen(patches, given, tag)
    folder = _tree(tree, chosen)
    if relock and (check or new or headers):
        raise UsageError(
            "--relock takes the patch files as they are", fix="leave out --check, --new, --headers"
        )
    if relock:
        result = room.relock(root, chosen, folder, on_event=render.note, target=target)
    else:
        result = room.regen(
            root, chosen, folder, on_event=render.note, layer=layer, target=target, new=tuple(new or ()),
            headers=headers, check=check, allow_empty=allow_empty,
        )  # fmt: skip
    if as_json:
        render.data(_regen_data(result, chosen))
    else:
        _show_regenerated(result, root)
    return 0


def _chosen(patches: Path | None, given: str | None, option: str | None) -> tuple[Path, str]:
    """The folder of patch sets and the tag."""
    from winvllm_build import data
    from winvllm_build.errors import UsageError
    from winvllm_build.patchset.patchset import tags

    root = patches.absolute() if patches else data.patches_root()
    if given and option and given != option:
        raise UsageError(f"two tags are named: {given} and {option}", fix="name one")
    known = tags(root)
    chosen = given or option or (known[-1] if known else None)
    if chosen is None:
        raise UsageError(f"there is no patch set in {root}", fix="name another folder with --patches")
    return root, chosen


def _loaded(patches: Path | None, given: str | None, option: str | None) -> PatchSet:
    from winvllm_build.patchset.patchset import load

    patch_set = load(*_chosen(patches, given, option))
    for notice in patch_set.notices:
        render.note(f"note: {notice}")
    return patch_set


def _tree(given: Path | None, tag: str) -> Path:
    """The tree named, else the working folder if it is one, else the only tree made for `tag`."""
    from winvllm_build.errors import UsageError
    from winvllm_build.workspace import Workspace

    if given is not None:
        return given.absolute()
    here = Path.cwd()
    if (here / ".git").exists() and (here / "vllm").is_dir():
        return here
    made = sorted(Workspace.default().trees.glob(f"{tag}-*"))
    if len(made) == 1:
        return made[0]
    listed = "".join(f"\n  {folder}" for folder in made)
    raise UsageError(
        f"several trees were made for {tag}:{listed}" if made else f"no tree was made for {tag} yet",
        fix="name the source tree with --tree",
    )


def _show_applied(
    result: ApplyResult, patch_set: PatchSet, folder: Path, *, reverse: bool, written: bool, each: bool
) -> None:
    if each:
        for path in result.files:
            render.out(path)
    took = render.duration(result.seconds)
    if result.already:
        state = "upstream's files are in place" if reverse else f"{patch_set.tag} is applied"
        render.out(f"{folder}: {state}, nothing to do ({took})")
    elif written:
        verb = "taken back from" if reverse else "applied to"
        render.out(f"{patch_set.tag}: {len(result.files)} patches {verb} {folder} ({took})")
    else:
        verb = "would be taken back" if reverse else "apply exactly"
        render.out(f"{patch_set.tag}: {len(result.files)} patches {verb}; nothing was written ({took})")


def _show_status(found: TreeStatus, patch_set: PatchSet) -> None:
    render.out(f"{found.worktree}: {found.state.value} ({patch_set.tag}, {len(found.files)} patched files)")
    if found.detail:
        render.out(f"  {found.detail}")
    if found.interrupted:
        render.out(f"  an {found.interrupted} was interrupted; the next apply finishes it or rolls it back")
    if sys.stdout.isatty() and found.files:
        _show_table(found)
        return
    for file in found.files:
        render.out(f"  {file.state.value:<9} {file.path}{f' - {file.detail}' if file.detail else ''}")


def _show_table(found: TreeStatus) -> None:
    from rich.table import Table

    from winvllm_build.patchset.status import FileState

    styles = {FileState.PRISTINE: "dim", FileState.APPLIED: "green"}
    table = Table(box=None, pad_edge=True, header_style="bold")
    for title in ("state", "file", ""):
        table.add_column(title, overflow="fold")
    for file in found.files:
        table.add_row(file.state.value, file.path, file.detail, style=styles.get(file.state, "red"))
    render.console().print(table)


def _show_regenerated(result: RegenResult, root: Path) -> None:
    for file in result.written:
        render.out(f"  written  {file.relative_to(root).as_posix()}")
    for file in result.removed:
        render.out(f"  removed  {file.relative_to(root).as_posix()}")
    for orphan in result.orphans:
        render.note(f"note: the hunk of this note is gone, the note is kept: {orphan}")
    for finding in result.findings:
        render.note(f"note: {finding}")
    lock = "lock written" if result.relocked else "lock unchanged"
    render.out(
        f"{len(result.written)} written, {len(result.removed)} removed, {len(result.unchanged)} unchanged, "
        f"{lock} ({render.duration(result.seconds)})"
    )


def _apply_data(result: ApplyResult, patch_set: PatchSet, folder: Path) -> dict[str, Any]:
    return {
        "tag": patch_set.tag, "worktree": str(folder), "files": list(result.files), "already": result.already,
        "seconds": round(result.seconds, 3), "tree": result.tree, "recovered": result.recovered,
        "saved": result.saved,
    }  # fmt: skip


def _status_data(found: TreeStatus, patch_set: PatchSet) -> dict[str, Any]:
    return {
        "tag": patch_set.tag, "worktree": str(found.worktree), "state": found.state.value,
        "base": found.base, "interrupted": found.interrupted, "detail": found.detail,
        "files": [{"path": f.path, "state": f.state.value, "detail": f.detail} for f in found.files],
        "findings": list(patch_set.findings),
    }  # fmt: skip


def _regen_data(result: RegenResult, tag: str) -> dict[str, Any]:
    return {
        "tag": tag, "written": [str(f) for f in result.written], "removed": [str(f) for f in result.removed],
        "unchanged": len(result.unchanged), "orphans": list(result.orphans),
        "findings": list(result.findings), "relocked": result.relocked, "seconds": round(result.seconds, 3),
    }  # fmt: skip
