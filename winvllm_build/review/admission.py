"""Which incoming changes become patches: none takes the place of one that is there unless told to."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from winvllm_build.errors import UsageError
from winvllm_build.git import Oid, RepoPath
from winvllm_build.patchset import header as headers
from winvllm_build.patchset import patchfile, tree
from winvllm_build.patchset.header import FIELDS, Header
from winvllm_build.patchset.patchfile import PatchFile
from winvllm_build.patchset.patchset import Patch
from winvllm_build.patchset.paths import collisions
from winvllm_build.patchset.restack import Stack
from winvllm_build.patchset.rewrite import Content
from winvllm_build.patchset.tree import Entry
from winvllm_build.review.arrival import Arrival
from winvllm_build.review.import_verdict import FileVerdict, Verdict
from winvllm_build.suggest import did_you_mean

SAME: Final = "the set has this very patch"
TAKEN: Final = "the set has a patch of it; --replace takes this one instead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What may be written.

    Attributes:
        verdicts: one for each file, with what the set itself has to say.
        entries: the files that get a new patch, and what it does.
    """

    verdicts: tuple[FileVerdict, ...]
    entries: Mapping[RepoPath, Entry]

    @property
    def failed(self) -> tuple[FileVerdict, ...]:
        return tuple(one for one in self.verdicts if one.verdict is Verdict.FAILED)


def admit(stack: Stack, layer: str, onto: Oid, arrival: Arrival, *, instead: Sequence[str]) -> Admission:
    """Hold what arrived against the patches that are there.

    Args:
        stack: the set.
        layer: where the patches go.
        onto: the tree that they are made for.
        arrival: what came.
        instead: globs of the files whose patch is replaced.

    Raises:
        UsageError: one of `instead` names no patch.
    """
    mine = {patch.path: patch for patch in stack.patches if patch.layer == layer}
    for glob in instead:
        if not any(_fits(path, [glob]) for path in mine):
            raise UsageError(
                f"--replace {glob}: the layer {layer} has no such patch{did_you_mean(glob, mine)}",
                fix="a file without a patch needs no --replace",
            )
    done = tree.difference(stack.git, onto, arrival.tree)
    verdicts = [_held(one, mine, done, instead) for one in arrival.verdicts]
    open_to = {one.path for one in verdicts if one.verdict not in (Verdict.FAILED, Verdict.ALREADY)}
    clashes = dict(_clashes(stack, open_to))
    verdicts = [_clashing(one, clashes) for one in verdicts]
    entries = {path: entry for path, entry in done.items() if path in open_to - clashes.keys()}
    return Admission(verdicts=tuple(verdicts), entries=entries)


def described(content: Content, arrival: Arrival, new: Sequence[RepoPath], tag: str) -> Content:
    """`content` with the headers that mails or commits give to its new patches."""
    files = dict(content.files)
    for path in new:
        said = arrival.headers.get(path)
        if said is not None and path in files:
            diff = files[path].diff
            files[path] = PatchFile(header=patchfile.carried(_filled(path, tag, said), diff), diff=diff)
    return replace(content, files=files)


def _filled(path: RepoPath, tag: str, said: Header) -> Header:
    """The template with what is known put in, in the usual order."""
    known = {field.name for field in said.fields}
    rest = [field for field in headers.template(path, tag).fields if field.name not in known]
    return Header(fields=tuple(sorted([*said.fields, *rest], key=lambda field: FIELDS.index(field.name))))


def _held(
    one: FileVerdict, mine: Mapping[RepoPath, Patch], done: Mapping[RepoPath, Entry], instead: Sequence[str]
) -> FileVerdict:
    path = RepoPath(one.path)
    patch, entry = mine.get(path), done.get(path)
    if patch is None or entry is None or one.verdict is Verdict.FAILED:
        return one
    if (patch.post, patch.modes[1]) == (entry.post, entry.modes[1]):
        return replace(one, verdict=Verdict.ALREADY, detail=SAME)
    if _fits(path, instead):
        return replace(one, detail="; ".join(filter(None, (one.detail, "replaces the set's patch"))))
    return replace(one, verdict=Verdict.FAILED, detail=TAKEN)


def _clashes(stack: Stack, paths: set[str]) -> Iterator[tuple[str, str]]:
    """Files that would be one with another where case does not count."""
    known = [RepoPath(path) for path in {*paths, *(patch.path for patch in stack.patches)}]
    for one, other in collisions(known):
        for path, rival in ((one, other), (other, one)):
            if path in paths:
                yield path, rival


def _clashing(one: FileVerdict, clashes: Mapping[str, str]) -> FileVerdict:
    rival = clashes.get(one.path)
    if rival is None:
        return one
    words = f"it is one file with {rival} where case does not count"
    return replace(one, verdict=Verdict.FAILED, detail=words)


def _fits(path: str, globs: Sequence[str]) -> bool:
    return any(path == glob or fnmatch.fnmatchcase(path, glob) for glob in globs)
