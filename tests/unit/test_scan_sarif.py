"""The SARIF log: valid by the rules of the standard that matter here, and stable while lines move."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pytest

from tests.scan_hits import ADVICE, RUNTIME, SEVERE, entry, hit, place, written
from winvllm_build.audit.coverage import Coverage, judge
from winvllm_build.audit.hazard import catalogue
from winvllm_build.audit.hit import Blind, Found, Hit, State
from winvllm_build.audit.newsince import compare
from winvllm_build.audit.sarif import fingerprints, log, uri
from winvllm_build.review.suppressions import read

SHAPES: dict[str, tuple[set[str], set[str]]] = {
    "log": ({"version", "runs"}, {"$schema"}),
    "run": ({"tool", "results"}, {"columnKind", "originalUriBaseIds", "invocations"}),
    "driver": ({"name"}, {"version", "informationUri", "rules"}),
    "rule": ({"id"}, {"name", "shortDescription", "fullDescription", "help", "helpUri",
                      "defaultConfiguration", "properties"}),
    "result": ({"message"}, {"ruleId", "ruleIndex", "kind", "level", "locations", "partialFingerprints",
                             "properties", "suppressions", "baselineState"}),
    "location": ({"physicalLocation"}, set()),
    "physical": ({"artifactLocation"}, {"region"}),
    "region": ({"startLine"}, {"snippet"}),
    "invocation": ({"executionSuccessful"}, {"toolExecutionNotifications"}),
    "notification": ({"message"}, {"level", "locations"}),
    "suppression": ({"kind"}, {"status", "justification"}),
}  # fmt: skip
"""What sarif-schema-2.1.0.json demands of each object, and what it admits of what is written here."""


def shaped(kind: str, value: dict[str, Any]) -> dict[str, Any]:
    needed, allowed = SHAPES[kind]
    assert needed <= set(value) <= needed | allowed, kind
    return value


def check_location(value: dict[str, Any]) -> None:
    physical = shaped("physical", shaped("location", value)["physicalLocation"])
    artifact = physical["artifactLocation"]
    assert set(artifact) == {"uri", "uriBaseId"}
    parts = urlparse(artifact["uri"])
    assert not parts.scheme
    assert re.fullmatch(r"[A-Za-z0-9._~:@!$&'()*+,;=/%-]+", artifact["uri"])
    assert not artifact["uri"].startswith("/")
    if "region" in physical:
        assert shaped("region", physical["region"])["startLine"] >= 1


def check_result(value: dict[str, Any], rules: list[dict[str, Any]]) -> None:
    shaped("result", value)
    assert rules[value["ruleIndex"]]["id"] == value["ruleId"]
    assert value["message"]["text"]
    assert value["kind"] in ("fail", "pass", "notApplicable")
    assert value["level"] in (("error", "warning", "note") if value["kind"] == "fail" else ("none",))
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in value["partialFingerprints"].values())
    assert value.get("baselineState", "new") in ("new", "unchanged", "updated", "absent")
    for one in value["locations"]:
        check_location(one)
    for one in value.get("suppressions", []):
        assert shaped("suppression", one)["kind"] in ("external", "inSource")
        assert one["justification"]


def check(said: dict[str, Any]) -> dict[str, Any]:
    """The one run of a valid log."""
    shaped("log", said)
    assert said["version"] == "2.1.0"
    (run,) = said["runs"]
    shaped("run", run)
    driver = shaped("driver", run["tool"]["driver"])
    ids = [shaped("rule", rule)["id"] for rule in driver["rules"]]
    assert len(ids) == len(set(ids))
    for rule in driver["rules"]:
        assert rule["defaultConfiguration"]["level"] in ("error", "warning", "note")
        assert rule["help"]["text"]
        assert rule["help"]["markdown"]
    for result in run["results"]:
        check_result(result, driver["rules"])
    (invocation,) = run["invocations"]
    for notice in shaped("invocation", invocation)["toolExecutionNotifications"]:
        assert shaped("notification", notice)["level"] in ("error", "warning")
        for one in notice.get("locations", []):
            check_location(one)
    assert json.loads(json.dumps(said)) == said
    return dict(run)


def told(coverage: Coverage, *, guarded: bool = False, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever SARIF holds
    found = more.pop("found", Found())
    return check(log(found=found, coverage=coverage, since=more.get("since"), version="1.0", guarded=guarded))


def results(run: dict[str, Any], *names: str) -> Iterator[tuple[Any, ...]]:
    for result in run["results"]:
        yield tuple(result.get(name) for name in names)


def test_severities_are_levels() -> None:
    run = told(judge([hit(), hit(hazard=RUNTIME), hit(hazard=ADVICE)], (), ()))
    assert list(results(run, "ruleId", "level")) == [
        (SEVERE, "error"),
        (RUNTIME, "warning"),
        (ADVICE, "note"),
    ]


def test_guarded_and_dead_places_pass_and_are_left_out_unless_asked_for() -> None:
    made = judge([hit(state=State.GUARDED), hit(state=State.DEAD), hit()], (), ())
    assert list(results(told(made), "kind")) == [("fail",)]
    assert list(results(told(made, guarded=True), "kind")) == [("fail",), ("notApplicable",), ("pass",)]


def test_a_suppression_carries_its_reason(tmp_path: Path) -> None:
    entries, _ = read(written(tmp_path, entry(reason="a macro of ours")), catalogue())
    (result,) = told(judge([hit()], entries, ()))["results"]
    assert result["suppressions"][0]["justification"] == "a macro of ours"


def test_places_have_their_state_against_an_older_tree() -> None:
    old = [hit("uint a;", line=1), hit("uint a;", line=2), hit("gone;"), hit("m;", path="csrc/old.cu")]
    new = [place("uint a;", line=n) for n in (1, 2, 3)] + [place("m;", path="csrc/new.cu")]
    since = compare("v1", old, new, lambda path: path.replace("old", "new"))
    coverage = judge([one.hit for one in new], (), ())
    run = told(coverage, since=since)
    states = sorted(state for (state,) in results(run, "baselineState"))
    assert states == ["absent", "new", "unchanged", "unchanged", "updated"]


def test_a_file_that_was_not_followed_is_a_notification() -> None:
    blind = (Blind(path="csrc/odd name.cu", why="an error node", lines=7), Blind(path="a.py", why="syntax"))
    run = told(judge([], (), ()), found=Found(blind=blind))
    first, second = run["invocations"][0]["toolExecutionNotifications"]
    assert "7 lines" in first["message"]["text"]
    assert first["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "csrc/odd%20name.cu"
    assert "syntax" in second["message"]["text"]


def test_every_hazard_that_text_shows_is_a_rule_with_help() -> None:
    rules = {rule["id"] for rule in told(judge([hit(hazard=ADVICE)], (), ()))["tool"]["driver"]["rules"]}
    assert rules >= {hazard.id for hazard in catalogue().values() if hazard.samples}
    assert ADVICE in rules


HITS = [hit("uint a;", line=4), hit("uint a;", line=9), hit("uint b;", line=5)]


def test_a_fingerprint_stays_while_lines_move() -> None:
    moved = [hit(one.text.replace(" ", "  "), line=one.line + 100) for one in HITS]
    assert fingerprints(HITS) == fingerprints(moved)
    assert len(set(fingerprints(HITS))) == 3


@pytest.mark.parametrize(
    "other", [hit("uint a;", path="csrc/b.cu"), hit("uint c;"), hit("uint a;", hazard=RUNTIME)]
)
def test_another_file_text_or_hazard_has_another_fingerprint(other: Hit) -> None:
    assert fingerprints([other])[0] not in fingerprints(HITS)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("csrc/a b.cu", "csrc/a%20b.cu"), ("vllm/E=8,N=1.json", "vllm/E%3D8%2CN%3D1.json"),
        ("a/ä#?.py", "a/%C3%A4%23%3F.py"), ("c:x", "c%3Ax"), ("bad\udcff.py", "bad%FF.py"),
        ("100%.py", "100%25.py"),
    ],
)  # fmt: skip
def test_paths_are_relative_references(path: str, wanted: str) -> None:
    assert uri(path) == wanted
    assert unquote(uri(path), errors="surrogateescape") == path
