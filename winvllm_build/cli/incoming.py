"""`winvllm-build import`: anyone's patch or branch becomes patches of a set."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from winvllm_build.cli import render
from winvllm_build.cli.exchange import OfflineOption
from winvllm_build.cli.patches import JsonOption, PatchesOption, TagArgument, TagOption, TargetOption

if TYPE_CHECKING:
    from winvllm_build.review.arrival import PatchFiles
    from winvllm_build.review.import_verdict import FileVerdict
    from winvllm_build.review.importing import BranchName, ImportResult

IMPORT_HELP = """Turn a patch file or a branch into patches of a set, one for each file, headers to be filled.

Takes what git diff, git format-patch and diff -u write, mailboxes, and a folder of such files; with --repo a
branch or BASE..BRANCH. Every file gets a verdict: exact, already there, 3-way, offset, fuzzy, or failed.
If one fails nothing is written.

\b
Examples:
  winvllm-build import windows.patch                    into the newest set
  winvllm-build import windows.patch --base v0.13.0     made for another tag: carried over by merge
  winvllm-build import my-branch --repo ../vllm
  winvllm-build import v0.14.1..work --repo ../vllm --layer turbo
  winvllm-build import windows.patch --dry-run --fuzz
  winvllm-build import windows.patch --partial --reject left-over
