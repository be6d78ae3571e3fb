"""`winvllm-build export` and `import`: a patch set to and from the one patch file others work with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from winvllm_build.cli import outfile, render
from winvllm_build.cli.patches import PatchesOption, TagArgument, TagOption, TargetOption

if TYPE_CHECKING:
    from winvllm_build.patchset.diff import Diff
    from winvllm_build.review.export import Choice

EXPORT_HELP = """Write the patches of a set as one file for `git apply` or `patch`, or as mails for `git am`.

\b
Examples:
  winvllm-build export v0.14.1 -o vllm-windows.patch
  winvllm-build export -o msvc.patch --topic msvc
  winvllm-build export --sdist -o vllm-0.14.1.patch     for the unpacked source archive
  winvllm-build export --format mbox -o series.mbox     then: git am --keep-cr series.mbox
Use -o rather than > in PowerShell, which writes UTF-16.
"""
FORMATS = ("patch", "mbox")

LayersOption = Annotated[
    list[str] | None, typer.Option("--layer", help="An optional layer to take too; repeatable.")
]
OfflineOption = Annotated[bool, typer.Option("--offline", help="Use only what is cached.")]


def register(app: typer.Typer) -> None:
    app.command(help=EXPORT_HELP)(export)


def export(
    given: TagArgument = None,
    *,
    tag: TagOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; default: standard output.")
    ] = None,
    form: Annotated[str, typer.Option("--format", help="patch or mbox.")] = "patch",
    layer: LayersOption = None,
    topic: Annotated[list[str] | None, typer.Option("--topic", help="Only patches of this topic.")] = None,
    sdist: Annotated[
        bool, typer.Option("--sdist", help="For the unpacked source archive instead of a git checkout.")
    ] = False,
    target: TargetOption = "vllm",
    offline: OfflineOption = False,
    patches: PatchesOption = None,
) -> int:
    from winvllm_build.cli.patches import loaded_set
    from winvllm_build.errors import UsageError
    from winvllm_build.patchset.layers import select
    from winvllm_build.review.export import choose, patch_file

    outfile.require_folder(output)
    if form not in FORMATS:
        raise UsageError(f"there is no format {form!r}", fix=f"known: {', '.join(FORMATS)}")
    if form == "mbox" and sdist:
        raise UsageError("`git am` needs a git checkout, not an unpacked archive", fix="leave out --sdist")
    patch_set = loaded_set(patches, given, tag)
    choice = choose(patch_set, select(patch_set.manifest, layer or ()), target, topic or ())
    diffs = _diffs(choice, offline=offline)
    content = _mails(choice, diffs) if form == "mbox" else patch_file(choice, diffs, unpacked=sdist)
    if output is None:
        render.raw(content)
    else:
        from winvllm_build.workspace import write_atomic

        write_atomic(output.absolute(), content)
    where = f" in {output}" if output else ""
    render.note(f"{patch_set.tag}: {len(diffs)} patches, {render.size(len(content))}{where}")
    return 0


def _diffs(choice: Choice, *, offline: bool) -> list[Diff]:
    """Of each file; where layers share one the source is needed to compose them."""
    from winvllm_build.review.export import composed_diffs, plain_diffs

    if not choice.shared:
        return plain_diffs(choice)
    from winvllm_build.choices import SourceKind
    from winvllm_build.errors import UsageError
    from winvllm_build.patchset.patchset import MAIN_TARGET
    from winvllm_build.patchset.worktree import scratch_of
    from winvllm_build.sources.source import acquire
    from winvllm_build.workspace import Workspace

    if choice.target != MAIN_TARGET:
        raise UsageError(
            f"several layers change {', '.join(choice.shared)}; the source of {choice.target} is not at hand",
            fix="export one layer at a time",
        )
    source = acquire(
        choice.patch_set.pin, kind=SourceKind.AUTO, location=None, workspace=Workspace.default(),
        offline=offline, on_event=render.note,
    )  # fmt: skip
    with scratch_of(source.repository / "objects") as git:
        return composed_diffs(choice, git, source.tree)


def _mails(choice: Choice, diffs: list[Diff]) -> bytes:
    from winvllm_build.review.mbox import mbox

    if any(b"\r\n" in diff.text for diff in diffs):
        render.note("note: it changes lines that end in CRLF; apply it with `git am --keep-cr`")
    pairs = [(diff, [patch for patch in choice.patches if patch.path == diff.path]) for diff in diffs]
    return mbox(pairs, choice.patch_set.target(choice.target).commit)
