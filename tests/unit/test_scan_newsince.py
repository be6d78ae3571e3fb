"""What a tag adds: hits paired by hazard and text, through renames, counted."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.scan_hits import RUNTIME, SEVERE, hit, place
from winvllm_build.audit.coverage import Selection
from winvllm_build.audit.newsince import Since, compare, selected

MOVED = {"csrc/a.cu": "csrc/new/a.cu"}


def stays(path: str) -> str:
    return path


def moves(path: str) -> str:
    return MOVED.get(path, path)


def lines(since: Since) -> list[int]:
    return [one.hit.line for one in since.fresh]


def test_a_line_that_moved_within_its_file_is_not_new() -> None:
    since = compare("v1", [hit(line=3)], [place("uint   a;", line=300)], stays)
    assert lines(since) == []
    assert [(pair.old.line, pair.new.line) for pair in since.same] == [(3, 300)]


def test_another_text_is_new_and_the_old_one_is_gone() -> None:
    since = compare("v1", [hit("uint a;")], [place("uint b;")], stays)
    assert [one.hit.text for one in since.fresh] == ["uint b;"]
    assert [one.text for one in since.gone] == ["uint a;"]


def test_a_third_copy_of_a_line_is_new() -> None:
    since = compare("v1", [hit(line=1), hit(line=2)], [place(line=n) for n in (5, 6, 7)], stays)
    assert lines(since) == [7]
    assert [(pair.old.line, pair.new.line) for pair in since.same] == [(1, 5), (2, 6)]


def test_another_hazard_of_the_same_line_is_new() -> None:
    assert lines(compare("v1", [hit()], [place(), place(hazard=RUNTIME, line=8)], stays)) == [8]


def test_a_file_is_followed_to_its_new_path() -> None:
    since = compare("v1", [hit()], [place(path="csrc/new/a.cu")], moves)
    assert since.fresh == ()
    assert [(pair.old.path, pair.new.path) for pair in since.moved] == [("csrc/a.cu", "csrc/new/a.cu")]


def test_the_same_line_in_another_file_is_new() -> None:
    since = compare("v1", [hit()], [place(path="csrc/other.cu")], stays)
    assert [one.hit.path for one in since.fresh] == ["csrc/other.cu"]
    assert [one.path for one in since.gone] == ["csrc/a.cu"]


def test_a_selection_narrows_every_part() -> None:
    old = [hit("uint gone;"), hit("import fcntl", hazard=RUNTIME, path="vllm/a.py")]
    new = [place("uint new;"), place("import fcntl", hazard=RUNTIME, path="vllm/a.py")]
    since = selected(compare("v1", old, new, stays), Selection(hazards=(RUNTIME,)))
    assert (since.fresh, since.gone, len(since.same)) == ((), (), 1)


PLACES = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["f", "g"]), st.sampled_from([SEVERE, RUNTIME]))
)


@given(old=PLACES, new=PLACES)
def test_nothing_is_lost_or_counted_twice(
    old: list[tuple[str, str, str]], new: list[tuple[str, str, str]]
) -> None:
    before = [hit(t, path=p, hazard=h, line=n) for n, (t, p, h) in enumerate(old, 1)]
    after = [place(t, path=p, hazard=h, line=n) for n, (t, p, h) in enumerate(new, 1)]
    since = compare("v1", before, after, stays)
    assert len(since.fresh) + len(since.same) == len(new)
    assert len(since.gone) + len(since.same) == len(old)
    key = {(h, p, t): old.count((t, p, h)) for t, p, h in old}
    for t, p, h in set(new):
        extra = [one for one in since.fresh if (one.hit.hazard, one.hit.path, one.hit.text) == (h, p, t)]
        assert len(extra) == max(0, new.count((t, p, h)) - key.get((h, p, t), 0))
