"""`winvllm-build apply`, `status` and `regen`: the patch set and the tree it is applied to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from winvllm_build.cli import render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from winvllm_build.patchset.patchset import PatchSet

APPLY_HELP = """Apply the patch set of a tag: exactly, all or nothing, rewriting only the patched files.

\b
Examples:
  winvllm-build apply                       the newest tag, on the tree the tool made
  winvllm-build apply v0.14.1 --tree ../vllm
  winvllm-build apply --check               prove that it would apply; writes nothing
  winvllm-build apply --reverse             take the patches back
  winvllm-build apply --dry-run             list the files with their added and removed lines
  winvllm-build apply --restore             replace edits too, kept as a commit first
  winvllm-build apply --layer NAME          with an optional layer and those it requires
Without --layer the required layer alone is applied; optional ones that are there are taken back.
"""
STATUS_HELP = """Where a source tree stands: pristine, applied, outdated, partial, dirty, wrong base, foreign.

Outdated: an earlier version of the patch set is applied, or other layers than those asked for, and nobody
edited them; `apply` brings the tree up to date.

\b
Examples:
  winvllm-build status
  winvllm-build status --verbose            every patched file, also where all are alike
  winvllm-build status v0.14.1 --tree ../vllm --json
  winvllm-build status --layer NAME         compared with an optional layer applied too
Exit code 0: pristine or applied; 1: outdated, partial, dirty or interrupted; 10: wrong base or foreign.
"""
REGEN_HELP = """Write the patch files anew from an edited tree; headers and hunk notes are kept.

\b
Examples:
  winvllm-build regen                              after editing patched files
  winvllm-build regen --new "vllm/platforms/*.py"  with new files
  winvllm-build regen --check                      exit code 1 if a patch file would change
  winvllm-build regen --relock                     take the patch files as they are, write the lock
  winvllm-build regen --layer NAME                 the edits go to that layer; layers on top of it follow
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
LayerOption = Annotated[
    list[str] | None,
    typer.Option("--layer", metavar="NAME", help="Optional layer of patches; repeat for more."),
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
    layer: LayerOption = None,
    target: TargetOption = "vllm",
    patches: PatchesOption = None,
    as_json: JsonOption = False,
) -> int:
    from winvllm_build.cli import patches_shown as shown
    from winvllm_build.patchset import apply as room
    from winvllm_build.patchset.layers import select

    patch_set = loaded_set(patches, given, tag)
    chosen = select(patch_set.manifest, layer or ())
    options = [*chosen.options, *_flags(check=check, dry_run=dry_run, reverse=reverse, restore=restore)]
    folder = _tree(
        tree, patch_set.tag, "apply", options, patches=patches, target=target, layers=chosen.optional
    )
    act = room.unapply if reverse else room.apply
    result = act(
        patch_set, folder, on_event=render.note, target=target, selection=chosen, check=check or dry_run,
        restore=restore,
    )  # fmt: skip
    if as_json:
        render.data(shown.apply_data(result, patch_set, folder, chosen))
    else:
        if dry_run:
            shown.show_lines(result, patch_set, target, chosen, reverse=reverse)
        name = shown.named(patch_set, chosen)
        shown.show_applied(result, name, folder, reverse=reverse, written=not (check or dry_run))
    return 0


def status(
    given: TagArgument = None,
    *,
    tag: TagOption = None,
    tree: TreeOption = None,
    layer: LayerOption = None,
    target: TargetOption = "vllm",
    patches: PatchesOption = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="List every patched file.")] = False,
    as_json: JsonOption = False,
) -> int:
    from winvllm_build.cli import patches_shown as shown
    from winvllm_build.patchset.layers import select
    from winvllm_build.patchset.status import TreeState
    from winvllm_build.patchset.status import status as examine

    patch_set = loaded_set(patches, given, tag, allow_open=True)
    chosen = select(patch_set.manifest, layer or ())
    folder = _tree(
        tree, patch_set.tag, "status", chosen.options, patches=patches, target=target, layers=chosen.optional
    )
    found = examine(patch_set, folder, target=target, selection=chosen)
    if as_json:
        render.data(shown.status_data(found, patch_set))
    else:
        shown.show_status(found, patch_set, verbose=verbose)
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
        str | None,
        typer.Option(
            "--layer", metavar="NAME", help="The layer that the edits go to, if several are applied."
        ),
    ] = None,
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
    from winvllm_build.cli import patches_shown as shown
    from winvllm_build.errors import UsageError
    from winvllm_build.patchset import regen as room

    root, chosen = chosen_set(patches, given, tag)
    options = [*_flags(check=check, relock=relock, allow_empty=allow_empty)]
    options += [word for glob in new or () for word in ("--new", glob)]
    options += ["--layer", layer] if layer is not None else []
    options += ["--headers", str(headers)] if headers else []
    folder = _tree(tree, chosen, "regen", options, patches=patches, target=target)
    if relock and (check or new or headers or layer):
        raise UsageError(
            "--relock takes the patch files as they are, of every layer",
            fix="leave out --check, --new, --headers, --layer",
        )
    if relock:
        result = room.relock(root, chosen, folder, on_event=render.note, target=target)
    else:
        result = room.regen(
            root, chosen, folder, on_event=render.note, layer=layer, target=target, new=tuple(new or ()),
            headers=headers, check=check, allow_empty=allow_empty,
        )  # fmt: skip
    if as_json:
        render.data(shown.regen_data(result, chosen))
    else:
        shown.show_regenerated(result, root)
    return 0


def chosen_set(patches: Path | None, given: str | None, option: str | None) -> tuple[Path, str]:
    """The folder of patch sets and the tag."""
    from winvllm_build import data
    from winvllm_build.errors import UsageError
    from winvllm_build.patchset.patchset import newest

    root = patches.absolute() if patches else data.patches_root()
    if given and option and given != option:
        raise UsageError(f"two tags are named: {given} and {option}", fix="name one")
    chosen = given or option or newest(root)
    if chosen is None:
        raise UsageError(f"there is no patch set in {root}", fix="name another folder with --patches")
    return root, chosen


def loaded_set(
    patches: Path | None, given: str | None, option: str | None, *, allow_open: bool = False
) -> PatchSet:
    from winvllm_build.patchset.patchset import load

    patch_set = load(*chosen_set(patches, given, option), allow_open=allow_open)
    for notice in patch_set.notices:
        render.note(f"note: {notice}")
    return patch_set


def _flags(**chosen: bool) -> tuple[str, ...]:
    return tuple(f"--{name.replace('_', '-')}" for name, wanted in chosen.items() if wanted)


def _tree(
    given: Path | None, tag: str, verb: str, options: Sequence[str], *, patches: Path | None, target: str,
    layers: Sequence[str] | None = None,
) -> Path:  # fmt: skip
    """The tree named, else the worktree around the working folder, else the only tree made for `tag`.

    Of several trees made for the tag those count that a build made with exactly `layers`, if there are any.
    """
    from winvllm_build.build.trees import layers_suffix
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
    if layers is not None:
        _, plus, names = layers_suffix(layers).partition("+")
        alike = [f for f in made if f.name.removeprefix(tag).partition("+")[1:] == (plus, names)]
        made = alike or made
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
