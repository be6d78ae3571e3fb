"""`winvllm-build audit device`: what it refuses before anything is fetched, and how a report is shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from winvllm_build.audit.device.audit import Done, Report
from winvllm_build.audit.device.record import Difference, Kind, Unit, Unproven
from winvllm_build.cli import audit_device
from winvllm_build.cli.main import run
from winvllm_build.git import Oid, RepoPath

PAIR = (Oid("a" * 40), Oid("b" * 40))
SAME = Unit(
    source=RepoPath("csrc/k.cu"), arch="8.6", options=(), compiler="nvcc 13.0.88", inputs="0",
    files={RepoPath("csrc/k.cu"): PAIR}, compared={Kind.PTX: 3, Kind.HOST_TEXT: 5000},
)  # fmt: skip
OTHER = Unit(
    source=RepoPath("csrc/l.cu"), arch="8.6", options=(), compiler="nvcc 13.0.88", inputs="0",
    files={RepoPath("csrc/l.cu"): PAIR}, compared={Kind.PTX: 2},
    differences=(Difference(kind=Kind.PTX, name="entry merge", reason=""),),
)  # fmt: skip
OPEN = Unproven(
    path=RepoPath("csrc/m.cu"), pair=PAIR, source=RepoPath("csrc/m.cu"), arch="10.0", why="no CUTLASS"
)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--arch", "86"], 'write "8.6"'),
        (["--dependency", "cutlass"], "NAME=PATH"),
        (["v0.0.1"], "v0.0.1"),
    ],
)
def test_a_wrong_question_is_refused(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["audit", "device", *options]) in (2, 9)
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said


def report(*units: Unit) -> Report:
    done = tuple(
        Done(number=number, total=len(units), name=f"{unit.source} for {unit.arch}", unit=unit, why="",
             seconds=61.0, reused=False)
        for number, unit in enumerate(units, 1)
    )  # fmt: skip
    return Report(tag="v9", done=done, unproven=(OPEN,), seconds=125.0, record=Path("device.json"))


def test_a_report_names_what_differs_and_what_is_unproven(capsys: pytest.CaptureFixture[str]) -> None:
    audit_device.show(report(SAME, OTHER))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [
        "csrc/k.cu",
        "for",
        "8.6",
        "same",
        "3",
        "PTX",
        "entries,",
        "5000",
        "lines",
        "of",
        "host",
        "code",
    ] in lines
    assert ["csrc/l.cu", "ptx", "entry", "merge", "no", "header", "says", "why"] in lines
    assert ["csrc/m.cu", "csrc/m.cu", "10.0", "no", "CUTLASS"] in lines
    assert " ".join(lines[-2]) == (
        "v9: 2 units compared, 1 difference, 1 of them unexplained, 1 file with something unproven "
        "(2 min 05 s)"
    )
    assert lines[-1] == ["written:", "device.json"]


def test_data_has_the_units_as_the_record_has_them() -> None:
    found = json.loads(json.dumps(audit_device.data(report(SAME, OTHER)), default=str))
    assert [unit["source"] for unit in found["units"]] == ["csrc/k.cu", "csrc/l.cu"]
    assert (found["unexplained"], found["record"]) == (1, "device.json")
    assert found["unproven"][0]["why"] == "no CUTLASS"


def test_only_what_no_header_explains_fails() -> None:
    assert report(SAME).unexplained == ()
    assert [unit.source for unit, _ in report(SAME, OTHER).unexplained] == ["csrc/l.cu"]
