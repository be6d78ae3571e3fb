"""What a tag adds to the hits of another, and which patches met the same hazard before."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from winvllm_build.audit.coverage import Place, Selection
from winvllm_build.audit.hit import Hit
from winvllm_build.audit.subject import Subject
from winvllm_build.git import Git
from winvllm_build.intake.moves import between
from winvllm_build.patchset.patchset import Patch
from winvllm_build.patchset.worktree import scratch_of
from winvllm_build.review.find import listed
from winvllm_build.review.suppressions import plain

MOST_HINTS: Final = 3
GENERATED: Final = "generated/"
"""How the paths of files begin that the tree's generators write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One place in both trees."""

    old: Hit
    new: Hit


@dataclass(frozen=True, slots=True, kw_only=True)
class Since:
    """The live hits of a tree against those of an older one.

    Attributes:
        old: the older tree's name.
        fresh: without a counterpart: to be met.
        gone: of the older tree, without a counterpart.
        moved: in a file that has another path now.
        same: in the same file.
    """

    old: str
    fresh: tuple[Place, ...]
    gone: tuple[Hit, ...]
    moved: tuple[Pair, ...]
    same: tuple[Pair, ...]

    @property
    def failing(self) -> tuple[Place, ...]:
        return tuple(place for place in self.fresh if place.fails)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """New places of one file.

    Attributes:
        path: the file.
        places: what is new in it.
        patch: the older set's patch of this file.
        examples: the older set's patches of other files that met one of these hazards, the nearest first.
    """

    path: str
    places: tuple[Place, ...]
    patch: str | None
    examples: tuple[str, ...]


def compare(old_name: str, old: Sequence[Hit], new: Sequence[Place], where: Callable[[str], str]) -> Since:
    """Pair the hits of two trees: same hazard and same text, in a file and what became of it; counted.

    Args:
        old_name: of the older tree.
        old: its hits.
        new: the places of the newer one.
        where: the path that an old path has in the newer tree.
    """
    before: dict[tuple[str, str, str], list[Hit]] = defaultdict(list)
    for hit in sorted(old, key=lambda hit: (hit.path, hit.line), reverse=True):
        before[hit.hazard, where(hit.path), plain(hit.text)].append(hit)
    fresh: list[Place] = []
    pairs: list[Pair] = []
    for place in sorted(new, key=lambda place: (place.hit.path, place.hit.line)):
        hit = place.hit
        left = before[hit.hazard, hit.path, plain(hit.text)]
        if left:
            pairs.append(Pair(old=left.pop(), new=hit))
        else:
            fresh.append(place)
    gone = sorted((hit for hits in before.values() for hit in hits), key=lambda hit: (hit.path, hit.line))
    return Since(
        old=old_name, fresh=tuple(fresh), gone=tuple(gone),
        moved=tuple(pair for pair in pairs if pair.old.path != pair.new.path),
        same=tuple(pair for pair in pairs if pair.old.path == pair.new.path),
    )  # fmt: skip


def selected(since: Since, selection: Selection) -> Since:
    """The part of a comparison that is asked for."""
    return replace(
        since,
        fresh=tuple(place for place in since.fresh if selection.admits(place.hit)),
        gone=tuple(hit for hit in since.gone if selection.admits(hit)),
        moved=tuple(pair for pair in since.moved if selection.admits(pair.new)),
        same=tuple(pair for pair in since.same if selection.admits(pair.new)),
    )


def paths_since(old: Subject, new: Subject) -> Callable[[str], str]:
    """What became of each path, whether both trees are in one repository or not.

    A file that a generator wrote is where the other files of the generator's folder went.
    """
    with scratch_of(old.objects) as git:
        _also(git, new)
        moves = between(git, old.base, new.base)

    def where(path: str) -> str:
        folder, _, name = path.removeprefix(GENERATED).rpartition("/")
        if not path.startswith(GENERATED) or not folder:
            return moves.where(path)
        return f"{GENERATED}{moves.where(f'{folder}/*').rpartition('/')[0]}/{name}"

    return where


def work(since: Since, patches: Sequence[Patch], where: Callable[[str], str]) -> tuple[Work, ...]:
    """The new places by file, those that fail the check first, with the older set's patches as hints.

    Args:
        since: the comparison.
        patches: those of the older set.
        where: the path that an old path has in the newer tree.
    """
    by_path: dict[str, list[Place]] = defaultdict(list)
    for place in since.fresh:
        by_path[place.hit.path].append(place)
    own = {where(patch.path): str(patch.path) for patch in patches}
    made = [
        Work(path=path, places=tuple(places), patch=own.get(path), examples=_examples(path, places, patches))
        for path, places in by_path.items()
    ]
    return tuple(sorted(made, key=lambda one: (not any(place.fails for place in one.places), one.path)))


def _also(git: Git, subject: Subject) -> None:
    """Let a scratch repository see another one's objects."""
    line = subject.objects.as_posix().encode("utf-8", "surrogateescape") + b"\n"
    with (git.folder / "objects" / "info" / "alternates").open("ab") as file:
        file.write(line)


def _examples(path: str, places: Sequence[Place], patches: Sequence[Patch]) -> tuple[str, ...]:
    wanted = {place.hit.hazard for place in places}
    texts = {plain(place.hit.text).encode() for place in places}
    ranked = []
    for patch in patches:
        met = wanted & set(listed(patch.content.header, "Hazards"))
        if met and patch.path != path:
            diff = patch.content.diff.text
            removed = {b" ".join(line[1:].split()) for line in diff.split(b"\n") if line.startswith(b"-")}
            shared = len(posixpath.commonprefix([path, patch.path]))
            ranked.append((-len(texts & removed), -len(met), -shared, len(diff), str(patch.path)))
    return tuple(name for *_, name in sorted(ranked)[:MOST_HINTS])
