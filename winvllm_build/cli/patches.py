"""`winvllm-build apply`, `status` and `regen`: the patch set and the tree it is applied to."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from winvllm_build.cli import render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from winvllm_build.git import RepoPath
    from winvllm_build.patchset.apply import ApplyResult
    from winvllm_build.patchset.linecount import LineCount
    from winvllm_build.patchset.patchset import PatchSet
    from winvllm_build.patchset.rewrite import RegenResult
    from winvllm_build.patchset.status import FileStatus, TreeStatus

APPLY_HELP = """Apply the patch set of a tag: exactly, all or nothing, rewriting only the patched files.

\b
Examples:
  winvllm-build apply                       the newest tag, on the tree the tool made
  winvllm-build apply v0.14.1 --tree ../vllm
  winvllm-build apply --check               prove that it would apply; writes nothing
  winvllm-build apply --reverse             take the patches back
  winvllm-build apply --dry-run             list the files with their added and removed lines
  winvllm-build apply --restore             replace edits too, kept as a commit first
"""
STATUS_HELP = """Where a source tree stands: pristine, applied, outdated, partial, dirty, wrong base, foreign.

Outdated: an earlier version of the patch set is applied; `apply` brings it up to date.

\b
Examples:
  winvllm-build status
  winvllm-build status --verbose            every patched file, also where all are alike
  winvllm-build status v0.14.1 --tree ../vllm --json
Exit code 0: pristine or applied; 1: outdated, partial, dirty or interrupted; 10: wrong base or foreign.
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

    patch_set = loaded_set(patches, given, tag)
    options = _flags(check=check, dry_run=dry_run, reverse=reverse, restore=restore)
    folder = _tree(tree, patch_set.tag, "apply", options, patches=patches, target=target)
    act = room.unapply if reverse else room.apply
    result = act(
        patch_set, folder, on_event=render.note, target=target, check=check or dry_run, restore=restore
    )
    if as_json:
        render.data(_apply_data(result, patch_set, folder))
    else:
        if dry_run:
            _show_lines(result, patch_set, target, reverse=reverse)
        _show_applied(result, patch_set, folder, reverse=reverse, written=not (check or dry_run))
    return 0


def status(
    given: TagArgument = None,
    *,
    tag: TagOption = None,
    tree: TreeOption = None,
    target: TargetOption = "vllm",
    patches: PatchesOption = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="List every patched file.")] = False,
    as_json: JsonOption = False,
) -> int:
    from winvllm_build.patchset.status import TreeState
    from winvllm_build.patchset.status import status as examine

    patch_set = loaded_set(patches, given, tag)
    folder = _tree(tree, patch_set.tag, "status", (), patches=patches, target=target)
    found = examine(patch_set, folder, target=target)
    if as_json:
        render.data(_status_data(found, patch_set))
    else:
        _show_status(found, patch_set, verbose=verbose)
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

    root, chosen = chosen_set(patches, given, tag)
    options = [*_flags(check=check, relock=relock, allow_empty=allow_empty)]
    options += [word for glob in new or () for word in ("--new", glob)]
    options += ["--layer", layer] if layer != "windows" else []
    options += ["--headers", str(headers)] if headers else []
    folder = _tree(tree, chosen, "regen", options, patches=patches, target=target)
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


def chosen_set(patches: Path | None, given: str | None, option: str | None) -> tuple[Path, str]:
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


def loaded_set(patches: Path | None, given: str | None, option: str | None) -> PatchSet:
    from winvllm_build.patchset.patchset import load

    patch_set = load(*chosen_set(patches, given, option))
    for notice in patch_set.notices:
        render.note(f"note: {notice}")
    return patch_set


def _flags(**chosen: bool) -> tuple[str, ...]:
    return tuple(f"--{name.replace('_', '-')}" for name, wanted in chosen.items() if wanted)


def _tree(
    given: Path | None, tag: str, verb: str, options: Sequence[str], *, patches: Path | None, target: str
) -> Path:
    """The tree named, else the worktree around the working folder, else the only tree made for `tag`."""
    from winvllm_build.errors import UsageError
    from winvllm_build.patchset import advice
    from winvllm_build.workspace import Workspace

    if given is not None:
        return given.absolute()
    if target != advice.MAIN_TARGET:
        raise UsageError(f"the tree of {target} is not named", fix="name it with --tree")
    here = _worktree_around(Path.cwd())
    if here is not None:
        return here
    trees = Workspace.default().trees
    made = [folder for folder in sorted(trees.glob(f"{tag}-sm*")) if (folder / ".git").exists()]
    if len(made) == 1:
        return made[0]
    root = patches.absolute() if patches else None
    if not made:
        source = advice.command("source", tag, "--tree", "FOLDER", root=root)
        raise UsageError(
            f"no tree was made for {tag} yet",
            fix=f"name a source tree with --tree, or make one: {source}, or winvllm-build build",
        )
    lines = [f"  {advice.command(verb, tag, *options, root=root, tree=folder)}" for folder in made]
    raise UsageError(f"{len(made)} trees were made for {tag}", fix="\n".join(["name one of them:", *lines]))


def _worktree_around(folder: Path) -> Path | None:
    """The top of the vLLM worktree that `folder` lies in."""
    from winvllm_build.git import Git

    done = Git(folder).run("rev-parse", "--show-toplevel", ok=(0, 128))
    top = Path(done.text.strip()) if done.code == 0 and done.text.strip() else None
    return top if top is not None and (top / "vllm").is_dir() else None


def _show_lines(result: ApplyResult, patch_set: PatchSet, target: str, *, reverse: bool) -> None:
    """Each file that would be rewritten with its added and removed lines, and their total."""
    from winvllm_build.patchset.linecount import LineCount, count

    diffs = {patch.path: patch.content.diff for patch in patch_set.of(target)}
    counts: dict[RepoPath, LineCount] = {
        path: count(diffs[path]) if path in diffs else LineCount() for path in result.files
    }
    for path, lines in counts.items():
        render.out(f"  {_changed(lines, reverse=reverse)}  {path}")
    if counts:
        total = sum(counts.values(), LineCount())
        render.out(f"  {_changed(total, reverse=reverse)}  lines in {len(counts)} files")


def _changed(lines: LineCount, *, reverse: bool) -> str:
    added, removed = (lines.removed, lines.added) if reverse else (lines.added, lines.removed)
    return f"{f'+{added}':>6} {f'-{removed}':>6}"


def _show_applied(
    result: ApplyResult, patch_set: PatchSet, folder: Path, *, reverse: bool, written: bool
) -> None:
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


def _show_status(found: TreeStatus, patch_set: PatchSet, *, verbose: bool) -> None:
    from winvllm_build.patchset.status import FileState

    order = (FileState.DIRTY, FileState.MISSING, FileState.OUTDATED, FileState.PRISTINE, FileState.APPLIED)
    counts = {state: len(found.having(state)) for state in order if found.having(state)}
    mixed = len(counts) > 1
    told = ": " + ", ".join(f"{number} {state.value}" for state, number in counts.items()) if mixed else ""
    render.out(
        f"{found.worktree}: {found.state.value} ({patch_set.tag}, {len(found.files)} patched files{told})"
    )
    if found.detail:
        render.out(f"  {found.detail}")
    if found.state.value == "outdated":
        render.out("  an earlier version of the patch set is applied; `apply` brings it up to date")
    if found.interrupted:
        render.out(f"  an {found.interrupted} was interrupted; the next apply finishes it or rolls it back")
    if mixed or verbose:
        _show_files([file for state in order for file in found.having(state)])


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
