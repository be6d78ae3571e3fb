"""Whether a wheel ships the files of its patch set: each is compared by git's blob id, nothing less."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.git import NO_OBJECT
from winvllm_build.patchset import layers, lock, patchset
from winvllm_build.patchset.blob import blob_id
from winvllm_build.patchset.tree import Entry
from winvllm_build.wheel.finding import Finding, Subject, advice, problem
from winvllm_build.wheel.opened import Member
from winvllm_build.workspace import sha256_of

PACKAGE: Final = "vllm/"
"""What of a tree a wheel ships."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Files as the patch set leaves them.

    Attributes:
        words: the tag and the layers.
        files: the patched files that a wheel ships: ids upstream and patched (`NO_OBJECT` for none).
        edited: patched files that the build found edited, and was told to take so.
    """

    words: str
    files: Mapping[str, Entry]
    edited: AbstractSet[str] = frozenset()


def expected(
    root: Path, tag: str, names: tuple[str, ...], *, edited: AbstractSet[str] = frozenset()
) -> Expected:
    """What the set of a tag makes of the files that a wheel ships.

    Args:
        root: the folder of the patch sets.
        tag: the vLLM tag.
        names: the optional layers.
        edited: patched files that were edited on purpose.

    Raises:
        PatchError: there is no such set, or it is malformed.
        UsageError: it has no such layer.
    """
    loaded = patchset.load(root, tag)
    selection = layers.select(loaded.manifest, names)
    return Expected(
        words=f"{tag} ({selection.words})",
        files={str(p): e for p, e in loaded.selected(selection).items() if str(p).startswith(PACKAGE)},
        edited=edited,
    )


def lock_sha256(root: Path, tag: str) -> str | None:
    """The sha256 of a set's lock, which names each file of the set; None where there is no such set."""
    file = root / tag / lock.FILE
    return sha256_of(file) if file.is_file() else None


def absent(wanted: Expected, names: AbstractSet[str]) -> Iterator[Finding]:
    """Patched files that are not there, and deleted ones that are."""
    for path, entry in sorted(wanted.files.items()):
        if entry.post != NO_OBJECT and path not in names:
            yield problem(Subject.PATCHES, f"is not there; the set of {wanted.words} patches it", path)
        elif entry.post == NO_OBJECT and path in names:
            yield problem(Subject.PATCHES, f"is there; the set of {wanted.words} deletes it", path)


def differing(wanted: Expected, member: Member) -> Iterator[Finding]:
    """Whether a member is what its patch makes of it."""
    entry = wanted.files.get(member.name)
    if entry is None or entry.post == NO_OBJECT:
        return
    found = blob_id(bytes(member.content))
    if found == entry.post:
        return
    if member.name in wanted.edited:
        yield advice(Subject.PATCHES, "was edited on top of its patch when this was built", member.name)
    elif found == entry.pre:
        yield problem(Subject.PATCHES, "is upstream's: its patch is not in", member.name)
    else:
        yield problem(Subject.PATCHES, f"is not what the set of {wanted.words} makes of it", member.name)
