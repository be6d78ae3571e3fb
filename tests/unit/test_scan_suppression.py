"""Suppressions take off what they name, and say so when they name nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scan_hits import ADVICE, RUNTIME, SEVERE, entry, hit, written
from winvllm_build.audit.coverage import Coverage, Selection, cover, judge
from winvllm_build.audit.hazard import Severity, catalogue
from winvllm_build.audit.hit import Hit, Reach, State
from winvllm_build.audit.subject import Subject
from winvllm_build.git import Git, Oid
from winvllm_build.intake.checkout import Checkout
from winvllm_build.review.suppressions import read


def subject(folder: Path, *layers: str) -> Subject:
    git, none = Git(folder), Oid("0" * 40)
    return Subject(
        name="v1", git=git, checkout=Checkout(git, none, "v1"), base=none, objects=folder, layers=layers,
        set_folder=folder,
    )  # fmt: skip


def covered(folder: Path, *hits: Hit, layers: tuple[str, ...] = ("windows",)) -> Coverage:
    return cover(subject(folder, *layers), hits)


def test_a_line_that_is_suppressed_does_not_fail(tmp_path: Path) -> None:
    written(tmp_path, entry(text="uint a;"))
    made = covered(tmp_path, hit("uint  a;"), hit("uint b;", line=4))
    assert [place.hit.line for place in made.left] == [4]
    assert [place.hit.line for place in made.failing] == [4]
    assert made.faults == ()
    (suppressed,) = (place for place in made.places if place.suppression)
    assert suppressed.suppression is not None
    assert suppressed.suppression.reason == "never compiled here"


def test_without_a_text_the_whole_file_is_meant(tmp_path: Path) -> None:
    written(tmp_path, entry(path="csrc/*.cu"))
    made = covered(tmp_path, hit("uint a;"), hit("uint b;", path="csrc/deep/b.cu"), hit(hazard="E37"))
    assert [place.hit.hazard for place in made.left] == ["E37"]


def test_what_matches_nothing_any_more_is_told_with_its_line(tmp_path: Path) -> None:
    file = written(tmp_path, "# why\n", entry(text="uint a;"), entry(text="uint gone;"))
    made = covered(tmp_path, hit())
    (fault,) = made.faults
    assert (fault.file, fault.line) == (file, 8)
    assert "uint gone;" in fault.message
    assert fault.fix == f"delete the entry at line 8 of {file}"
    assert not made.is_clean


@pytest.mark.parametrize("state", [State.DEAD, State.GUARDED])
def test_a_place_that_windows_does_not_see_needs_no_suppression(tmp_path: Path, state: State) -> None:
    written(tmp_path, entry())
    assert len(covered(tmp_path, hit(state=state)).faults) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (entry(hazard="D999"), "there is no hazard D999"),
        (entry(reason="  "), "it has no reason"),
        (entry(reason="TODO say why"), "it has no reason"),
        (entry(path=""), "it has no path"),
        ("[[suppression]]\nhazard = 'D35'\npath = 'a'\n", "it has no reason"),
        (entry(txt="x"), 'unknown key txt; did you mean "text"?'),
        ("[[suppression]]\nhazard = 3\npath = 'a'\nreason = 'r'\n", "hazard is no text"),
        ("[[supression]]\nhazard = 'D35'\n", "unknown key supression"),
        ("[suppression]\nhazard = 'D35'\n", "suppression is no list of tables"),
        ("suppression = [1]\n", "suppression is no list of tables"),
        ("[[suppression\n", "it cannot be read"),
    ],
)
def test_a_wrong_entry_is_told_and_suppresses_nothing(tmp_path: Path, text: str, words: str) -> None:
    written(tmp_path, text)
    made = covered(tmp_path, hit())
    assert len(made.left) == 1
    assert any(words in fault.message for fault in made.faults)
    assert all(fault.fix for fault in made.faults)
    assert not made.is_clean


def test_lines_of_entries_are_those_of_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, "\n# one\n", entry(), "# two\n\n", entry(hazard=RUNTIME))
    assert [one.line for one in read(file, catalogue())[0]] == [3, 10]


def test_only_an_applied_set_suppresses(tmp_path: Path) -> None:
    written(tmp_path, entry(), entry(hazard="D999"))
    made = covered(tmp_path, hit(), layers=())
    assert len(made.left) == 1
    assert made.faults == ()


def test_an_entry_of_a_layer_counts_with_that_layer(tmp_path: Path) -> None:
    written(tmp_path, entry(layer="fast"), entry(hazard=RUNTIME))
    alone = covered(tmp_path, hit(), hit(hazard=RUNTIME))
    assert [place.hit.hazard for place in alone.left] == [SEVERE]
    assert alone.faults == ()
    both = covered(tmp_path, hit(), layers=("windows", "fast"))
    assert both.left == ()
    assert both.faults == (), "a layer may mend what is suppressed without it"
    assert len(covered(tmp_path, hit(hazard=RUNTIME), layers=("windows", "fast")).faults) == 1


def test_advice_is_shown_and_does_not_fail() -> None:
    made = judge([hit(hazard=ADVICE)], (), ())
    assert len(made.left) == 1
    assert made.is_clean


def test_the_worst_comes_first() -> None:
    wanted = [
        hit(path="a", reach=Reach.BUILD), hit(path="b", reach=Reach.START), hit(path="c", reach=Reach.CORNER),
        hit(hazard=RUNTIME, path="a", reach=Reach.START), hit(hazard=RUNTIME, path="a", reach=Reach.USE),
        hit(hazard=ADVICE, path="a"), hit(path="a", state=State.DEAD), hit(path="a", state=State.GUARDED),
    ]  # fmt: skip
    assert [place.hit for place in judge(reversed(wanted), (), ()).places] == wanted


def test_a_table_counts_by_hazard() -> None:
    hits = [
        hit(), hit(line=9), hit(path="b"), hit(path="c", state=State.DEAD), hit(state=State.GUARDED),
        hit(hazard=RUNTIME, state=State.DEAD),
    ]  # fmt: skip
    first, second = judge(hits, (), ()).tallies()
    assert (first.hazard.id, first.live, first.guarded, first.dead, first.files) == (SEVERE, 3, 1, 1, 2)
    assert (second.hazard.id, second.live, second.dead, second.files) == (RUNTIME, 0, 1, 0)


@pytest.mark.parametrize(
    ("selection", "lines"),
    [
        (Selection(), [1, 2, 3, 4]),
        (Selection(hazards=(SEVERE, RUNTIME)), [1, 2, 3]),
        (Selection(paths=("csrc/*",)), [1, 2]),
        (Selection(paths=("csrc/deep/*", "vllm/*")), [2, 3, 4]),
        (Selection(severities=(Severity.RUNTIME, Severity.ADVISORY)), [3, 4]),
        (Selection(reaches=(Reach.USE,), severities=(Severity.RUNTIME,)), [3]),
    ],
)
def test_a_selection_admits_what_it_names(selection: Selection, lines: list[int]) -> None:
    hits = [
        hit(line=1), hit(line=2, path="csrc/deep/b.cu"),
        hit(line=3, hazard=RUNTIME, path="vllm/a.py", reach=Reach.USE),
        hit(line=4, hazard=ADVICE, path="vllm/a.py", reach=Reach.USE),
    ]  # fmt: skip
    assert sorted(place.hit.line for place in judge(hits, (), ()).of(selection).places) == lines
