"""What the Windows front ends said of two tags, before and after the patches.

`data/frontend-<tag>.json` is what `winvllm-build audit frontend TAG --both --json` printed. It is held
against the patch set, the catalogue and the static rules; the front ends are run in `real_build`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.tag_trees import published
from winvllm_build.audit.cxx.scanner import scan
from winvllm_build.audit.files import Files
from winvllm_build.audit.frontend import explain
from winvllm_build.audit.frontend.messages import Message
from winvllm_build.audit.hazard import catalogue
from winvllm_build.audit.hit import State
from winvllm_build.index import PlatformTag
from winvllm_build.patchset.patchset import PatchSet, load
from winvllm_build.review.find import listed
from winvllm_build.toolchain import cuda_wheels

pytestmark = pytest.mark.network
TAGS = ("v0.14.1", "v0.19.0", "v0.19.1", "v0.33.0")
EVERYWHERE = ("cmake/windows.cmake", "cmake/windows_cuda.h")
"""What these files give every unit: a hazard that they meet is met in all files."""
Unit = dict[str, Any]


@pytest.fixture(scope="module", params=TAGS)
def tag(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def shipped(checkout: Path, tag: str) -> PatchSet:
    return load(checkout / "patches", tag)


@pytest.fixture(scope="module")
def pristine(shipped: PatchSet, test_cache: Path) -> Path:
    """Upstream's files; tests only read them."""
    return published(shipped.tag, test_cache, patched=False)


@pytest.fixture(scope="module")
def record(checkout: Path, tag: str) -> dict[str, Any]:
    file = checkout / "tests" / "real_vllm" / "data" / f"frontend-{tag}.json"
    loaded: dict[str, Any] = json.loads(file.read_bytes())
    return loaded


def _units(record: dict[str, Any], side: str) -> list[Unit]:
    return [unit for unit in record["units"] if unit["side"] == side]


def _messages(unit: Unit) -> list[Message]:
    return [
        Message(**one)
        for part in unit["passes"]
        for one in (*part.get("messages", ()), *part.get("lint", ()))
    ]


def _explained(units: list[Unit]) -> set[tuple[str, str]]:
    """File and hazard of each error that a hazard explains."""
    return {
        (message.file, hazard)
        for unit in units
        for message in _messages(unit)
        for hazard in explain.hazards([message])
    }


def test_it_is_about_this_tag_and_the_pinned_front_end(record: dict[str, Any], tag: str) -> None:
    assert record["tag"] == tag
    assert record["archs"] == ["8.6"]
    assert record["tools"]["CUDA for Windows"] == str(
        cuda_wheels.read_pins(PlatformTag.WINDOWS_AMD64).version
    )


def test_the_summary_is_what_the_units_say(record: dict[str, Any]) -> None:
    for side, counts in record["summary"].items():
        units = _units(record, side)
        assert sum(counts.values()) == len(units)
        for verdict, count in counts.items():
            assert sum(unit["verdict"] == verdict for unit in units) == count


def test_every_failure_before_is_explained_by_hazards_of_the_catalogue(record: dict[str, Any]) -> None:
    failing = [unit for unit in _units(record, "before") if unit["verdict"] == "fail"]
    assert len(failing) >= 10
    for unit in failing:
        assert list(explain.hazards(_messages(unit))) == unit["hazards"]
        assert unit["hazards"], unit["path"]
        assert set(unit["hazards"]) <= set(catalogue())


def test_what_is_not_judged_before_fails_in_torchs_headers_alone(record: dict[str, Any]) -> None:
    """The `small` of Windows' rpcndr.h, which patched trees undefine: no hazard of vLLM's files."""
    for unit in _units(record, "before"):
        if unit["verdict"] == "not judged":
            messages = [message for one in unit["passes"] for message in one["messages"]]
            assert {one["file"] for one in messages} == {"torch/c10/cuda/CUDACachingAllocator.h"}, unit[
                "path"
            ]
            assert not unit["hazards"]


def test_the_first_error_of_each_failure_has_a_hazard(record: dict[str, Any]) -> None:
    """What follows from it may have none."""
    for unit in _units(record, "before"):
        if unit["verdict"] == "fail":
            assert explain.hazards(_messages(unit)[:1]), unit["path"]


def test_nothing_fails_once_patched(record: dict[str, Any]) -> None:
    units = _units(record, "after")
    assert units
    assert [unit["path"] for unit in units if unit["verdict"] != "pass" or unit["hazards"]] == []


def test_every_file_with_an_error_is_patched_for_that_hazard(
    record: dict[str, Any], shipped: PatchSet
) -> None:
    met = {
        (str(patch.path), hazard)
        for patch in shipped.patches
        for hazard in listed(patch.content.header, "Hazards")
    }
    everywhere = {hazard for path, hazard in met if path in EVERYWHERE}
    explained = _explained(_units(record, "before"))
    assert {(path, hazard) for path, hazard in explained - met if hazard not in everywhere} == set()


def test_the_static_rules_find_every_one_of_them(record: dict[str, Any], pristine: Path) -> None:
    wanted = _explained(_units(record, "before"))
    files = {path: (pristine / path).read_bytes() for path, _ in wanted}
    hits = {
        (hit.path, hit.hazard) for hit in scan(Files.of_mapping(files), None).hits if hit.state is State.LIVE
    }
    assert wanted - hits == set()
