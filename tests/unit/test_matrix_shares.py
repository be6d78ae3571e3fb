"""Shares: every distinct piece once, balanced, the same wherever they are dealt, as few as may be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winvllm_build.build.matrix import sizing
from winvllm_build.build.matrix.shares import Piece, Share, dealt, distinct
from winvllm_build.build.matrix.sizing import PER_BUILD, PREPARATION, Runner
from winvllm_build.errors import UsageError

GIB = 1 << 30
RUNNER = Runner(label="windows-2022", cores=4, memory=16, factor=1.0, limit=5 * 3600)


def piece(name: str, seconds: float, *, memory: float = 1.0, build: int = 0) -> Piece:
    return Piece(
        identity=f"digest of {name}",
        build=build,
        output=f"{name}.o",
        name=name,
        seconds=seconds,
        memory=int(memory * GIB),
        size=1,
    )


PIECES = st.lists(
    st.builds(
        piece,
        st.sampled_from([f"csrc/{n}.cu" for n in range(60)]),
        st.floats(0.1, 400),
        memory=st.floats(0.1, 6),
        build=st.integers(0, 4),
    ),
    max_size=60,
)


@given(pieces=PIECES, count=st.integers(1, 12))
def test_every_distinct_piece_is_dealt_once(pieces: list[Piece], count: int) -> None:
    shares = dealt(pieces, count)
    assert len(shares) == count
    flat = sorted(one.identity for share in shares for one in share)
    assert flat == sorted({one.identity for one in pieces})


@given(pieces=PIECES, count=st.integers(1, 12))
def test_no_share_is_longer_than_the_mean_and_one_piece(pieces: list[Piece], count: int) -> None:
    loads = [sum(one.seconds for one in share) for share in dealt(pieces, count)]
    longest = max((one.seconds for one in distinct(pieces)), default=0.0)
    assert max(loads) <= sum(loads) / count + longest + 1e-6


@given(pieces=PIECES, count=st.integers(1, 12), random=st.randoms(use_true_random=False))
def test_the_order_of_reading_does_not_matter(pieces: list[Piece], count: int, random: object) -> None:
    assert hasattr(random, "shuffle")
    unique = list(distinct(pieces))
    shuffled = list(unique)
    random.shuffle(shuffled)
    assert dealt(unique, count) == dealt(shuffled, count)


def test_another_compiler_deals_the_same_shares() -> None:
    here = [piece(f"csrc/{n}.cu", 10.0 + n % 7) for n in range(40)]
    there = [replace(one, identity=f"another {one.identity}") for one in reversed(here)]
    names = [[one.name for one in share] for share in dealt(here, 3)]
    assert [[one.name for one in share] for share in dealt(there, 3)] == names


def test_what_builds_share_is_compiled_in_the_first() -> None:
    both = [piece("a.cu", 9, build=0), piece("a.cu", 9, build=1), piece("b.cu", 5, build=1)]
    assert [(one.name, one.build) for share in dealt(both, 2) for one in share] == [("a.cu", 0), ("b.cu", 1)]


def test_shares_are_as_few_as_the_limit_allows() -> None:
    pieces = [piece(f"csrc/{n}.cu", 120) for n in range(400)]
    shares = sizing.shares(pieces, RUNNER, builds=5)
    limit = RUNNER.limit * sizing.MARGIN
    assert max(sizing.seconds(share, RUNNER, builds=5) for share in shares) <= limit
    fewer = dealt(pieces, len(shares) - 1) if len(shares) > 1 else (tuple(pieces),)
    assert len(shares) == 1 or max(sizing.seconds(s, RUNNER, builds=5) for s in fewer) > limit


def test_memory_and_speed_of_the_runner_count() -> None:
    pieces = [piece(f"csrc/{n}.cu", 120, memory=5) for n in range(400)]
    few = sizing.shares(pieces, replace(RUNNER, memory=64), builds=1)
    assert len(sizing.shares(pieces, RUNNER, builds=1)) > len(few)
    assert len(sizing.shares(pieces, replace(RUNNER, memory=64, factor=2.0), builds=1)) > len(few)


def test_nothing_to_compile_is_one_share() -> None:
    assert sizing.shares([], RUNNER, builds=1) == ((),)
    assert sizing.seconds((), RUNNER, builds=1) == PREPARATION + PER_BUILD


def test_a_piece_longer_than_the_limit_is_refused() -> None:
    with pytest.raises(UsageError, match=r"csrc/long\.cu alone"):
        sizing.shares([piece("csrc/long.cu", 20000)], RUNNER, builds=1)


@pytest.mark.parametrize("text", ["2/5", " 1/1 ", "256/256"])
def test_a_share_is_read(text: str) -> None:
    assert str(Share.parse(text)) == text.strip()


@pytest.mark.parametrize("text", ["0/5", "6/5", "1", "1/0", "1/257", "-1/2", "1/2/3", "a/b", ""])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no share"):
        Share.parse(text)
