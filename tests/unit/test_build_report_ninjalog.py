"""Ninja's own log: every version that is read, torn anywhere, in several runs, rewritten, from Windows."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.report_replay import RECORDED_LOG
from winvllm_build.build.report import ninjalog
from winvllm_build.build.report.ninjalog import Entry, Log
from winvllm_build.errors import UsageError

HEADS = {version: f"# ninja log v{version}\n".encode() for version in (5, 6, 7)}
NAMES = st.text(
    st.characters(exclude_characters="\t\n\r", exclude_categories=["Cs"]), min_size=1, max_size=30
)
ENTRIES = st.builds(
    Entry, start=st.integers(0, 10**8), end=st.integers(0, 10**8), stamp=st.integers(0, 2 * 10**18),
    output=NAMES, command=st.integers(0, 2**64 - 1).map(lambda number: f"{number:x}"),
)  # fmt: skip


def written(entries: list[Entry], version: int = 7, end: str = "\n") -> bytes:
    lines = [f"{e.start}\t{e.end}\t{e.stamp}\t{e.output}\t{e.command}{end}" for e in entries]
    return HEADS[version] + "".join(lines).encode()


@settings(deadline=None)
@given(st.lists(ENTRIES, max_size=8), st.sampled_from([5, 6, 7]), st.sampled_from(["\n", "\r\n"]))
def test_what_is_written_is_read(entries: list[Entry], version: int, end: str) -> None:
    assert ninjalog.parse(written(entries, version, end)) == Log(
        version=version, entries=tuple(entries), torn=0
    )


@settings(deadline=None)
@given(st.lists(ENTRIES, min_size=1, max_size=5), st.data())
def test_a_log_cut_anywhere_loses_at_most_its_last_line(entries: list[Entry], data: st.DataObject) -> None:
    whole = written(entries)
    cut = data.draw(st.integers(len(HEADS[7]), len(whole)))
    log = ninjalog.parse(whole[:cut])
    complete = whole[:cut].count(b"\n") - 1
    assert log.entries == tuple(entries[:complete])
    assert log.torn == (0 if whole[:cut].endswith(b"\n") else 1)


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    log = ninjalog.parse(HEADS[6] + content)
    for go in ninjalog.goes(log):
        assert go.entries
    if not content.startswith(b"# ninja log v"):
        with pytest.raises(UsageError, match="not a log"):
            ninjalog.parse(content)


@settings(deadline=None)
@given(st.lists(ENTRIES, max_size=12))
def test_every_edge_is_in_one_run(entries: list[Entry]) -> None:
    log = ninjalog.parse(written(entries))
    edges = {(e.start, e.end, e.command) for e in entries}
    found = [(e.start, e.end, e.command) for go in ninjalog.goes(log) for e in go.entries]
    assert sorted(found) == sorted(edges)


def test_the_recorded_build_is_one_run() -> None:
    log = ninjalog.parse(RECORDED_LOG.read_bytes())
    (go,) = ninjalog.goes(log)
    assert len(go.entries) == 94
    assert go.entries[-1].end == 1_323_530
    assert round(sum(entry.seconds for entry in go.entries)) == 2638


@pytest.mark.parametrize("shuffled", [False, True])
def test_runs_are_told_apart_even_after_ninja_rewrote_the_log(*, shuffled: bool) -> None:
    first = [entry(number * 1000, number * 1000 + 900, base=1_795_000_000) for number in range(3)]
    second = [entry(number * 1000, number * 1000 + 500, base=1_795_000_400) for number in range(2)]
    entries = [*second, *first] if shuffled else [*first, *second]
    goes = ninjalog.goes(ninjalog.parse(written(entries)))
    assert [len(go.entries) for go in goes] == [3, 2]
    assert [round(go.begun) for go in goes] == [1_795_000_000, 1_795_000_400]


def test_older_logs_note_when_the_output_was_written() -> None:
    entries = [
        Entry(start=0, end=60_000, stamp=1_700_000_060, output="a.o", command="a"),
        Entry(start=0, end=90_000, stamp=1_700_000_090, output="b.o", command="b"),
        Entry(start=60_000, end=95_000, stamp=1_700_000_095, output="c.so", command="c"),
    ]
    (go,) = ninjalog.goes(ninjalog.parse(written(entries, 5)))
    assert go.begun == pytest.approx(1_700_000_000)


def test_without_times_a_run_begins_where_the_ends_fall_back() -> None:
    entries = [Entry(start=0, end=end, stamp=0, output=f"{end}.o", command=f"{end}") for end in (5, 9, 4, 6)]
    assert [len(go.entries) for go in ninjalog.goes(ninjalog.parse(written(entries, 5)))] == [2, 2]


def test_an_edge_with_two_outputs_ran_once() -> None:
    entries = [entry(0, 10, name="a.dll"), entry(0, 10, name="a.lib")]
    (go,) = ninjalog.goes(ninjalog.parse(written(entries)))
    assert [one.output for one in go.entries] == ["a.dll"]


@pytest.mark.parametrize(
    ("stamp", "seconds"),
    [
        (1_795_195_217, 1_795_195_217),  # ninja before 1.9
        (1_795_195_217_790_597_523, 1_795_195_217.79),
        ((1_795_195_217 + 11_644_473_600 - 12_622_770_400) * 10**7, 1_795_195_217),  # disk_interface.cc
    ],
)
def test_a_stamp_is_told_from_its_size(stamp: int, seconds: float) -> None:
    assert ninjalog.epoch(stamp) == pytest.approx(seconds, abs=0.01)


@pytest.mark.parametrize(
    "content", [b"", b"# ninja log v4\n", b"# ninja log v8\n", b"MZ\x90", b"# ninja log\n"]
)
def test_what_is_no_log_is_refused_in_words(content: bytes, tmp_path: Path) -> None:
    (tmp_path / ninjalog.NAME).write_bytes(content)
    with pytest.raises(UsageError, match=r"\.ninja_log"):
        ninjalog.read(tmp_path)
    assert ninjalog.read(tmp_path / "nowhere") is None


def entry(start: int, end: int, *, base: int = 1_795_000_000, name: str = "") -> Entry:
    return Entry(
        start=start, end=end, stamp=base * 10**9 + start * 10**6, output=name or f"{base}-{start}.o",
        command=f"{start + base:x}" if not name else "ab",
    )  # fmt: skip
