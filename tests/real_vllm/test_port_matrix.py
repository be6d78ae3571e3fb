"""The patches of v0.14.1 on every later release: the verdicts are the committed ones, none is missing.

After a change that is meant to alter verdicts: `python scripts/port_matrix.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from scripts.port_matrix import data, sources
from winvllm_build.errors import UNOBTAINABLE
from winvllm_build.intake.unpinned import ReleasedTag
from winvllm_build.patchset.patchset import MAIN_TARGET
from winvllm_build.port.columns import Sources
from winvllm_build.port.explain import by_release
from winvllm_build.port.explanation import Explanation
from winvllm_build.port.matrix import Report
from winvllm_build.port.report import report
from winvllm_build.port.verdict import Kind
from winvllm_build.workspace import Workspace

pytestmark = pytest.mark.network
FIX = "if the change is meant: python scripts/port_matrix.py"
EXPLAINED: Mapping[str, tuple[str, str]] = {
    "CMakeLists.txt": ("v0.18.1", "v0.19.0"),
    "vllm/entrypoints/grpc_server.py": ("v0.17.1", "v0.18.0"),
    "csrc/quantization/marlin/sparse/common/base.h": ("v0.14.1", "v0.16.0"),
    "vllm/entrypoints/launcher.py": ("v0.28.0", "v0.29.0"),
    "vllm/entrypoints/chat_utils.py": ("v0.31.0", "v0.32.0"),
    "csrc/moe/marlin_moe_wna16/generate_kernels.py": ("v0.31.0", "v0.32.0"),
}
"""The last release that each of these patches is carried to, and the one that broke it."""
WENT = {
    "vllm/entrypoints/launcher.py": "vllm/entrypoints/launchers/launcher.py",
    "vllm/entrypoints/grpc_server.py": "vllm/entrypoints/launchers/grpc_server.py",
    "vllm/entrypoints/chat_utils.py": "vllm/renderers/chat_utils/chat_template.py",
    "csrc/moe/marlin_moe_wna16/generate_kernels.py": "csrc/quantization/marlin/generate_kernels.py",
}
"""Where their code is in v0.33.0, as reading it shows."""


def unheard(event: object) -> None:
    assert event


@pytest.fixture(scope="module")
def committed(checkout: Path) -> dict[str, Any]:
    file = checkout / "tests" / "real_vllm" / "data" / "port-matrix.json"
    found = json.loads(file.read_bytes())
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def archives(test_cache: Path) -> Sources:
    return sources(Workspace(root=test_cache / "workspace"))


@pytest.fixture(scope="module")
def tags(committed: dict[str, Any]) -> tuple[ReleasedTag, ...]:
    return tuple(
        ReleasedTag(tag=tag, version=tag.removeprefix("v"), has_sdist=digest is not None)
        for tag, digest in committed["archives"].items()
    )


@pytest.fixture(scope="module")
def whole(archives: Sources, tags: tuple[ReleasedTag, ...]) -> Report:
    return report(archives, tags, on_progress=unheard)


@pytest.fixture(scope="module")
def explained(archives: Sources, tags: tuple[ReleasedTag, ...]) -> dict[str, Explanation]:
    required = archives.old.layers[0].name
    asked = [
        patch for patch in archives.old.of(MAIN_TARGET)
        if patch.layer == required and patch.path in EXPLAINED
    ]  # fmt: skip
    return {one.path: one for one in by_release(archives, tags, asked, on_progress=unheard)}


def test_every_verdict_is_the_committed_one(whole: Report, committed: dict[str, Any]) -> None:
    found = json.loads(json.dumps(data(whole)))
    assert found["archives"] == committed["archives"], FIX
    for patch, verdicts in committed["verdicts"].items():
        assert found["verdicts"].get(patch) == verdicts, f"{patch}: {FIX}"
    assert found == committed, FIX


def test_no_patch_and_no_release_is_missing(committed: dict[str, Any], archives: Sources) -> None:
    assert set(committed["verdicts"]) == {
        f"{patch.layer}/{patch.path}" for patch in archives.old.of(MAIN_TARGET)
    }
    known = {tag for tag, digest in committed["archives"].items() if digest is not None}
    kinds = {kind.value for kind in Kind}
    for verdicts in committed["verdicts"].values():
        assert set(verdicts) == known
        assert {words.partition(":")[0] for words in verdicts.values()} <= kinds


def test_the_releases_are_those_of_the_index(archives: Sources, committed: dict[str, Any]) -> None:
    """Newer ones than the newest committed one may have come since."""
    try:
        released = archives.known()
    except UNOBTAINABLE as error:
        # an index of single files has no list; the other tests of the matrix need none
        pytest.skip(f"the package index does not list vLLM: {error.message}")
    newest = Version(max(committed["archives"], key=Version))
    final = {
        tag.tag: tag.has_sdist
        for tag in released
        if Version(archives.old.tag) < Version(tag.version) <= newest
        and not Version(tag.version).is_prerelease
    }
    assert {tag: digest is not None for tag, digest in committed["archives"].items()} == final


def test_the_release_that_broke_a_patch_is_named(explained: dict[str, Explanation]) -> None:
    named = {}
    for path, one in explained.items():
        cause = one.cause
        assert cause is not None, path
        named[path] = (cause.before, cause.at)
        assert cause.change, path
    assert named == EXPLAINED
    lost = explained["csrc/quantization/marlin/sparse/common/base.h"].turns[0]
    assert lost.unseen == ("v0.15.0", "v0.15.1")


def test_the_conflicting_lines_of_upstream_are_shown(explained: dict[str, Explanation]) -> None:
    turn = explained["vllm/entrypoints/grpc_server.py"].turns[0]
    added = [line.text for block in turn.change for line in block.lines if line.mark == "+"]
    assert "    from smg_grpc_proto import vllm_engine_pb2, vllm_engine_pb2_grpc" in added


def test_code_that_left_its_file_is_found(explained: dict[str, Explanation]) -> None:
    found = {path: [place.path for place in one.locations][:1] for path, one in explained.items()}
    assert {path: places[0] for path, places in found.items() if places} == WENT
    likeness = explained["csrc/moe/marlin_moe_wna16/generate_kernels.py"].likeness
    assert likeness is not None
    assert likeness.new == WENT["csrc/moe/marlin_moe_wna16/generate_kernels.py"]
