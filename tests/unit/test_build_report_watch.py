"""A build that is told: lines, groups, the live view, streams, records; from a recorded build."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from tests.report_replay import BEGUN, GB, Recorded, recorded_entries
from winvllm_build.build.engine.record import Outcome
from winvllm_build.build.events import (
    CompileBegun,
    EdgeDone,
    EdgeEnded,
    Event,
    Note,
    Sample,
    Step,
    StepBegun,
    StepDone,
)
from winvllm_build.build.report import runs, stream
from winvllm_build.build.report.board import Board
from winvllm_build.build.report.eta import Estimator
from winvllm_build.build.report.recorder import Recorder
from winvllm_build.build.report.run import Ending, Origin
from winvllm_build.cli import ci
from winvllm_build.cli.watch import watching
from winvllm_build.cli.watch_live import View
from winvllm_build.cli.watch_plain import Plain
from winvllm_build.errors import CompileError, StorageError

RECORDED = Recorded(entries=recorded_entries(), predicted=lambda entry: entry.seconds)
RUNNERS = ("GITHUB_ACTIONS", "GITLAB_CI", "CI", "GITHUB_STEP_SUMMARY")


@pytest.fixture(autouse=True)
def no_runner(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in RUNNERS:
        monkeypatch.delenv(name, raising=False)


def whole_build(folder: Path) -> Iterator[Event]:
    """A build that compiles, from its first step to its last."""
    yield StepBegun(step=Step.COMPILE, title="all of it")
    yield replace(RECORDED.begun(), build=folder)
    yield from RECORDED.events()
    yield StepDone(step=Step.COMPILE, seconds=1323.5, summary="94 edges ran")


def plain(events: Iterator[Event], where: ci.Kind | None = None) -> list[str]:
    out = io.StringIO()
    display, board = Plain(Console(file=out), where), Board()
    for event in events:
        board.see(event)
        display.see(event, board)
    display.end()
    return out.getvalue().splitlines()


def test_a_log_has_a_line_for_each_step_and_edge(tmp_path: Path) -> None:
    lines = plain(whole_build(tmp_path))
    assert lines[0] == "compile: all of it"
    assert lines[-1] == "compile: 94 edges ran (22 min 04 s)"
    edges = [line for line in lines if line.startswith("[")]
    assert len(edges) == 94
    slow = next(line for line in edges if "scaled_mm_c2x.cu" in line)
    assert slow.startswith(
        "[70/94] csrc/quantization/w8a8/cutlass/scaled_mm_c2x.cu 4 min 30 s, 900 MB (15 min"
    )


def test_an_edge_says_how_it_ended() -> None:
    entry = RECORDED.entries[0]
    done = EdgeDone(
        finished=1, total=2, title=f"Building {entry.output}", failed=False, elapsed=4, remaining=9
    )
    for outcome, words in (
        (Outcome.COMPILED, "[1/94] csrc/spinloop.cpp 0.7 s, 900 MB (0.7 s)"),
        (Outcome.REUSED, "[1/94] csrc/spinloop.cpp made before (0.7 s)"),
        (Outcome.CACHED, "[1/94] csrc/spinloop.cpp from the cache (0.7 s)"),
        (Outcome.FAILED, "[1/94] FAILED csrc/spinloop.cpp 0.7 s, 900 MB (0.7 s)"),
        (Outcome.RETRIED, "  csrc/spinloop.cpp: out of memory, again alone"),
    ):
        ended = EdgeEnded(record=replace(RECORDED.record(entry), outcome=outcome))
        assert plain(iter((RECORDED.begun(), ended, done))) == [words]
    assert plain(iter((done,))) == [f"[1/2] Building {entry.output} (4.0 s, ETA 9.0 s)"]
    failed = replace(done, failed=True)
    assert plain(iter((failed,))) == [f"[1/2] FAILED Building {entry.output} (4.0 s, ETA 9.0 s)"]


def test_groups_fold_on_runners_and_nothing_that_is_said_is_a_command(tmp_path: Path) -> None:
    hostile = (
        StepBegun(step=Step.SOURCE, title="100%\n::set-output"),
        Note(text="::error::owned"),
        Note(text="##[command]owned"),
        StepDone(step=Step.SOURCE, seconds=1, summary="done"),
    )
    lines = plain(iter((*hostile, *whole_build(tmp_path))), ci.Kind.GITHUB)
    assert lines[0] == "::group::source: 100%25%0A|::set-output"
    commands = [line.strip() for line in lines if line.strip().startswith(("::", "##["))]
    assert {line.partition("::")[2].partition("::")[0] for line in commands} == {"group", "endgroup"}
    assert sum(line == "::endgroup::" for line in lines) == 2
    gitlab = plain(whole_build(tmp_path), ci.Kind.GITLAB)
    assert "section_start:" in gitlab[0]
    assert "compile[collapsed=true]" in gitlab[0]
    assert sum("section_end:" in line for line in gitlab) == 1


@pytest.mark.parametrize(
    ("variables", "kind"),
    [
        ({}, None), ({"CI": "true"}, ci.Kind.OTHER), ({"CI": "false"}, None),
        ({"GITHUB_ACTIONS": "true", "CI": "true"}, ci.Kind.GITHUB), ({"GITLAB_CI": "true"}, ci.Kind.GITLAB),
    ],
)  # fmt: skip
def test_a_runner_is_known_by_its_variables(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], kind: ci.Kind | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert ci.kind() is kind


def drawn(width: int, height: int = 24, *, until: int = 204, color: bool = False) -> list[str]:
    """The live part after some of the recorded events."""
    board, estimator = Board(), Estimator(RECORDED.begun())
    now = BEGUN
    for event in (RECORDED.begun(), *list(RECORDED.events())[:until]):
        board.see(event)
        estimator.see(event)
        now = event.at if isinstance(event, Sample) else now
    view = View(board, threading.RLock(), estimator.remaining, now=lambda: now + 2)
    out = io.StringIO()
    Console(
        file=out, width=width, height=height, force_terminal=color, no_color=not color, legacy_windows=False,
        color_system="truecolor" if color else None,
    ).print(view)  # fmt: skip
    return out.getvalue().splitlines()


def test_the_live_part_tells_what_runs_its_age_and_memory_and_when_it_is_done() -> None:
    head, facts, *running = drawn(110)
    assert "40/94" in head
    assert "ETA" in head
    assert facts.strip() == "memory 2.0 GB of 20.0 GB"
    assert len(running) == 2
    assert all(line.endswith("1.0 GB of   1.0 GB") for line in running)
    assert running[0].split()[0].startswith("csrc/")


@pytest.mark.parametrize("width", [12, 20, 38, 50, 71, 72, 200])
@pytest.mark.parametrize("height", [3, 24])
def test_it_fits_any_terminal(width: int, height: int) -> None:
    for line in drawn(width, height):
        assert len(line) < width
    assert any("40/94" in line for line in drawn(width, height))


def test_no_colour_means_no_colour() -> None:
    assert "\x1b" not in "".join(drawn(110))
    assert "\x1b[" in "".join(drawn(110, color=True))


def test_more_than_fits_is_counted() -> None:
    board = Board()
    recorded = replace(RECORDED, entries=[replace(one, start=0) for one in RECORDED.entries])
    for event in list(recorded.events())[:90]:
        board.see(event)
    view = View(board, threading.RLock(), lambda _: None, now=lambda: BEGUN + 5)
    out = io.StringIO()
    Console(file=out, width=100, height=16, legacy_windows=False).print(view)
    lines = out.getvalue().splitlines()
    assert len(lines) == 12
    assert lines[-1].strip() == f"and {len(board.running) - 9} more"


def test_an_end_that_the_gate_told_is_known_by_either_slash() -> None:
    """Ninja's descriptions have backslashes on Windows."""
    board = Board()
    ended = [event for event in RECORDED.events() if isinstance(event, EdgeEnded)]
    board.see(ended[0])
    for output, told in ((ended[0].record.edge.output, True), (ended[1].record.edge.output, False)):
        for name in (output, output.replace("/", "\\")):
            done = EdgeDone(
                finished=1,
                total=9,
                title=f"Building CUDA object {name}",
                failed=False,
                elapsed=1,
                remaining=None,
            )
            assert board.told(done) is told


