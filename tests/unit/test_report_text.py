"""A report in terminals of all widths, and the line that says how far it is."""

from __future__ import annotations

import io
import sys

import pytest

from tests.report_cases import GONE, TAGS, sample
from winvllm_build.cli import port_matrix
from winvllm_build.cli.meter import Meter
from winvllm_build.port.signs import SIGNS
from winvllm_build.port.verdict import Kind


class Terminal(io.StringIO):
    """What a terminal gets."""

    def isatty(self) -> bool:
        return True


def table(width: int) -> list[str]:
    """The lines above the legend."""
    lines = [line.plain for line in port_matrix._lines(sample(), width)]
    return lines[: lines.index("")]


@pytest.mark.parametrize("width", [0, 200, 80, 44, 31])
def test_every_patch_is_a_line_with_a_letter_for_each_release(width: int) -> None:
    report = sample()
    lines = table(width)
    cell = 4 if width in (0, 200, 80) else 1
    signs = {".", *(sign.letter for sign in SIGNS.values())}
    rows = [line for line in lines if line[-1:] in signs and not line.startswith(" ")]
    assert len(rows) == len(report.rows)
    for line in rows:
        letters = line[-cell * len(TAGS) :].split() if cell > 1 else [*line[-len(TAGS) :]]
        assert len(letters) == len(TAGS)
        assert letters[TAGS.index(GONE)] == "."
    assert width == 0 or max(len(line) for line in lines) <= width


def test_the_break_is_marked_by_more_than_a_colour_and_told_in_words() -> None:
    lines = [*port_matrix._lines(sample(), 0)]
    twice = next(line for line in lines if line.plain.startswith("windows/src/twice.py"))
    assert [span.style for span in twice.spans].count(port_matrix.FIRST) == 2
    said = [line.plain for line in lines]
    assert any(line.startswith("v1.0.0 broke windows/src/twice.py: conflict (why it is so)") for line in said)
    assert any(line.startswith(f"  . {GONE}: no archive") for line in said)
    for kind in Kind:
        assert any(line.startswith(f"  {SIGNS[kind].letter} {kind.value}: ") for line in said)


def test_no_name_moves_the_cursor_or_turns_the_writing() -> None:
    assert not any(sign in line for line in table(0) for sign in ("\x1b", "\u202e", "\u2028"))


def test_a_long_path_loses_its_beginning() -> None:
    assert port_matrix._cut("a/very/long/path.py", 10) == "...path.py"
    assert port_matrix._cut("short.py", 10) == "short.py  "


def test_progress_is_one_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Meter() as meter:
        meter.show("report: 1 of 2 releases")
        meter.note("a message that stays")
        meter.show("report: 2 of 2")
    assert terminal.getvalue().count("\n") == 1
    assert "\r" + " " * 23 + "\ra message that stays\n\rreport: 2 of 2" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r" + " " * 14 + "\r")


def test_elsewhere_progress_is_told_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    with Meter() as meter:
        meter.show("at once: nothing")
        meter._told -= 10
        meter.show("after some seconds: this")
        meter.show("then nothing again")
    assert capsys.readouterr().err == "after some seconds: this\n"
