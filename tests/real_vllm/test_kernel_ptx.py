"""A neutral patch compiles to the same instructions, with the compiler and torch that a build would take."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from winvllm_build.audit.device import ptx
from winvllm_build.audit.device.compare import compare
from winvllm_build.audit.device.record import Kind
from winvllm_build.audit.device.rounds import Round
from winvllm_build.audit.device.setting import Setting, Wanted, configured
from winvllm_build.audit.device.stage import Content, Side, Stage
from winvllm_build.audit.device.steps import Plan, plan
from winvllm_build.audit.device.subject import Subject
from winvllm_build.errors import CompileError
from winvllm_build.git import RepoPath
from winvllm_build.index import Index
from winvllm_build.patchset.patchset import PatchSet
from winvllm_build.sources.pins import Pins
from winvllm_build.sources.source import Source
from winvllm_build.workspace import Workspace

pytestmark = [
    pytest.mark.network,
    pytest.mark.nvcc,
    pytest.mark.skipif(sys.platform != "linux", reason="upstream's own source does not compile elsewhere"),
]
MODULE_ID = "_00000000_20_merge_attn_states_cu_00000000"
"""What the host's front end would have given; it is part of internal names."""
KERNEL = RepoPath("csrc/attention/merge_attn_states.cu")


def unheard(event: str) -> None:
    assert event


@pytest.fixture(scope="module")
def setting(test_cache: Path, patch_set: PatchSet, published: Source, pins: Pins) -> Iterator[Setting]:
    """A build of the patched tree as CMake configures it, in the workspace that all slow tests share."""
    workspace = Workspace(root=test_cache / "workspace")
    index = Index(workspace, on_event=unheard)
    wanted = Wanted(patches=patch_set, workspace=workspace, index=index, tell=unheard)
    with configured(wanted, published, pins, ("8.6",)) as made:
        yield made


@pytest.fixture(scope="module")
def round_(setting: Setting, patch_set: PatchSet, published: Source) -> Round:
    return Round(setting, Subject.of(patch_set, published))


def planned(setting: Setting, stage: Stage) -> Plan:
    """How CMake compiles the kernel; of what nvcc does, only the way to PTX."""
    recipe = next(one for one in setting.recipes if one.source == KERNEL)
    stage.lay(setting.tree)
    made = plan(recipe, stage, setting.tree, setting.environment, setting.toolchain.host.cxx)
    device = tuple(step for step in made.preprocess if any("__CUDA_ARCH__=" in word for word in step.words))
    assert len(device) == 1
    return replace(
        made, preprocess=device, translate=tuple(s for s in made.translate if "cicc" in s.words[0])
    )


def test_the_patched_kernel_has_the_same_instructions(
    setting: Setting, round_: Round, tmp_path: Path
) -> None:
    patched = round_.contents[KERNEL]
    assert patched.before != patched.after
    stage = Stage(folder=tmp_path / "stage", contents={KERNEL: patched})
    made = planned(setting, stage)
    texts: list[str] = []
    for side in Side:
        stage.show(side)
        (stage.out / f"{Path(KERNEL).stem}.module_id").write_text(MODULE_ID)
        made.run([*made.preprocess, *made.translate])
        (found,) = stage.out.glob("*.ptx")
        texts.append(found.read_text("utf-8"))
        stage.clear()
    kernels = ptx.entries(texts[1])
    assert len(kernels) == 3
    assert all("merge_attn_states_kernel" in name for name in kernels)
    assert ptx.differing(*texts) == []


def test_every_patched_source_is_found_in_the_build(round_: Round) -> None:
    """What this build leaves out is compiled for other architectures, or on Windows alone."""
    units = {unit.recipe.source: unit for unit in round_.chosen(every=False, named=())}
    assert units[KERNEL].files == {KERNEL}
    assert round_.uncovered() == (
        "cmake/external_projects/fa3_unavailable.cpp",
        "cmake/windows_cuda.h",
        "csrc/attention/mla/cutlass_sm100_mla/device/sm100_mla.hpp",
        "csrc/attention/mla/cutlass_sm100_mla/kernel/sm100_fmha_mla_reduction.hpp",
        "csrc/attention/mla/sm100_cutlass_mla_kernel.cu",
        "csrc/quantization/fp4/nvfp4_experts_quant.cu",
    )
    covered = {path for unit in units.values() for path in unit.files}
    assert covered | set(round_.uncovered()) == set(round_.contents)
    template = RepoPath("csrc/quantization/gptq_marlin/marlin_template.h")
    users = [unit for unit in units.values() if template in unit.closure]
    assert users, "no kernel that instantiates MarlinScalarType is compiled"


