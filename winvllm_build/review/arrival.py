"""What comes in, as changes to the tree that the patches of a layer are made for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from winvllm_build.errors import PatchError
from winvllm_build.git import Git, Oid, RepoPath
from winvllm_build.patchset import tree
from winvllm_build.patchset.header import Header
from winvllm_build.review.bench import Bench
from winvllm_build.review.branch import Branch
from winvllm_build.review.carried import carried
from winvllm_build.review.import_verdict import FileVerdict, Verdict, worst
from winvllm_build.review.messages import Step, steps
from winvllm_build.review.series import tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A patch or branch on the tag's tree.

    Attributes:
        tree: with every change that is clean.
        verdicts: one for each file.
        headers: of a file that one patch or commit alone changes, what that says.
        rejects: of each file that failed, its diff as it came.
    """

    tree: Oid
    verdicts: tuple[FileVerdict, ...]
    headers: Mapping[RepoPath, Header]
    rejects: Mapping[RepoPath, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchFiles:
    """Patches as bytes.

    Attributes:
        files: names and contents, in the order in which they are applied.
        strip: leading folders of their names to take off; None finds out.
        fuzz: take places and context that are not exactly as a patch says.
    """

    files: Sequence[tuple[str, bytes]]
    strip: int | None = None
    fuzz: bool = False


def of_patches(git: Git, incoming: PatchFiles, *, made_for: Oid, onto: Oid) -> Arrival:
    """Patches on a tree.

    Args:
        git: a scratch repository with both trees.
        incoming: the patches.
        made_for: the tree they are tried on; where it is not `onto`, the result is carried over by merge.
        onto: the tree they have to end on.

    Raises:
        PatchError: there is no diff in a file, or it cannot be read.
    """
    series: list[Step] = []
    for where, raw in incoming.files:
        series += steps(git, raw, where)
    if not series:
        raise PatchError("there is no diff in these mails", fix="name the mails that have one")
    trial = tried(Bench(git, made_for), series, strip=incoming.strip, fuzz=incoming.fuzz)
    made, verdicts = trial.bench.tree(), tuple(trial.verdicts)
    said = dict(trial.headers)
    if made_for != onto:
        moved = carried(git, base=made_for, changed=made, onto=onto)
        broken = [one for one in verdicts if one.verdict is Verdict.FAILED]
        inexact = [one for one in verdicts if one.verdict in (Verdict.OFFSET, Verdict.FUZZY)]
        verdicts, made = worst([*moved.verdicts, *inexact, *broken]), moved.tree
        said |= {new: said.get(old, []) for new, old in moved.moved.items()}
    rejects = {path: b"".join(texts) for path, texts in trial.rejects.items()}
    failed = {RepoPath(one.path) for one in verdicts if one.verdict is Verdict.FAILED}
    rejects |= _diffs(git, made_for, trial.bench.tree(), failed - rejects.keys())
    once = {path: told[0] for path, told in said.items() if len(told) == 1 and told[0] is not None}
    return Arrival(tree=made, verdicts=verdicts, headers=once, rejects=rejects)


def of_branch(git: Git, incoming: Branch, *, onto: Oid) -> Arrival:
    """A branch on a tree; arguments as in `of_patches`."""
    moved = carried(git, base=incoming.base, changed=incoming.tip, onto=onto)
    failed = {RepoPath(one.path) for one in moved.verdicts if one.verdict is Verdict.FAILED}
    said = {**incoming.headers, **{new: incoming.headers.get(old, ()) for new, old in moved.moved.items()}}
    return Arrival(
        tree=moved.tree, verdicts=moved.verdicts,
        headers={path: told[0] for path, told in said.items() if len(told) == 1},
        rejects=_diffs(git, incoming.base, incoming.tip, failed),
    )  # fmt: skip


def write_rejects(rejects: Mapping[RepoPath, bytes], folder: Path) -> list[Path]:
    """Each failed file's diff below `folder`, for a person to look at; which files were written."""
    from winvllm_build.workspace import write_atomic  # noqa: PLC0415 - rarely needed

    written = []
    for path, text in sorted(rejects.items()):
        parts = [part for part in path.split("/") if part not in ("", ".", "..")]
        file = folder.joinpath(*parts[:-1], f"{parts[-1] if parts else 'unnamed'}.rej")
        write_atomic(file, text)
        written.append(file)
    return written


def _diffs(git: Git, base: Oid, changed: Oid, paths: set[RepoPath]) -> dict[RepoPath, bytes]:
    command = ("--literal-pathspecs", *tree.EXPORT, base, changed, "--")
    found = ((path, git.out(*command, path)) for path in sorted(paths))
    return {path: text for path, text in found if text}
