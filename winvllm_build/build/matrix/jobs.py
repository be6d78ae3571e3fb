"""The jobs of a matrix: shards that compile what builds need together, and one job for each wheel."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from winvllm_build.build.matrix import shares, sizing
from winvllm_build.build.matrix.shares import Piece
from winvllm_build.build.matrix.sizing import Runner
from winvllm_build.errors import UsageError

WORD: Final = re.compile(r"[A-Za-z0-9_.,;:=/+-]+")
"""What a CI's shell takes as one word, unquoted, after it was expanded from a variable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One build of a matrix, as the command line asks for it.

    Attributes:
        tag: the vLLM tag.
        archs: architectures.
        profile: its name, None for none.
        title: what tells it from the others of its tag.
        arguments: what `build` needs to make it.
    """

    tag: str
    archs: tuple[str, ...]
    profile: str | None
    title: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A job that compiles; `seconds` of it are predicted, its preparation included."""

    identifier: str
    group: str
    share: shares.Share
    edges: int
    seconds: float
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A job that links and packs what the shards of its group have compiled."""

    identifier: str
    group: str
    wanted: Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """The builds of one tag, which share their work.

    Attributes:
        identifier: the tag.
        edges: compile edges of all its builds.
        distinct: those that have to be compiled.
        seconds: predicted work of these on one core.
    """

    identifier: str
    edges: int
    distinct: int
    seconds: float
    shards: tuple[Shard, ...]
    wheels: tuple[Wheel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """All groups, and the machines they are for."""

    groups: tuple[Group, ...]
    runner: Runner

    @property
    def shards(self) -> tuple[Shard, ...]:
        return tuple(shard for group in self.groups for shard in group.shards)

    @property
    def wheels(self) -> tuple[Wheel, ...]:
        return tuple(wheel for group in self.groups for wheel in group.wheels)

    def as_data(self) -> dict[str, Any]:
        """Plain values; the lists of jobs are what a CI's own format is made of."""
        return {
            "groups": {
                g.identifier: {
                    "distinct_edges": g.distinct,
                    "edges": g.edges,
                    "shards": len(g.shards),
                    "work_seconds": round(g.seconds, 1),
                }
                for g in self.groups
            },
            "runner": {
                "cores": self.runner.cores,
                "factor": self.runner.factor,
                "label": self.runner.label,
                "limit_seconds": self.runner.limit,
                "memory_gib": self.runner.memory,
            },
            "shard": [self.shard_data(shard) for shard in self.shards],
            "wheel": [self.wheel_data(wheel) for wheel in self.wheels],
        }

    def shard_data(self, shard: Shard) -> dict[str, Any]:
        return {
            "arguments": " ".join(shard.arguments),
            "edges": shard.edges,
            "group": shard.group,
            "id": shard.identifier,
            "minutes": round(shard.seconds / 60),
            "name": f"{shard.group} {shard.share}",
            "runner": self.runner.label,
            "shard": str(shard.share),
            "timeout_minutes": int(self.runner.limit / 60),
        }

    def wheel_data(self, wheel: Wheel) -> dict[str, Any]:
        return {
            "archs": ";".join(wheel.wanted.archs),
            "arguments": " ".join(wheel.wanted.arguments),
            "group": wheel.group,
            "id": wheel.identifier,
            "name": f"{wheel.group} {wheel.wanted.title}",
            "runner": self.runner.label,
            "tag": wheel.wanted.tag,
            "timeout_minutes": int(self.runner.limit / 60),
        }


def matrix_of(wanted: Sequence[Wanted], pieces: Mapping[int, Sequence[Piece]], runner: Runner) -> Matrix:
    """The jobs for some builds.

    Args:
        wanted: the builds; those of one tag share their work.
        pieces: the compile edges of each, by its number in `wanted`.
        runner: the machines.

    Raises:
        UsageError: no number of shards fits the limit, two wheels have one name, or an argument is more than
            one word to a shell.
    """
    refuse_words(word for one in wanted for word in one.arguments)
    tags = dict.fromkeys(one.tag for one in wanted)
    groups = tuple(
        _group(tag, [(number, one) for number, one in enumerate(wanted) if one.tag == tag], pieces, runner)
        for tag in tags
    )
    made = Matrix(groups=groups, runner=runner)
    names = Counter(wheel.identifier for wheel in made.wheels)
    if again := [name for name, count in names.items() if count > 1]:
        raise UsageError(
            f"several wheels would be named {', '.join(again)}",
            fix="give the files of the profiles different names",
        )
    for kind, count in (("shards", len(made.shards)), ("wheels", len(made.wheels))):
        if count > shares.MOST:
            raise UsageError(
                f"{count} {kind} are more than the {shares.MOST} jobs of one matrix", fix="split it"
            )
    return made


def _group(
    tag: str, members: Sequence[tuple[int, Wanted]], pieces: Mapping[int, Sequence[Piece]], runner: Runner
) -> Group:
    everything = [piece for number, _ in members for piece in pieces[number]]
    distinct = shares.distinct(everything)
    dealt = sizing.shares(distinct, runner, builds=len(members))
    together = _together([one for _, one in members])
    return Group(
        identifier=tag,
        edges=len(everything),
        distinct=len(distinct),
        seconds=sum(piece.seconds for piece in distinct),
        shards=tuple(_shards(tag, dealt, together, runner, builds=len(members))),
        wheels=tuple(
            Wheel(identifier=f"{tag}-{_slug(one.title)}", group=tag, wanted=one) for _, one in members
        ),
    )


def _shards(
    tag: str,
    dealt: Sequence[Sequence[Piece]],
    arguments: tuple[str, ...],
    runner: Runner,
    *,
    builds: int,
) -> Iterator[Shard]:
    for number, mine in enumerate(dealt, start=1):
        share = shares.Share(index=number, count=len(dealt))
        yield Shard(
            identifier=f"{tag}-{number}of{len(dealt)}",
            group=tag,
            share=share,
            edges=len(mine),
            seconds=sizing.seconds(mine, runner, builds=builds),
            arguments=(*arguments, "--shard", str(share)),
        )


def _together(members: Sequence[Wanted]) -> tuple[str, ...]:
    """The arguments of all builds of a group, each pair of option and value once."""
    pairs = [pair for one in members for pair in zip(one.arguments[::2], one.arguments[1::2], strict=True)]
    return tuple(word for pair in dict.fromkeys(pairs) for word in pair)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-")


def refuse_words(words: Iterable[str]) -> None:
    """Let only plain words into a CI.

    Raises:
        UsageError: a word needs quotes, or could be more than a word to a shell.
    """
    for word in words:
        if not WORD.fullmatch(word):
            raise UsageError(
                f'"{word}" is no argument that a CI can hand on without quotes',
                fix="put it into a profile, and name the profile",
            )
