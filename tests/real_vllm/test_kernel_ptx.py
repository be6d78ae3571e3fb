"""A neutral patch compiles to the same instructions, with the compiler and torch that a build would take."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from tests.real_vllm import ptx
from winvllm_build import process
from winvllm_build.build import facts
from winvllm_build.choices import TorchSource
from winvllm_build.index import Index
from winvllm_build.toolchain.request import ToolchainRequest
from winvllm_build.toolchain.toolchain import Toolchain, discover
from winvllm_build.workspace import Workspace

pytestmark = [
    pytest.mark.network,
    pytest.mark.nvcc,
    pytest.mark.skipif(sys.platform != "linux", reason="upstream's own source does not compile elsewhere"),
]
KERNEL = "csrc/attention/merge_attn_states.cu"
SECONDS = 300.0


def unheard(event: str) -> None:
    assert event


@pytest.fixture(scope="module")
def toolchain(test_cache: Path, pristine_tree: Path) -> Toolchain:
    """That of the builds in `tests/real_build`, in the workspace that they share."""
    workspace = Workspace(root=test_cache / "workspace")
    request = ToolchainRequest(
        architectures=("8.6",),
        cuda_version=SpecifierSet(">=12.6"),
        torch_version=facts.read(pristine_tree).torch,
        torch_source=TorchSource.HEADERS,
    )
    return discover(request, workspace=workspace, index=Index(workspace, on_event=unheard), on_event=unheard)


def compiled(toolchain: Toolchain, file: Path, tree: Path) -> str:
    """The PTX of `file`, whose headers are those of `tree`."""
    torch = toolchain.torch.package / "include"
    folders = [
        (tree / KERNEL).parent,
        tree / "csrc",
        torch,
        torch / "torch" / "csrc" / "api" / "include",
        toolchain.python.include,
        *toolchain.cuda.include_dirs,
    ]
    output = file.with_suffix(".ptx")
    done = process.capture(
        [
            toolchain.cuda.nvcc, "-ptx", "-arch=compute_86", "-std=c++17", "-O3", "-DNDEBUG", "-w",
            "--expt-relaxed-constexpr", "-ccbin", toolchain.host.cxx,
            *(f"-I{folder}" for folder in folders), "-o", output, file,
        ],
        env=toolchain.environment,
        timeout=SECONDS,
    )  # fmt: skip
    assert done.code == 0, done.error_text
    return output.read_text("utf-8")


def test_the_patched_kernel_has_the_same_instructions(
    toolchain: Toolchain, pristine_tree: Path, patched_tree: Path, tmp_path: Path
) -> None:
    """Compiled under one name: names of internal functions hold a hash of it."""
    file = tmp_path / Path(KERNEL).name
    texts: list[str] = []
    for tree in (pristine_tree, patched_tree):
        file.write_bytes((tree / KERNEL).read_bytes())
        texts.append(compiled(toolchain, file, tree))
    assert (pristine_tree / KERNEL).read_bytes() != (patched_tree / KERNEL).read_bytes()
    assert len(ptx.entries(texts[0])) >= 3
    assert ptx.differing(texts[0], texts[1]) == []


def test_one_changed_token_of_a_kernel_is_noticed(toolchain: Toolchain, tmp_path: Path) -> None:
    """The kernel's way with infinite sums, alone and with another value."""
    file = tmp_path / "extract.cu"
    source = (
        "__global__ void merge(float* p) {\n"
        "  float lse = *p;\n"
        "  *p = isinf(lse) ? -1.0f : lse;\n"
        "}\n"
        "__global__ void other(float* p) { *p = 0.0f; }\n"
    )
    texts: list[str] = []
    for text in (source, source.replace("isinf", "isnan")):
        file.write_text(text)
        texts.append(compiled(toolchain, file, tmp_path))
    assert ptx.differing(texts[0], texts[1]) == ["entry _Z5mergePf"]
