"""The rules on Python against the real source: what the patch set meets is found before it, not after."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from winvllm_build.audit.files import Files
from winvllm_build.audit.hit import Found, Hit, Reach, State
from winvllm_build.audit.python.scanner import scan
from winvllm_build.git import NO_OBJECT, Git
from winvllm_build.index import Index
from winvllm_build.intake.checkout import Checkout
from winvllm_build.intake.unpinned import released_source
from winvllm_build.patchset.patchset import Patch, PatchSet
from winvllm_build.workspace import Workspace

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DATA = Path(__file__).with_name("data")
RECALL = tomllib.loads((DATA / "python_recall.toml").read_text("utf-8"))
JUDGED = tomllib.loads((DATA / "python_judged.toml").read_text("utf-8"))
OTHERS = {"D10", "D36", "D38", "D42", "E45"}
"""Hazards of generated sources and of setup.py, which other scanners read."""
LATER = "v0.19.0"

pytestmark = pytest.mark.network


def files_of(root: Path) -> Files:
    names = [*(root / "vllm").rglob("*.py"), *(root / "csrc").rglob("*.py"), root / "setup.py"]
    return Files.of_mapping({name.relative_to(root).as_posix(): name.read_bytes() for name in names})


@pytest.fixture(scope="module")
def pristine(pristine_tree: Path) -> Found:
    return scan(files_of(pristine_tree))


@pytest.fixture(scope="module")
def patched(patched_tree: Path) -> Found:
    return scan(files_of(patched_tree))


def live(found: Found) -> list[Hit]:
    return [hit for hit in found.hits if hit.state is State.LIVE]


def met(patch_set: PatchSet) -> Iterator[tuple[Patch, str]]:
    """Each hazard that a patch on a Python file of upstream's names."""
    for patch in patch_set.patches:
        if patch.path.endswith(".py") and patch.pre != NO_OBJECT:
            words = (patch.content.header.get("Hazards") or "").replace(",", " ").split()
            yield from ((patch, word) for word in words if word not in OTHERS)


def in_a_hunk(hit: Hit, patch: Patch) -> bool:
    hunks = patch.content.diff.hunks
    return any(hunk.old_start <= hit.line < hunk.old_start + hunk.old_count for hunk in hunks)


def test_every_file_is_understood(pristine: Found, patched: Found) -> None:
    assert pristine.blind == patched.blind == ()
    assert pristine.files > 1000
    assert pristine.lines > 400_000


def test_what_the_patches_meet_is_found(pristine: Found, patch_set: PatchSet) -> None:
    """At the lines that a patch changes, at the root that is named, or it is an open miss."""
    found = live(pristine)
    elsewhere = {
        (str(patch.path), hazard)
        for patch, hazard in met(patch_set)
        if not any(hit.hazard == hazard and hit.path == patch.path and in_a_hunk(hit, patch) for hit in found)
    }
    assert elsewhere == {(entry["path"], entry["hazard"]) for table in RECALL.values() for entry in table}
    roots = {(f"{hit.path} {hit.rule}", hit.hazard) for hit in found}
    assert {(entry["root"], entry["hazard"]) for entry in RECALL["away"]} <= roots


def test_misses_are_missed(pristine: Found) -> None:
    found = {(hit.path, hit.hazard) for hit in live(pristine)}
    assert not found & {(entry["path"], entry["hazard"]) for entry in RECALL["missed"]}


def test_nothing_of_it_is_left(patched: Found, patch_set: PatchSet) -> None:
    found = {(hit.path, hit.hazard) for hit in live(patched)}
    assert not found & {(str(patch.path), hazard) for patch, hazard in met(patch_set)}