def test_a_stream_tells_all_and_its_last_line_how_it_ended(tmp_path: Path) -> None:
    target = tmp_path / "events.ndjson"
    with watching(str(target)) as watch:
        for event in whole_build(tmp_path / "b"):
            watch(event)
        watch.result({"tag": "v0.33.0"}, failed=False)
    lines = [json.loads(line) for line in target.read_bytes().splitlines()]
    assert lines[0]["event"] == "stream_begun"
    assert lines[0]["schema"] == stream.SCHEMA
    assert lines[-2] == {"event": "result", "at": lines[-2]["at"], "result": {"tag": "v0.33.0"}}
    assert lines[-1]["outcome"] == "finished"
    kinds = [line["event"] for line in lines]
    assert kinds.count("edge_started") == kinds.count("edge_ended") == kinds.count("edge_done") == 94
    assert watch.record is not None
    assert watch.record.parent == tmp_path / "b" / "runs"


def test_a_run_is_recorded_and_read_again(tmp_path: Path) -> None:
    with watching() as watch:
        for event in whole_build(tmp_path):
            watch(event)
    (listed,) = runs.listed(tmp_path)
    run = listed.load()
    assert (run.origin, run.ending, run.tag, run.archs) == (
        Origin.RECORD,
        Ending.FINISHED,
        "v0.33.0",
        ("8.6",),
    )
    assert len(run.records) == len(run.planned) == 94
    assert run.seconds == pytest.approx(1323.53)
    assert run.torn == 0
    assert 50 < len(run.samples) < 300
    assert watch.record is not None
    assert watch.record.stat().st_size < 300_000


def test_each_folder_that_one_command_builds_has_its_record(tmp_path: Path) -> None:
    with watching() as watch:
        for name in ("one", "two"):
            for event in whole_build(tmp_path / name):
                watch(event)
    for name in ("one", "two"):
        (listed,) = runs.listed(tmp_path / name)
        run = listed.load()
        assert (len(run.records), run.ending, run.torn) == (94, Ending.FINISHED, 0)