Exit code 3: something failed.
"""
STYLES: Final = {
    "exact": "green", "already there": "dim", "3-way": "cyan", "offset": "yellow", "fuzzy": "yellow",
    "failed": "red",
}  # fmt: skip


def register(app: typer.Typer) -> None:
    app.command(name="import", help=IMPORT_HELP)(import_)


def import_(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="A patch file, a folder of them, -, or a branch of --repo."),
    ],
    given: TagArgument = None,
    *,
    tag: TagOption = None,
    repo: Annotated[
        Path | None, typer.Option("--repo", help="SOURCE is a branch or BASE..BRANCH of this repository.")
    ] = None,
    base: Annotated[
        str | None,
        typer.Option("--base", help="What a branch started from; of a patch file, the tag it is made for."),
    ] = None,
    layer: Annotated[str, typer.Option("--layer", metavar="NAME", help="Where the patches go.")] = "windows",
    target: TargetOption = "vllm",
    tree: Annotated[
        Path | None, typer.Option("--tree", help="Take the tag's files from the HEAD of this worktree.")
    ] = None,
    strip: Annotated[
        int | None, typer.Option("--strip", "-p", min=0, help="Leading folders of names to take off.")
    ] = None,
    fuzz: Annotated[
        bool, typer.Option("--fuzz", help="Take hunks that fit only at other lines or with less context.")
    ] = False,
    instead: Annotated[
        list[str] | None, typer.Option("--replace", metavar="PATH", help="Replace the set's patch of it.")
    ] = None,
    partial: Annotated[bool, typer.Option("--partial", help="Write what is clean.")] = False,
    reject: Annotated[
        Path | None, typer.Option("--reject", metavar="FOLDER", help="Write what failed there.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would come of it.")] = False,
    kind: Annotated[
        str, typer.Option("--kind", help="The tag's source: auto, git, local or sdist.")
    ] = "auto",
    location: Annotated[
        str | None, typer.Option("--location", help="Repository, folder or archive for --kind local.")
    ] = None,
    offline: OfflineOption = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="List every file.")] = False,
    patches: PatchesOption = None,
    as_json: JsonOption = False,
) -> int:
    from winvllm_build.cli.patches import chosen_set
    from winvllm_build.cli.sources import kind_of
    from winvllm_build.review.arrival import write_rejects
    from winvllm_build.review.importing import Origin, Request, import_changes

    root, name = chosen_set(patches, given, tag)
    request = Request(
        root=root, tag=name, layer=layer, target=target, made_for=None if repo else base,
        instead=tuple(instead or ()), partial=partial, dry_run=dry_run,
        origin=Origin(
            tree=tree.absolute() if tree else None, kind=kind_of(kind), location=location, offline=offline
        ),
        command=f"winvllm-build import {source} {name}",
    )  # fmt: skip
    incoming = _incoming(source, repo, base, strip=strip, fuzz=fuzz)
    result = import_changes(request, incoming, on_event=render.note)
    if reject is not None:
        for file in write_rejects(result.rejects, reject.absolute()):
            render.note(f"rejected: {file}")
    if as_json:
        render.data(_data(result, name))
    else:
        _show(result, root, name, verbose=verbose)
    return _end(result, fuzz=fuzz, partial=partial, as_json=as_json)


def _incoming(
    source: str, repo: Path | None, base: str | None, *, strip: int | None, fuzz: bool
) -> PatchFiles | BranchName:
    from winvllm_build.errors import UsageError
    from winvllm_build.review.arrival import PatchFiles
    from winvllm_build.review.importing import BranchName
    from winvllm_build.review.messages import files_of

    if repo is not None:
        return BranchName(repository=repo, revision=source, base=base)
    if source == "-":
        files = [("standard input", sys.stdin.buffer.read())]
    elif Path(source).exists():
        files = [(str(file), file.read_bytes()) for file in files_of(Path(source))]
    else:
        raise UsageError(
            f"there is no file {source}",
            fix="name a patch file, or for a branch its repository with --repo; a URL is fetched first",
        )
    return PatchFiles(files=files, strip=strip, fuzz=fuzz)


def _end(result: ImportResult, *, fuzz: bool, partial: bool, as_json: bool) -> int:
    """The exit code, or the error where something failed."""
    from winvllm_build.errors import ConflictError
    from winvllm_build.review.import_verdict import Verdict

    if not result.failed:
        return 0
    if as_json:  # the data says it all
        return ConflictError.exit_code
    done = "the others were written" if result.written is not None else "nothing was written"
    ways = [] if partial else ["--partial to write the others"]
    inexact = any("--fuzz" in one.detail for one in result.failed)
    ways += ["--fuzz to take what fits only nearly"] if inexact and not fuzz else []
    ways += ["--reject FOLDER to have what failed as files"]
    total = sum(one.verdict is not Verdict.ALREADY for one in result.verdicts)
    raise ConflictError(
        f"{len(result.failed)} of {total} files failed (see above); {done}",
        fix=f"make those changes by hand (winvllm-build shell), or add {', or '.join(ways)}",
    )


def _show(result: ImportResult, root: Path, tag: str, *, verbose: bool) -> None:
    from winvllm_build.review.admission import SAME
    from winvllm_build.review.import_verdict import Verdict

    plain = ("", SAME)
    listed = [
        one
        for one in result.verdicts
        if verbose or one.detail not in plain or one.verdict not in (Verdict.EXACT, Verdict.ALREADY)
    ]
    for one in sorted(listed, key=lambda one: (-list(Verdict).index(one.verdict), one.path)):
        _line(one)
    counts = {verdict: sum(one.verdict is verdict for one in result.verdicts) for verdict in Verdict}
    told = ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)
    render.out(f"{tag}: {len(result.verdicts)} files: {told} ({render.duration(result.seconds)})")
    if result.written is not None:
        folder = root / tag
        render.out(f"{len(result.written.written)} patches written to {folder}, lock written")
        if result.written.findings:
            render.note("note: headers are left to fill: " + _lint(root, tag))


def _lint(root: Path, tag: str) -> str:
    from winvllm_build.patchset import advice

    return f"{advice.command('lint', tag, root=root)} lists them"


def _line(one: FileVerdict) -> None:
    text = f"  {one.verdict.value:<13} {one.path}{f' - {one.detail}' if one.detail else ''}"
    lines = [text, *(f"                  {hunk}" for hunk in one.hunks)]
    for line in lines:
        if sys.stdout.isatty():
            render.console().print(line, style=STYLES[one.verdict.value])
        else:
            render.out(line)


def _data(result: ImportResult, tag: str) -> dict[str, Any]:
    written: Sequence[Path] = result.written.written if result.written is not None else ()
    return {
        "tag": tag,
        "files": [
            {"path": one.path, "verdict": one.verdict.value, "detail": one.detail, "hunks": list(one.hunks)}
            for one in result.verdicts
        ],
        "failed": len(result.failed), "written": [str(file) for file in written],
        "seconds": round(result.seconds, 3),
    }  # fmt: skip
