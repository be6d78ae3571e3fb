"""Kill -9 at any moment of a port: the next command goes on or takes it back, and nothing is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.port_bench import layered_story
from tests.port_kill import STEPS, attempts
from tests.port_story import Story

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the driver forks")
STRIDES = {
    "begin, all clean": 19, "begin": 41, "begin, then abort": 43, "continue": 97, "continue to the end": 61,
    "abort": 29,
}  # fmt: skip
"""Every write is killed at with WINVLLM_TEST_KILL_STRIDE=1, which takes half an hour."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return layered_story(tmp_path_factory.mktemp("template") / "story")


@pytest.mark.parametrize("name", STEPS)
def test_killed_at_every_step(template: Story, tmp_path: Path, checkout: Path, name: str) -> None:
    stride = int(os.environ.get("WINVLLM_TEST_KILL_STRIDE", STRIDES[name]))
    first = 1 + list(STEPS).index(name) % stride
    reports = attempts(template, tmp_path, checkout, name, first=first, stride=stride)
    assert [report for report in reports if report["problems"]] == []
    assert sum(report["killed"] for report in reports) >= 3
    assert not reports[-1]["killed"]
