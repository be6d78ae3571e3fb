"""A patch set as one patch file for `git apply` and `patch`: a preamble in comments, then git's own diffs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from winvllm_build.errors import UsageError
from winvllm_build.git import Git, Oid, RepoPath
from winvllm_build.patchset import advice, layers, tree
from winvllm_build.patchset.diff import Diff
from winvllm_build.patchset.layers import Selection
from winvllm_build.patchset.linecount import LineCount, count
from winvllm_build.patchset.patchset import MAIN_TARGET, Patch, PatchSet
from winvllm_build.review.find import Wanted

MINE: Final = "Apache-2.0, as vLLM is; derived from vLLM, Copyright contributors to the vLLM project"
ANOTHERS: Final = "that of the patched source"
CHECKOUT: Final = """\
In the top folder of a clean checkout of the tag, with this file as FILE:
  git apply --check FILE                  does it fit? nothing is written
  git apply --whitespace=nowarn FILE
  git apply --check --reverse FILE        afterwards: is everything in its place?
"""
UNPACKED: Final = """\
In the top folder of the unpacked archive, with this file as FILE:
  patch -p1 --binary --dry-run -i FILE    does it fit? nothing is written
  patch -p1 --binary -i FILE
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What of a set is exported.

    Attributes:
        patch_set: the set, proven against its lock.
        selection: the layers.
        target: the source tree.
        topics: the only topics that are in it; none for all.
        patches: by path, and where layers share one, in their order.
    """

    patch_set: PatchSet
    selection: Selection
    target: str
    topics: tuple[str, ...]
    patches: tuple[Patch, ...]

    @property
    def shared(self) -> tuple[RepoPath, ...]:
        """Files that several of the layers change: their diff has to be composed."""
        paths = [patch.path for patch in self.patches]
        return tuple(dict.fromkeys(path for path in paths if paths.count(path) > 1))


def choose(patch_set: PatchSet, selection: Selection, target: str, topics: Sequence[str]) -> Choice:
    """What layers and topics leave of a set.

    Raises:
        UsageError: nothing, or topics tear apart what several layers do to one file.
    """
    wanted = Wanted(layers=selection.layers, topics=tuple(topics))
    chosen = Choice(
        patch_set=patch_set, selection=selection, target=target, topics=tuple(topics),
        patches=tuple(patch for patch in patch_set.of(target) if wanted.takes(patch)),
    )  # fmt: skip
    if not chosen.patches:
        listing = advice.command("show", patch_set.tag, root=patch_set.root)
        raise UsageError(f"no patch of {patch_set.tag} is left to export", fix=f"{listing} lists them")
    if topics and chosen.shared:
        raise UsageError(
            f"several layers change {', '.join(chosen.shared)}; a choice of topics cannot take them apart",
            fix="leave out --topic or --layer",
        )
    return chosen


def plain_diffs(choice: Choice) -> list[Diff]:
    """The diffs of a choice that shares no file: each is of upstream's file as it is."""
    return [patch.content.diff for patch in choice.patches]


def composed_diffs(choice: Choice, git: Git, base: Oid) -> list[Diff]:
    """The diffs from upstream's tree to the tree of the layers together.

    Args:
        choice: what is exported.
        git: a scratch repository on the objects of the source.
        base: its tree.

    Raises:
        PatchError: the patches are made for other files.
        ConflictError: the layers cannot be combined.
    """
    fix = advice.command("regen", choice.patch_set.tag, "--relock", root=choice.patch_set.root)
    made = layers.compose(git, choice.patches, choice.selection, base, fix=fix)
    return list(tree.export(git, base, made).values())


def patch_file(choice: Choice, diffs: Sequence[Diff], *, unpacked: bool) -> bytes:
    """One file: what it is and how to apply it, then every diff in the order of the paths.

    Args:
        choice: what is exported.
        diffs: one per file.
        unpacked: it is for the unpacked source archive, not for a git checkout.

    Raises:
        UsageError: the archive is wanted, and none is pinned; or `patch` cannot apply a diff to it.
    """
    binary = [diff.path for diff in diffs if diff.binary]
    if unpacked and binary:
        raise UsageError(
            f"`patch` cannot apply binary diffs: {', '.join(binary)}", fix="leave out --sdist, use git apply"
        )
    text = "".join(f"# {line}".rstrip() + "\n" for line in _preamble(choice, diffs, unpacked=unpacked))
    return text.encode() + b"\n" + b"".join(diff.text for diff in diffs)


def _preamble(choice: Choice, diffs: Sequence[Diff], *, unpacked: bool) -> list[str]:
    """No line of it can be taken for a part of a diff: each is a comment."""
    patch_set, main = choice.patch_set, choice.target == MAIN_TARGET
    lines = sum(map(count, diffs), LineCount())
    what = patch_set.pin.url if main else f"{choice.target}, as {patch_set.tag} builds it"
    facts = {
        "tag": patch_set.tag,
        "source": _source(choice, unpacked=unpacked),
        "layers": ", ".join(choice.selection.layers),
        "topics": ", ".join(choice.topics),
        "patches": f"{len(diffs)} files, +{lines.added} -{lines.removed} lines",
        "licence": MINE if main else ANOTHERS,
    }
    listed = [f"{name:<8} {value}" for name, value in facts.items() if value]
    how = (UNPACKED if unpacked else CHECKOUT).splitlines()
    return [f"Patches for {what}, exported by winvllm-build as one file.", "", *listed, "", *how]


def _source(choice: Choice, *, unpacked: bool) -> str:
    pin = choice.patch_set.pin
    if not unpacked:
        return f"commit {choice.patch_set.target(choice.target).commit}"
    if pin.sdist is None or choice.target != MAIN_TARGET:
        raise UsageError(f"no source archive is pinned for {choice.target}", fix="leave out --sdist")
    return f"archive {pin.sdist.project} {pin.sdist.version}, sha256 {pin.sdist.sha256}"
