"""Logs as they come: with what a CI, a terminal or pip puts around them, torn, or made of anything."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.diagnosis.recorded import UNKNOWN, Recorded, recorded
from winvllm_build.build.diagnosis.finding import findings
from winvllm_build.build.diagnosis.lines import decode
from winvllm_build.build.diagnosis.message import Spot

LOGS = recorded()
NOISE = st.lists(
    st.sampled_from(
        [b"error", b": ", b"fatal ", b"C1060", b"(12)", b"\n", b"  ", b"FAILED: ", b"[code=1] ",
         b"CMake Error at ",
         b"Traceback (most recent call last):\n", b"x.cu", b"\xd5\xe2", b"\xff", b"\r", b"ninja: ", b"nvcc ",
         b"[1/2] ", b"\x1b[31m", b"died with status 0x", b"MSB3721", b"\x00", b"'", b"Killed", b"note: "]
    ),
    max_size=60,
).map(b"".join)  # fmt: skip


def ids(content: bytes) -> tuple[str, ...]:
    return tuple(f.rule.id if f.rule else UNKNOWN for f in findings(content))


def each_row(change: Callable[[int, str], str]) -> dict[str, tuple[str, ...]]:
    """What every log means after its rows were changed."""
    return {
        log.name: ids("\n".join(change(at, row) for at, row in enumerate(text.split("\n"))).encode())
        for log in LOGS
        for text in [decode(log.content)]
    }


@pytest.mark.parametrize(
    "change",
    [
        lambda at, row: f"2026-05-04T11:02:{at % 60:02d}.1234567Z {row}",
        lambda _, row: f"      {row}",
        lambda _, row: f"\x1b[31m{row}\x1b[0m",
        lambda _, row: f"{row.rstrip()}\r",
        lambda at, row: f"#14 {at}.25 {row}",
    ],
    ids=["github", "pip", "colours", "crlf", "docker"],
)
def test_what_stands_around_a_log_changes_nothing(change: Callable[[int, str], str]) -> None:
    already = re.compile(rb"^\d{4}-\d\d-\d\dT", re.MULTILINE)
    kept = {log.name: log.rules for log in LOGS if not already.search(log.content)}
    changed = each_row(change)
    assert {name: changed[name] for name in kept} == kept


def test_warnings_before_an_error_change_nothing() -> None:
    noise = (
        "C:\\w\\a.cpp(3): warning C4267: a\nx.cu(3): warning #177-D: b\ny.h:3:1: warning: error is a word\n"
    )
    changed = {log.name: ids((noise + decode(log.content)).encode()) for log in LOGS}
    assert changed == {log.name: log.rules for log in LOGS}


@given(st.one_of(st.binary(max_size=400), NOISE))
@settings(max_examples=300, deadline=None)
def test_no_log_is_too_strange(content: bytes) -> None:
    for finding in findings(content):
        assert finding.title
        assert finding.as_data()["class"]


@given(st.sampled_from(LOGS), st.data())
@settings(max_examples=100, deadline=None)
def test_a_log_that_was_cut_off_is_still_read(log: Recorded, data: st.DataObject) -> None:
    for finding in findings(log.content[: data.draw(st.integers(0, len(log.content)))]):
        assert finding.message.text or finding.message.code


def test_a_line_without_end_is_read_in_passing() -> None:
    for evil in (
        "(" * 20_000,
        "nvcc " + "C:/a " * 20_000,
        ": " * 30_000,
        "a.b." * 30_000 + "Error",
        "1>" * 20_000,
    ):
        assert findings(evil) == ()


def test_the_lines_of_a_message_are_those_of_the_log() -> None:
    text = "[1/2] Building x\n\n\nFAILED: x.o\n/usr/bin/c++ x.cpp\nnoise\nx.cpp:3:1: error: no\n"
    (found,) = findings(text)
    assert (found.message.at, found.message.spot) == (7, Spot(file="x.cpp", line=3))


@pytest.mark.parametrize(
    ("words", "page"),
    [
        ("Datei kann nicht geöffnet werden: schwerwiegender Fehler", "cp850"),
        ("Die Befehlszeilenoption ist ungültig: Fehler", "cp1252"),
        ("编译器的堆空间不足 错误", "gbk"),
        ("未声明的标识符", "gbk"),
        ("ファイルを開くことができません エラー", "cp932"),
        ("식이 상수로 계산되지 않았습니다", "cp949"),
        ("\u041d\u0435 удается открыть файл: ошибка", "cp1251"),
        ("symbole externe non résolu référencé", "cp1252"),
    ],
)
def test_the_code_page_is_found_out(words: str, page: str) -> None:
    said = decode(b"plain ascii\n" + f"x.cpp(1): error C2065: {words}\n".encode(page) + "ü\n".encode())
    assert words in said
    assert said.endswith("ü\n")


def test_a_chain_of_instantiations_is_folded_to_its_ends() -> None:
    rows = ["/usr/include/c++/12/bits/a.h: In instantiation of 'void f()':"]
    rows += [f"/usr/include/c++/12/bits/a.h:{n}:5:   required from 'void g{n}()'" for n in range(10, 40)]
    rows += [
        "csrc/x.cpp:7:1:   required from here",
        "/usr/include/c++/12/bits/a.h:3:9: error: static assertion",
    ]
    (found,) = findings("\n".join(rows))
    assert found.through == (
        Spot(file="/usr/include/c++/12/bits/a.h", line=10),
        Spot(file="csrc/x.cpp", line=7),
    )
    assert len(found.message.chain) == 31