@pytest.mark.parametrize("content", [b"", b"\0" * 64])
def test_a_record_of_which_nothing_reached_the_disk_hides_no_other(tmp_path: Path, content: bytes) -> None:
    with watching() as watch:
        for event in whole_build(tmp_path):
            watch(event)
    (whole,) = runs.records(tmp_path)
    whole.with_name(f"{runs.name_of(4e9)}{runs.SUFFIX}").write_bytes(content)
    assert runs.chosen(tmp_path, None).name == whole.stem


def test_a_failure_and_an_interruption_are_told_apart(tmp_path: Path) -> None:
    for error, outcome in ((CompileError("no"), "failed"), (KeyboardInterrupt(), "interrupted")):
        target = tmp_path / f"{outcome}.ndjson"
        with pytest.raises(type(error)):
            _broken_off(target, error)
        assert json.loads(target.read_bytes().splitlines()[-1])["outcome"] == outcome


def _broken_off(target: Path, error: BaseException) -> None:
    with watching(str(target)) as watch:
        watch(Note(text="so far"))
        raise error


def test_nothing_to_do_leaves_no_record(tmp_path: Path) -> None:
    with watching() as watch:
        watch(StepBegun(step=Step.COMPILE, title="x"))
        watch(StepDone(step=Step.COMPILE, seconds=0.1, summary="nothing to do"))
    assert watch.record is None
    assert list(tmp_path.iterdir()) == []


def test_a_stream_that_cannot_be_written_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot write"), watching(str(tmp_path / "no" / "events")):
        raise AssertionError("nothing may run")


def test_a_record_that_cannot_be_written_does_not_end_the_build(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("in the way", encoding="utf-8")
    recorder = Recorder(version="1", at=BEGUN)
    for event in whole_build(tmp_path):
        recorder.see(event, at=BEGUN, remaining=None)
    recorder.end(Ending.FINISHED, at=BEGUN)
    assert recorder.file is None
    assert "not recorded" in recorder.problem


def test_only_the_last_runs_are_kept(tmp_path: Path) -> None:
    for number in range(runs.KEPT + 5):
        recorder = Recorder(version="1", at=BEGUN)
        begun = replace(RECORDED.begun(), build=tmp_path, at=BEGUN + 60 * (number // 2))
        recorder.see(begun, at=BEGUN, remaining=None)
        recorder.end(Ending.FINISHED, at=BEGUN)
    kept = runs.records(tmp_path)
    assert len(kept) == runs.KEPT
    assert kept[-1].stem == runs.name_of(BEGUN + 60 * ((runs.KEPT + 4) // 2))


@settings(deadline=None)
@given(st.data())
def test_a_record_cut_anywhere_is_read_as_cut_off(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = _content()
    head = content.index(b"\n") + 1
    file = tmp_path_factory.mktemp("cut") / "20261121T204222Z.ndjson"
    file.write_bytes(content[: data.draw(st.integers(head, len(content) - 2))])
    run = runs.load(file)
    assert run.ending is Ending.CUT_OFF
    assert run.torn <= 1
    assert len(run.lanes) == len(run.records)


@settings(deadline=None)
@given(st.integers(0, 3000), st.integers(0, 255))
def test_a_record_with_a_wrong_byte_is_still_read(at: int, value: int) -> None:
    content = bytearray(_content())
    head = content.index(b"\n") + 1
    content[head + at % (len(content) - head)] = value
    reader = runs._Reader(begun=BEGUN)
    for line in bytes(content[head:]).split(b"\n"):
        if line:
            reader.take(line)
    assert reader.torn <= 2


@cache
def _content() -> bytes:
    events = (RECORDED.begun(), *list(RECORDED.events())[:12])
    lines = [stream.opened(at=BEGUN, version="1"), *(stream.encode(event, at=BEGUN) for event in events)]
    return b"".join(map(stream.line, [*lines, stream.closed(at=BEGUN, outcome="finished")]))


def test_the_page_of_a_step_gets_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "summary.md"
    page.write_text("before\n", encoding="utf-8")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    with watching() as watch:
        for event in whole_build(tmp_path / "b"):
            watch(event)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n### vLLM v0.33.0 for 8.6: run ")
    assert "| `csrc/quantization/w8a8/cutlass/scaled_mm_c2x.cu` | 4 min 30 s | 4 min 30 s | 900 MB |" in text


def test_events_may_come_from_any_thread(tmp_path: Path) -> None:
    events = list(whole_build(tmp_path))
    target = tmp_path / "events.ndjson"
    with watching(str(target)) as watch:
        watch(events[1])
        threads = [
            threading.Thread(target=lambda part=part: list(map(watch, part)))
            for part in (events[2:150], events[150:])
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = [json.loads(line) for line in target.read_bytes().splitlines()]
    assert len(lines) == len(events) + 1
    assert GB
    assert isinstance(events[1], CompileBegun)
