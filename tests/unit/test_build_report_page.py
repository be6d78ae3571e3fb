"""A build's page and trace without a browser: whole, harmless, nothing from elsewhere; its figures."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.build_report_cases import FAILED, HOSTILE, RETRIED, sample, sample_pair, unwatched
from tests.report_cases import Page
from tests.report_replay import BEGUN, recorded_entries
from winvllm_build.build.engine.record import Outcome
from winvllm_build.build.report import comparison, page, runs, summary, trace
from winvllm_build.build.report.run import Ending, Run
from winvllm_build.cli.main import run as command
from winvllm_build.errors import UsageError

LIMIT = 1_500_000


@pytest.fixture(scope="module")
def built() -> Run:
    return sample()


@pytest.fixture(scope="module")
def content() -> str:
    return page.render(sample(), comparison.compare(*sample_pair()))


def test_its_data_are_those_of_the_report(content: str, built: Run) -> None:
    data = Page.read(content).blocks["data"]
    expected = summary.as_data(built, summary.summarise(built))
    assert {key: data[key] for key in expected} == json.loads(json.dumps(expected))
    assert data["comparison"] == json.loads(
        json.dumps(comparison.as_data(comparison.compare(*sample_pair())))
    )
    assert len(data["samples"]) == len(built.samples)


def test_every_attempt_is_in_the_table_the_slowest_first(content: str, built: Run) -> None:
    at = [int(number) for number in re.findall(r'<tr data-at="(\d+)">', content)]
    assert sorted(at) == list(range(len(built.records)))
    seconds = [built.records[one].seconds for one in at]
    assert seconds == sorted(seconds, reverse=True)
    assert content.count("attempt 2</small>") == 1


def test_nothing_comes_from_elsewhere_and_only_its_own_script_may_run(content: str) -> None:
    read = Page.read(content)
    assert read.outside == []
    assert re.findall(r"@import|url\(|https?://(?!www\.w3\.org/2000/svg)", content) == []
    assert not {"link", "img", "iframe", "object", "form"}.intersection(read.tags)
    assert read.meta["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert " style=" not in content


def test_hostile_names_are_text(content: str) -> None:
    for name in HOSTILE[:2]:
        assert name not in content
    assert content.count("<script") == 2
    assert "49" not in re.findall(r"csrc/<b>([^<]*)</b>", content)
    assert "\u202e" not in content
    assert "\x1b" not in content


@pytest.mark.parametrize("ending", list(Ending))
def test_every_ending_makes_a_page(ending: Ending) -> None:
    run = replace(sample(), ending=ending, unended={"CMakeFiles/_C.dir/csrc/<b>.cu.o": BEGUN + 5})
    made = page.render(run, None)
    assert (f'<p class="ending">{ending.value}' in made) == (ending not in {Ending.FINISHED, Ending.UNKNOWN})
    assert "csrc/&lt;b&gt;.cu did not end" in made or ending in {Ending.FINISHED, Ending.UNKNOWN}


def test_a_build_that_nobody_watched_has_a_page_of_its_times(tmp_path: Path) -> None:
    run = runs.chosen(unwatched(tmp_path), None)
    made = page.render(run, None)
    assert "from Ninja&#39;s log, which has times alone" in made
    assert "Memory, GB" not in made
    assert made.count("<tr data-at=") == 94


def test_nothing_at_all_is_a_page_too(built: Run) -> None:
    empty = replace(built, records=(), samples=(), planned={}, ended=built.begun)
    assert "No file fits" in page.render(empty, comparison.compare(empty, empty))
    assert trace.trace(empty)["traceEvents"]


def test_a_large_build_stays_a_small_page(built: Run) -> None:
    records = tuple(
        replace(record, edge=replace(record.edge, output=f"{record.edge.output}{number}"))
        for record in built.records
        for number in range(6)
    )
    assert len(page.render(replace(built, records=records), None).encode()) < LIMIT


def test_the_figures(built: Run) -> None:
    found = summary.summarise(built)
    assert found.counts[Outcome.RETRIED] == found.counts[Outcome.FAILED] == 1
    assert sum(found.counts.values()) - 1 == len(recorded_entries()) + len(HOSTILE)
    assert 0.9 < found.utilisation <= 1
    assert found.slots == 4
    assert found.slowest[0].edge.source.endswith(RETRIED)
    assert found.largest[0].memory == max(record.memory for record in built.records)
    assert found.accuracy is not None
    assert found.accuracy.within > 0.9
    failed = [record for record in built.records if record.outcome is Outcome.FAILED]
    assert [record.edge.source for record in failed] == [f"<tree>/{FAILED}"]


def test_a_busy_machine_is_no_error_of_the_predictions(built: Run) -> None:
    """What waits for a core takes long, and uses no more of it."""
    quiet = [replace(record, cpu=record.seconds) for record in built.records]
    busy = [replace(record, ended=record.started + 12 * record.seconds) for record in quiet]
    assert (
        summary.summarise(replace(built, records=tuple(busy))).accuracy
        == summary.summarise(replace(built, records=tuple(quiet))).accuracy
    )
    blind = summary.summarise(replace(built, records=tuple(replace(one, cpu=0.0) for one in busy))).accuracy
    assert blind is not None
    assert blind.within < 0.1


def test_lanes_never_overlap(built: Run) -> None:
    ends: dict[int, float] = {}
    spans = sorted(zip(built.lanes, built.records, strict=True), key=lambda pair: pair[1].started)
    for lane, record in spans:
        assert record.started >= ends.get(lane, 0.0) - 0.01
        ends[lane] = record.ended
    assert len(ends) == 4


def test_two_runs_are_compared_by_file() -> None:
    run, earlier = sample_pair()
    found = comparison.compare(run, earlier)
    assert 0.6 < found.ratio < 0.95
    assert found.pairs[0].difference >= found.pairs[-1].difference
    assert [record.edge.output for record in found.only_before] == ["CMakeFiles/_C.dir/csrc/gone.cu.o"]
    assert len(found.only_now) == 1


def events_of(run: Run) -> list[dict[str, Any]]:
    made = json.loads(json.dumps(trace.trace(run)))
    assert made["displayTimeUnit"] == "ms"
    assert isinstance(made["traceEvents"], list)
    return list(made["traceEvents"])


def test_a_trace_has_what_the_format_asks_for(built: Run) -> None:
    run = replace(built, unended={"CMakeFiles/_C.dir/csrc/late.cu.o": built.ended - 5})
    events = events_of(run)
    for event in events:
        assert event["ph"] in {"X", "M", "C", "b", "e"}
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        assert event["name"]
        if event["ph"] != "M":
            assert isinstance(event["ts"], int)
            assert event["ts"] >= 0
    named = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
    whole = [event for event in events if event["ph"] == "X"]
    assert len(whole) == len(run.records) + 1
    assert {(event["pid"], event["tid"]) for event in whole} <= named
    processes = {e["pid"]: e["args"]["name"] for e in events if e["name"] == "process_name"}
    assert processes == {1: "compile vLLM v0.33.0 8.6 12.0", 2: "held back"}
    begun = {event["id"] for event in events if event["ph"] == "b"}
    assert begun == {event["id"] for event in events if event["ph"] == "e"}
    assert len(begun) > 10


def test_spans_of_one_thread_follow_each_other(built: Run) -> None:
    ends: dict[int, int] = {}
    for event in sorted((e for e in events_of(built) if e["ph"] == "X"), key=lambda event: int(event["ts"])):
        assert event["ts"] >= ends.get(event["tid"], 0) - 2500
        ends[event["tid"]] = event["ts"] + event["dur"]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = unwatched(tmp_path)
    html, chrome = tmp_path / "r.html", tmp_path / "t.json"
    assert (
        command(["report", str(folder), "--html", str(html), "--trace", str(chrome), "--compare", "1"]) == 0
    )
    said = capsys.readouterr().out
    assert "94 edges" in said
    assert "csrc/quantization/w8a8/cutlass/scaled_mm_c2x.cu" in said
    assert "94 edges ran in both, now in 1.00 of the time" in said
    assert html.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert json.loads(chrome.read_bytes())["traceEvents"]
    assert command(["report", str(folder), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert len(data["attempts"]) == 94
    assert data["attempts"][0]["memory"] is None
    assert command(["report", str(folder), "--runs"]) == 0
    assert "ninja-20261120T172017Z" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--run", "7"], "no single run '7'"),
        (["--run", "nobody"], "1 ninja-2026"),
        (["--profile", "sm86"], "name two builds"),
        (["--compare", "9"], "no single run '9'"),
    ],
)
def test_what_does_not_exist_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert command(["report", str(unwatched(tmp_path)), *arguments]) == UsageError.exit_code
    assert words in capsys.readouterr().err


def test_no_build_is_said_with_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["report"]) == UsageError.exit_code
    assert "nothing was compiled" in capsys.readouterr().err
    assert command(["report", "--profile", "sm86"]) == UsageError.exit_code
    assert "of v0." in capsys.readouterr().err
    assert command(["report", str(tmp_path)]) == UsageError.exit_code
    assert "no record of a run" in capsys.readouterr().err
    (tmp_path / "x.ndjson").write_bytes(b'{"event":"stream_begun","schema":99}\n')
    assert command(["report", str(tmp_path / "x.ndjson")]) == UsageError.exit_code
    assert "schema 99" in capsys.readouterr().err
    (tmp_path / "y.ndjson").write_bytes(b"MZ")
    assert command(["report", str(tmp_path / "y.ndjson")]) == UsageError.exit_code


def test_a_profiles_layers_for_its_own_tag_are_no_obstacle_to_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = tmp_path / "mine.toml"
    text = 'tag = "v0.14.1"\n[cuda]\narch_list = ["8.6"]\n[source]\nlayers = ["fast-compile"]\n'
    profile.write_text(text, encoding="utf-8")
    monkeypatch.setenv("WINVLLM_TAG", "v0.19.0")
    assert command(["report", "--profile", str(profile)]) == UsageError.exit_code
    assert "nothing of v0.19.0" in capsys.readouterr().err
    monkeypatch.delenv("WINVLLM_TAG")
    assert command(["report", "--profile", str(profile)]) == UsageError.exit_code
    assert re.search(r"nothing of v0\.14\.1\S*fast-compile", capsys.readouterr().err)


def test_the_files_of_the_page_are_shipped() -> None:
    names = {f"{page.NAME}{kind}" for kind in (".css", ".js", ".html.jinja")}
    assert {file.name for file in page.FILES.iterdir()} == names


def test_an_edge_that_begins_before_the_last_end_is_written_down_stays_in_its_slot(built: Run) -> None:
    early = [record for record in built.records if record.outcome is Outcome.COMPILED]
    shifted = tuple(replace(record, started=record.started - 0.5) for record in early)
    assert max(replace(built, records=shifted).lanes) == built.slots - 1
    assert max(replace(built, records=shifted, slots=0).lanes) >= built.slots
