"""The rules on C++ and CUDA on published tags, hit by hit against what was judged of them.

`data/cxx_judged.toml` counts for each rule how many of its hits are right: a rule that says more or less
than was judged is to be judged anew. Misses are listed there as well.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real_vllm.conftest import TAG, unheard
from winvllm_build.audit.cxx.scanner import scan
from winvllm_build.audit.hazard import Severity, catalogue
from winvllm_build.audit.hit import Found, Hit, State
from winvllm_build.audit.subject import Doors, Wanted, opened
from winvllm_build.index import Index
from winvllm_build.sources.source import Source
from winvllm_build.workspace import Workspace

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.network
Look = Callable[..., Found]
DATA = Path(__file__).parent / "data"
NEWEST = "v0.33.0"
FILES = (
    "csrc/attention/merge_attn_states.cu",
    "csrc/core/math.hpp",
    "csrc/cumem_allocator.cpp",
    "csrc/fused_qknorm_rope_kernel.cu",
    "csrc/mamba/mamba_ssm/selective_scan_fwd.cu",
    "csrc/quantization/activation_kernels.cu",
    "csrc/quantization/awq/gemm_kernels.cu",
    "csrc/quantization/fused_kernels/layernorm_utils.cuh",
    "csrc/quantization/fused_kernels/quant_conversions.cuh",
    "csrc/quantization/gptq_allspark/allspark_qgemm_w8a16.cu",
    "csrc/quantization/marlin/sparse/common/base.h",
    "csrc/quantization/utils.cuh",
    "csrc/quantization/w8a8/fp8/common.cu",
    "csrc/quantization/w8a8/fp8/common.cuh",
)
"""What has to be changed for MSVC in a build of v0.14.1 for one consumer GPU."""


@pytest.fixture(scope="module")
def look(published: Source, checkout: Path, test_cache: Path) -> Iterator[Look]:
    """A scan of a tag, each made once."""
    assert published.tag == TAG
    workspace = Workspace(root=test_cache / "workspace")
    index = Index(workspace, on_event=unheard)
    doors = Doors(workspace=workspace, index=index, offline=False, tell=unheard)
    made: dict[tuple[str, bool], Found] = {}

    def scanned(tag: str, *, patched: bool = False) -> Found:
        if (tag, patched) not in made:
            wanted = Wanted(name=tag, root=checkout / "patches", patched=patched)
            with opened(wanted, doors) as subject:
                made[tag, patched] = scan(subject.files, subject.buildable)
        return made[tag, patched]

    yield scanned
    made.clear()


def live(found: Found) -> list[Hit]:
    return [hit for hit in found.hits if hit.state is State.LIVE]


def judged(tag: str) -> list[dict[str, Any]]:
    read = tomllib.loads((DATA / "cxx_judged.toml").read_text("utf-8"))
    return [entry for entry in read["judged"] if entry["tag"] == tag]


def count(entry: dict[str, Any]) -> int:
    return sum(entry[kind] for kind in ("patched", "right", "wrong", "undecided"))


@pytest.mark.parametrize("tag", [TAG, NEWEST])
def test_every_hit_was_judged(tag: str, look: Look) -> None:
    found = Counter((hit.hazard, hit.rule) for hit in live(look(tag)))
    assert found == {(entry["hazard"], entry["rule"]): count(entry) for entry in judged(tag)}


@pytest.mark.parametrize("tag", [TAG, "v0.19.0", "v0.20.0", "v0.26.0", NEWEST])
def test_what_blocks_is_never_wrong_and_what_was_judged_has_a_reason(tag: str) -> None:
    entries = judged(tag)
    assert all(entry["why"] for entry in entries)
    wrong = {entry["hazard"] for entry in entries if entry["wrong"]}
    assert {catalogue()[hazard].severity for hazard in wrong} <= {Severity.ADVISORY}


def test_all_that_is_known_to_break_is_found(look: Look) -> None:
    blocking = {hit.path for hit in live(look(TAG)) if catalogue()[hit.hazard].severity is Severity.COMPILE}
    assert set(FILES) - blocking == set()


def test_nothing_that_blocks_is_left_once_patched(look: Look) -> None:
    left = [
        hit for hit in live(look(TAG, patched=True)) if catalogue()[hit.hazard].severity is Severity.COMPILE
    ]
    assert left == []


def test_the_selectors_of_kernels_are_too_long_until_they_are_patched(look: Look) -> None:
    def chains(found: Found) -> dict[str, int]:
        hits = (hit for hit in found.hits if hit.hazard == "D10")
        return {hit.path: int(hit.detail.split()[0]) for hit in hits}

    assert chains(look(TAG)) == {
        "generated/csrc/moe/marlin_moe_wna16/kernel_selector.h": 847,
        "generated/csrc/quantization/gptq_marlin/kernel_selector.h": 1301,
    }
    assert chains(look(TAG, patched=True)) == {}


def test_the_compile_set_has_no_other_platform(look: Look) -> None:
    found = look(NEWEST)
    folders = {hit.path.split("/")[1] for hit in found.hits}
    assert not folders & {"cpu", "rocm"}
    assert found.files > 200


def test_what_nobody_looked_at_is_told(look: Look) -> None:
    blind = {one.path: one for one in look(NEWEST).blind}
    assert "cutlass_library" in blind["csrc/quantization/machete/generate.py"].why
    assert "flashmla" in blind
    assert blind["csrc/quantization/machete/machete_mainloop.cuh"].lines > 0