@pytest.mark.parametrize(
    ("path", "hazard"),
    [
        ("vllm/utils/platform_utils.py", "E9"),
        ("vllm/entrypoints/grpc_server.py", "E6"),
        ("vllm/distributed/device_communicators/all_reduce_utils.py", "E17"),
        ("vllm/entrypoints/openai/run_batch.py", "E17"),
        ("vllm/benchmarks/sweep/server.py", "E62"),
        ("vllm/benchmarks/sweep/server.py", "E11"),
        ("vllm/distributed/kv_transfer/kv_connector/v1/example_connector.py", "E19"),
        ("vllm/distributed/ec_transfer/ec_connector/example_connector.py", "E19"),
        ("vllm/device_allocator/cumem.py", "E14"),
    ],
)
def test_sites_that_no_port_patched_are_found(pristine: Found, path: str, hazard: str) -> None:
    assert [hit for hit in live(pristine) if (hit.path, hit.hazard) == (path, hazard)]


@pytest.mark.parametrize(
    ("path", "hazard", "reach"),
    [
        ("vllm/entrypoints/cli/serve.py", "E4", Reach.START),
        ("vllm/benchmarks/throughput.py", "E4", Reach.START),
        ("vllm/benchmarks/sweep/server.py", "E11", Reach.CORNER),
        ("vllm/model_executor/layers/fused_moe/routed_experts_capturer.py", "E1", Reach.START),
        ("vllm/entrypoints/openai/run_batch.py", "E17", Reach.USE),
        ("vllm/distributed/kv_transfer/kv_connector/v1/example_connector.py", "E19", Reach.CORNER),
        ("csrc/moe/marlin_moe_wna16/generate_kernels.py", "D13", Reach.BUILD),
    ],
)
def test_who_gets_there_is_told(pristine: Found, path: str, hazard: str, reach: Reach) -> None:
    assert {hit.reach for hit in live(pristine) if (hit.path, hit.hazard) == (path, hazard)} == {reach}


def test_upstreams_own_guards_are_seen(pristine: Found) -> None:
    guarded = {(hit.path, hit.hazard) for hit in pristine.hits if hit.state is State.GUARDED}
    assert ("vllm/platforms/cpu.py", "E13") in guarded
    assert ("vllm/utils/system_utils.py", "E39") in guarded


def counted(found: Found, *, corner: bool = False) -> Counter[tuple[str, str]]:
    return Counter((hit.hazard, hit.rule) for hit in live(found) if (hit.reach is Reach.CORNER) == corner)


def judged(tag: str, table: str = "group") -> Mapping[tuple[str, str], Mapping[str, Any]]:
    groups = [group for group in JUDGED[table] if tag in group]
    found = {(group["hazard"], group["rule"]): group[tag] for group in groups}
    assert len(found) == len(groups)
    return found


def test_each_group_of_hits_is_judged(pristine: Found) -> None:
    assert counted(pristine) == {key: hits for key, (hits, _) in judged("v0.14.1").items()}
    corners = judged("v0.14.1", "corner")
    assert counted(pristine, corner=True) == {key: hits for key, (hits, _) in corners.items()}


def test_each_group_of_a_later_release_is_judged(test_cache: Path) -> None:
    workspace = Workspace(root=test_cache / "workspace")
    heard: list[str] = []
    index = Index(workspace, offline=False, on_event=heard.append)
    _, source = released_source(LATER, workspace=workspace, index=index, offline=False, on_event=heard.append)
    found = scan(Files.of_checkout(Checkout(Git(source.repository), source.tree, LATER)))
    assert found.blind == ()
    assert counted(found) == {key: hits for key, (hits, _) in judged(LATER).items()}
    corners = judged(LATER, "corner")
    assert counted(found, corner=True) == {key: hits for key, (hits, _) in corners.items()}


def test_a_judgement_has_its_reason() -> None:
    for group in (*JUDGED["group"], *JUDGED["corner"]):
        assert group["why"]
        for tag in ("v0.14.1", LATER):
            hits, true = group.get(tag, (0, 0))
            assert 0 <= true <= hits


def test_what_breaks_is_told_with_few_false_alarms() -> None:
    """The whole of both releases, advice left out."""
    hits = true = 0
    for group in JUDGED["group"]:
        if not group.get("advisory"):
            for tag in ("v0.14.1", LATER):
                hits += group.get(tag, (0, 0))[0]
                true += group.get(tag, (0, 0))[1]
    assert (hits, true) == (JUDGED["total"]["hits"], JUDGED["total"]["true"])
