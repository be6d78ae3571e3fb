"""`winvllm-build tags`: which tags there are, a manifest for a new one, what changed between two."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from winvllm_build.cli import render
from winvllm_build.cli.patches import JsonOption, PatchesOption

if TYPE_CHECKING:
    from winvllm_build.index import Index
    from winvllm_build.intake.add import AddResult
    from winvllm_build.intake.listing import KnownTag
    from winvllm_build.workspace import Workspace

HELP = """The tags of vLLM: known ones, a manifest for a new one, and what changed between two.

\b
Examples:
  winvllm-build tags list                     patch sets, cached sources, releases
  winvllm-build tags diff v0.14.1 v0.19.0     what to know before a patch set is carried over
  winvllm-build tags add v0.19.0              write patches/v0.19.0/patchset.toml
"""
LIST_HELP = """Every tag that is known: with a patch set, with a cached source, released on the package index.

\b
Examples:
  winvllm-build tags list
  winvllm-build tags list --all               releases before the first patch set too
  winvllm-build tags list --offline --json    only what is here, as data
"""
ADD_HELP = """Write the manifest of a new tag: pinned, its facts read from its files, the rest carried over.

Read are the archive's hash, the tag's commit (where git can be reached), Python, torch, and each project
that CMake fetches with its revision, variable, targets and architectures. Carried are topics, layers, CUDA,
and what belongs to a revision that did not change. What nobody says is marked TODO in the file.

\b
Examples:
  winvllm-build tags add v0.19.0 --dry-run    print the file, write nothing
  winvllm-build tags add v0.19.0              carried from the newest older set
  winvllm-build tags add v0.19.0 --from v0.14.1
  winvllm-build tags add v0.19.0 --update     add commits to a file that is there; edits are kept
"""
DIFF_HELP = """The rebase brief: what two tags differ in, as far as building and patching go.

\b
Examples:
  winvllm-build tags diff v0.14.1 v0.19.0
  winvllm-build tags diff v0.14.1 v0.19.0 --verbose   every file and every condition
  winvllm-build tags diff v0.14.1 v0.19.0 --json
With a patch set for the older tag it says what upstream did to each patched file.
"""
OfflineOption = Annotated[bool, typer.Option("--offline", help="Use only what is cached.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)
    group.command("list", help=LIST_HELP)(list_)
    group.command("add", help=ADD_HELP)(add)
    group.command("diff", help=DIFF_HELP)(diff)
    app.add_typer(group, name="tags")


def list_(
    *,
    every: Annotated[bool, typer.Option("--all", help="Releases before the first patch set too.")] = False,
    offline: OfflineOption = False,
    patches: PatchesOption = None,
    as_json: JsonOption = False,
) -> int:
    from winvllm_build.cli import tags_text
    from winvllm_build.intake.listing import known_tags, order

    workspace, index = _doors(offline=offline)
    found = known_tags(
        _root(patches), workspace=workspace, index=None if offline else index, on_event=render.note
    )
    if as_json:
        render.data([_tag_data(tag) for tag in found])
        return 0
    first = min((order(tag.tag) for tag in found if tag.has_set), default=None)
    shown = [tag for tag in found if every or first is None or tag.cached or order(tag.tag) >= first]
    tags_text.show_list(shown, hidden=len(found) - len(shown))
    return 0


def add(
    tag: Annotated[str, typer.Argument(metavar="TAG", help="The new tag, like v0.19.0.")],
    *,
    previous: Annotated[
        str | None, typer.Option("--from", metavar="OLD", help="Carry from this set; default: newest older.")
    ] = None,
    update: Annotated[bool, typer.Option("--update", help="Add what a file that is there lacks.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Print the file, write nothing.")] = False,
    offline: OfflineOption = False,
    patches: PatchesOption = None,
    as_json: JsonOption = False,
) -> int:
    from winvllm_build.cli import tags_text
    from winvllm_build.intake.add import add_tag

    workspace, index = _doors(offline=offline)
    made = add_tag(
        _root(patches), tag, previous=previous, workspace=workspace, index=index, offline=offline,
        on_event=render.note, update=update, dry_run=dry_run,
    )  # fmt: skip
    if as_json:
        render.data(_add_data(made))
    else:
        tags_text.show_added(made, dry_run=dry_run, update=update)
    return 0


def diff(
    old: Annotated[str, typer.Argument(metavar="OLD", help="The older tag.")],
    new: Annotated[str, typer.Argument(metavar="NEW", help="The newer tag.")],
    *,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Every file, every condition.")] = False,
    offline: OfflineOption = False,
    patches: PatchesOption = None,
    as_json: JsonOption = False,
) -> int:
    from winvllm_build.cli import brief_text
    from winvllm_build.intake.brief import brief

    workspace, index = _doors(offline=offline)
    made = brief(
        _root(patches), old, new, workspace=workspace, index=index, offline=offline, on_event=render.note
    )
    if as_json:
        render.data(brief_text.data(made))
    else:
        brief_text.show(made, verbose=verbose)
    return 0


def _root(patches: Path | None) -> Path:
    from winvllm_build import data

    return patches.absolute() if patches else data.patches_root()


def _doors(*, offline: bool) -> tuple[Workspace, Index]:
    from winvllm_build.index import Index
    from winvllm_build.workspace import Workspace

    workspace = Workspace.default()
    return workspace, Index(workspace, offline=offline, on_event=render.note)


def _tag_data(tag: KnownTag) -> dict[str, Any]:
    return {
        "tag": tag.tag, "patch_set": tag.has_set, "locked": tag.locked, "patches": tag.patches,
        "layers": dict(tag.layers), "cached": list(tag.cached), "sdist": tag.sdist,
    }  # fmt: skip


def _add_data(made: AddResult) -> dict[str, Any]:
    sdist = made.pin.sdist
    return {
        "tag": made.tag, "manifest": str(made.manifest), "written": made.written, "previous": made.previous,
        "commit": made.pin.commit, "abbreviated": made.pin.abbreviated, "added": list(made.added),
        "sdist": None if sdist is None else {"version": sdist.version, "sha256": sdist.sha256},
        "dependencies": {
            **{one.name: {
                "state": one.state.value, "url": one.url, "revision": one.pin.revision, "commit": one.commit,
                "before": one.before.revision if one.before else None, "targets": list(one.targets),
                "archs": list(one.archs), "variable": one.variable, "content": one.pin.content,
            } for one in made.dependencies},
            **{pin.name: {"state": "gone", "url": pin.url, "before": pin.revision} for pin in made.gone},
        },
        "todos": list(made.todos), "text": made.text, "seconds": round(made.seconds, 3),
    }  # fmt: skip
