"""What the fallback server says, field by field beside what upstream's server said to the same requests.

`python -m scripts.recorded_wire` wrote the record.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.fallback.served import Served
from tests.fallback.wire import EQUAL, REFUSED, answers

RECORD = Path(__file__).resolve().parents[1] / "recorded" / "serving" / "v0.33.0.json"


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return found


@pytest.fixture(scope="module")
def ours(server: Served) -> dict[str, list[Any]]:
    return answers(server.base, {**EQUAL, **REFUSED})


def test_every_request_was_recorded(record: dict[str, Any]) -> None:
    assert set(record["answers"]) == {*EQUAL, *REFUSED}


@pytest.mark.parametrize("name", EQUAL)
def test_an_answer_is_upstreams(record: dict[str, Any], ours: dict[str, list[Any]], name: str) -> None:
    assert record["answers"][name][0] == 200
    assert ours[name] == record["answers"][name]


def kind(answer: list[Any]) -> tuple[list[object], list[str]]:
    """Status, type of content and of error, not the words; and the field at fault, where one is named."""
    status, content, body = answer
    error = body.get("error")
    if error is None:
        return [status, content, body], []
    place = (error["param"] or "").split(".")[:2]
    return [status, content, sorted(body), sorted(error), error["type"], error["code"]], place


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_of_upstreams_kind(
    record: dict[str, Any], ours: dict[str, list[Any]], name: str
) -> None:
    (wanted, place), (found, own_place) = kind(record["answers"][name]), kind(ours[name])
    assert 400 <= record["answers"][name][0] < 500
    assert found == wanted
    assert place in ([], [""], own_place)
    error = ours[name][2].get("error")
    assert error is None or len(error["message"]) > 5


def test_the_model_generates_what_it_generated_for_upstream(model: Path, record: dict[str, Any]) -> None:
    assert json.loads((model / "expected.json").read_text(encoding="utf-8")) == record["generate"]
