"""Whatever a way answers: both sides' lines are in it, in their order, and nothing else matters."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.hostile_trees import thorough
from winvllm_build.port import adjacent, import_lines, requirement_lines
from winvllm_build.port.regions import Region

Lines = tuple[bytes, ...]
LINE = st.builds(
    b"%b%b(%b)\n".__mod__,
    st.tuples(
        st.sampled_from([b"", b"    "]), st.sampled_from([b"load", b"save", b"check"]),
        st.sampled_from([b"x", b"item", b"count, 2", b""]),
    ),
) | st.sampled_from([b"\n", b"}\n", b"# why\n", b"if x:\n"])  # fmt: skip
"""So few that many are equal or alike."""


@st.composite
def sides(draw: st.DrawFn) -> Region:
    base = draw(st.lists(LINE, min_size=1, max_size=6))
    ours, theirs = draw(edits(base)), draw(edits(base))
    return Region(base=tuple(base), ours=ours, theirs=theirs)


@st.composite
def edits(draw: st.DrawFn, base: Sequence[bytes]) -> Lines:
    made = list(base)
    for _ in range(draw(st.integers(1, 2))):
        at = draw(st.integers(0, len(made)))
        match draw(st.sampled_from(["put", "put", "replace", "take"])):
            case "put":
                made[at:at] = draw(st.lists(LINE, min_size=1, max_size=2))
            case "replace":
                made[at : at + 1] = [line.replace(b"(", b"(more, ") for line in made[at : at + 1]]
            case _:
                del made[at : at + 1]
    return tuple(made)


@thorough(300)
@given(region=sides())
def test_both_changes_are_made_once(region: Region) -> None:
    made = adjacent.united(region)
    ours, theirs = (adjacent._edits(region.base, side, flip=False) for side in (region.ours, region.theirs))
    assume(made is not None and not any(edit in ours for edit in theirs))
    assert made is not None
    base, upstream, patch = (Counter(side) for side in (region.base, region.ours, region.theirs))
    upstream.update(patch)
    upstream.subtract(base)
    assert Counter(made) == +upstream
    assert len(made) == len(region.ours) + len(region.theirs) - len(region.base)


@thorough(300)
@given(region=sides())
def test_the_order_of_each_side_stays(region: Region) -> None:
    made = adjacent.united(region)
    assume(made is not None)
    assert made is not None
    for side in (region.ours, region.theirs):
        own = [line for line in side if line not in region.base]
        rest = iter(made)
        assert all(line in rest for line in own)


@thorough(300)
@given(region=sides(), before=st.integers(0, 2), after=st.integers(0, 2))
def test_lines_around_it_mean_nothing(region: Region, before: int, after: int) -> None:
    made = adjacent.united(region)
    assume(made is not None)
    assert made is not None
    first, last = (tuple(b"%b %d;\n" % (word, n) for n in range(count)) for word, count in (
        (b"first", before), (b"last", after),
    ))  # fmt: skip
    wider = Region(**{side: (*first, *getattr(region, side), *last) for side in ("base", "ours", "theirs")})
    assert adjacent.united(wider) in (None, (*first, *made, *last))


@thorough(300)
@given(region=sides())
def test_it_is_the_same_from_both_sides(region: Region) -> None:
    swapped = Region(base=region.base, ours=region.theirs, theirs=region.ours)
    answers = {adjacent.united(region), adjacent.united(swapped)} - {None}
    assert len(answers) <= 1


MODULE = st.sampled_from(["os", "sys", "json", "a.b", "a.c", "torch"])
IMPORT = st.one_of(
    MODULE.map("import {}".format),
    st.tuples(MODULE, st.sampled_from(["x", "y", "x as z", "*"])).map("from {0[0]} import {0[1]}".format),
    st.just("from __future__ import annotations"), st.just(""),
).map(lambda line: line.encode() + b"\n")  # fmt: skip


@thorough(300)
@given(base=st.lists(IMPORT, max_size=4), data=st.data())
def test_imports_of_both_sides_are_there_once(base: list[bytes], data: st.DataObject) -> None:
    ours, theirs = (list(base), list(base))
    for side in (ours, theirs):
        for line in data.draw(st.lists(IMPORT, min_size=1, max_size=3)):
            side.insert(data.draw(st.integers(0, len(side))), line)
    made = import_lines.united(Region(base=tuple(base), ours=tuple(ours), theirs=tuple(theirs)))
    assume(made is not None and not any(count > 1 for line, count in Counter(ours).items() if line.strip()))
    assert made is not None
    added = {line for line in theirs if line not in base and line.strip()}
    assert set(made) == set(ours) | added
    fresh = added - set(ours)
    assert [line for line in made if line not in fresh] == ours
    assert all(made.count(line) == 1 for line in fresh)
    if all(import_lines.is_python(b"".join(side)) for side in (base, ours, theirs)):
        assert import_lines.is_python(b"".join(made))


NAME = st.sampled_from(["kernels", "Kernels", "other", "third"])
VERSION = st.sampled_from(["", "==1", ">=2,<3", " == 4", "[extra]==5"])
MARKER = st.sampled_from(["", '; sys_platform == "linux"', ' ; python_version > "3.9"'])
COMMENT = st.sampled_from(["", " # why", "  # and ; this"])


@thorough(300)
@given(names=st.lists(NAME, min_size=1, max_size=3), end=st.sampled_from(["\n", "\r\n"]), data=st.data())
def test_only_markers_are_given_to_upstreams_lines(names: list[str], end: str, data: st.DataObject) -> None:
    parts = [[name, data.draw(VERSION), data.draw(MARKER), data.draw(COMMENT)] for name in names]
    base = [[*part, end] for part in parts]
    theirs = [[name, version, data.draw(MARKER), *rest] for name, version, _, *rest in base]
    ours = [[name, data.draw(VERSION), *rest] for name, _, *rest in base]
    region = Region(**{
        side: tuple("".join(line).encode() for line in found)
        for side, found in {"base": base, "ours": ours, "theirs": theirs}.items()
    })  # fmt: skip
    made = requirement_lines.united(region)
    assume(made is not None)
    assert made is not None
    for line, upstream, patch, was in itertools.zip_longest(made, ours, theirs, base):
        kept = patch[2] == was[2]
        marker = upstream[2] if kept else patch[2]
        wanted = [upstream[0], upstream[1], marker.replace(" ;", ";"), *upstream[3:]]
        assert line == "".join(upstream if kept else wanted).encode()