SMALL = """\
#include <cassert>
__global__ void merge(float* p) {
  float lse = *p;
  assert(lse != 3.0f);
  *p = isinf(lse) ? -1.0f : lse;
}
__global__ void other(float* p) { *p = 0.0f; }
void launch(float* p, int blocks) {
  if (blocks > 2 or p == nullptr) merge<<<blocks, 32>>>(p);
  other<<<1, 32>>>(p);
}
"""
TEXT = {Kind.TEXT}
CODE = {Kind.PTX, Kind.HOST}


@pytest.mark.parametrize(
    ("edit", "kinds", "differing"),
    [
        (("float lse", "#ifdef _MSC_VER\n#define x\n#endif\n  float lse"), TEXT, {}),
        ((" or ", " || "), CODE, {}),
        (("isinf", "isnan"), CODE, {Kind.PTX: ("entry _Z5mergePf",)}),
        (("> 2", "> 3"), CODE, {Kind.HOST: ("_Z6launchPfi",)}),
        (("void launch", "__device__ int seen = 1;\nvoid launch"), CODE, {Kind.PTX: ("variable seen",)}),
    ],
)
def test_one_changed_token_is_found_where_it_is(
    setting: Setting, tmp_path: Path, edit: tuple[str, str], kinds: set[Kind],
    differing: dict[Kind, tuple[str, ...]],
) -> None:  # fmt: skip
    """The host's part is compared as text, and where that differs as assembly."""
    assert edit[0] in SMALL
    content = Content(before=SMALL.encode(), after=SMALL.replace(*edit).encode())
    found = compare(*small(setting, tmp_path, content))
    assert {Kind.HOST if kind is Kind.HOST_TEXT else kind for kind in found.counts} == kinds
    assert all(number > 0 for number in found.counts.values())
    assert found.counts.get(Kind.PTX, 2) == 2
    for kind, names in differing.items():
        assert found.differing[kind] == names
    if not found.differing.keys() & {Kind.PTX}:
        assert found.differing == differing


def test_a_source_without_external_names_is_the_same_as_itself(setting: Setting, tmp_path: Path) -> None:
    """Then nvcc puts a process id into the names of internal variables."""
    text = (
        "namespace { __device__ int seen = 3; }\n"
        "template <int n> __global__ void merge(int* p) { *p = seen or n; }\n"
        "template __global__ void merge<2>(int*);\n"
    )
    content = Content(before=text.encode(), after=text.replace(" or ", " || ").encode())
    found = compare(*small(setting, tmp_path, content))
    assert found.differing == {}
    assert found.counts[Kind.PTX] == 1


def test_what_does_not_compile_is_no_equality(setting: Setting, tmp_path: Path) -> None:
    content = Content(before=SMALL.encode(), after=SMALL.replace("isinf", "isinfinite").encode())
    with pytest.raises(CompileError, match=r"isinfinite"):
        compare(*small(setting, tmp_path, content))
    content = Content(before=b'#include "nowhere.h"\n', after=SMALL.encode())
    with pytest.raises(CompileError, match=r"nowhere\.h"):
        compare(*small(setting, tmp_path / "other", content))


def small(setting: Setting, folder: Path, content: Content) -> tuple[Plan, Stage]:
    """A tree of one kernel, compiled as vLLM's are."""
    path = RepoPath("csrc/small.cu")
    tree = folder / "tree"
    (tree / "csrc").mkdir(parents=True)
    (tree / path).write_bytes(content.after or b"")
    kernel = next(one for one in setting.recipes if one.source == KERNEL)
    recipe = replace(kernel, source=path, folder=folder)
    stage = Stage(folder=folder / "stage", contents={path: content})
    stage.lay(tree)
    return plan(recipe, stage, tree, setting.environment, setting.toolchain.host.cxx), stage
