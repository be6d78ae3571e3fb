"""`audit frontend` on the command line, as far as it goes without Wine."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from winvllm_build.audit.frontend import parts
from winvllm_build.audit.frontend.audit import Judged, Result
from winvllm_build.audit.frontend.messages import Message
from winvllm_build.audit.frontend.outcome import Outcome, Pass, Side, Verdict
from winvllm_build.audit.frontend.record import as_data
from winvllm_build.audit.frontend.units import Language, Unit
from winvllm_build.cli import audit_frontend
from winvllm_build.cli.main import run
from winvllm_build.errors import ToolchainError, UsageError

ERROR = Message(file="csrc/a.cu", line=14, text='identifier "uint" is undefined', source="const uint x = 1;")
BUILTIN = Message(file="csrc/core/math.hpp", line=8, text="GCC builtin: __builtin_clz")


def _judged(path: str, side: Side, *outcomes: Outcome) -> Judged:
    unit = Unit(path=path, target="_C", language=Language.CUDA, definitions=(), includes=(), standard="c++17")
    return Judged(side=side, unit=unit, outcomes=outcomes)


RESULT = Result(
    tag="v0.14.1", archs=("8.6",), tools={"clang": "19.1.7"}, left_out=52, seconds=1.0,
    judged=(
        _judged(
            "csrc/a.cu", Side.BEFORE,
            Outcome(kind=Pass.HOST, verdict=Verdict.FAIL, errors=28, messages=(ERROR,), cpu=9.2, peak=10**9),
        ),
        _judged(
            "csrc/b.cu", Side.BEFORE,
            Outcome(kind=Pass.HOST, verdict=Verdict.PASS, lint=(BUILTIN,), cpu=16.0),
        ),
        _judged("csrc/a.cu", Side.AFTER, Outcome(kind=Pass.HOST, verdict=Verdict.PASS, cpu=16.0)),
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    ("words", "tag", "files"),
    [
        ([], None, []),
        (["v0.14.1"], "v0.14.1", []),
        (["v0.14.1", "csrc/a.cu"], "v0.14.1", ["csrc/a.cu"]),
        (["csrc/attention/*.cu"], None, ["csrc/attention/*.cu"]),
    ],
)
def test_a_first_word_that_is_no_file_is_the_tag(words: list[str], tag: str | None, files: list[str]) -> None:
    assert audit_frontend._words(words) == (tag, files)


def test_without_the_parts_it_says_which_lack_and_changes_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "HEADER_FOLDERS", ())
    assert run(["audit", "frontend", "v0.14.1", "--json"]) == ToolchainError.exit_code
    told = json.loads(capsys.readouterr().out)["error"]
    assert "libwine-dev" in told["message"]
    assert parts.STL_TAG in told["message"]


def test_a_layer_that_the_tag_lacks_is_told_before_anything_is_looked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["audit", "frontend", "v0.14.1", "--layer", "fast-compil", "--json"]) == UsageError.exit_code
    told = json.loads(capsys.readouterr().out)["error"]
    assert "fast-compil" in told["message"]
    assert "fast-compile" in told["fix"]


def test_what_was_looked_at_with_a_layer_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    audit_frontend._show(replace(RESULT, layers=("fast-compile",)))
    out = capsys.readouterr().out
    assert "v0.14.1 before the patches" in out
    assert "v0.14.1+fast-compile after the patches" in out
    assert as_data(replace(RESULT, layers=("fast-compile",)))["layers"] == ["fast-compile"]
    assert "layers" not in as_data(RESULT)


def test_the_table_has_what_fails_with_its_hazard_and_first_error(capsys: pytest.CaptureFixture[str]) -> None:
    audit_frontend._show(RESULT)
    out = capsys.readouterr().out
    assert 'fail  csrc/a.cu  D12  csrc/a.cu(14): identifier "uint" is undefined' in out
    assert "pass  csrc/b.cu  D1   csrc/core/math.hpp(8): GCC builtin: __builtin_clz" in out
    assert "1 of 2 files pass" in out
    assert "52 generated files are left out; --all takes them" in out


def test_a_finding_of_any_kind_is_an_exit_code() -> None:
    assert audit_frontend._code(RESULT) == 1


def test_the_data_sums_up_and_tells_each_unit() -> None:
    data = as_data(RESULT)
    assert data["summary"]["before"] == {"pass": 1, "fail": 1, "not judged": 0}
    assert data["summary"]["after"]["pass"] == 1
    first = data["units"][0]
    assert first["hazards"] == ["D12"]
    assert first["passes"][0]["errors"] == 28
    assert first["passes"][0]["peak_megabytes"] == 1000
    assert data["units"][1]["hazards"] == ["D1"]
    assert "messages" not in data["units"][2]["passes"][0]
    json.dumps(data)
