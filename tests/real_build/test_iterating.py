"""What an edit costs on the quickstart's sample: a kernel, CMake, Python; and that no edit is lost."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.builder import Builder

pytestmark = [pytest.mark.network, pytest.mark.nvcc, pytest.mark.usefixtures("quickstart_tree")]
KERNEL, PYTHON = "csrc/cuda_utils_kernels.cu", "vllm/version.py"
QUICKSTART = ("--profile", "quickstart", "--edited")


@pytest.fixture(scope="module")
def shared(test_cache: Path) -> Builder:
    return Builder(test_cache / "workspace")


@pytest.fixture
def built(shared: Builder) -> Iterator[Mapping[str, Any]]:
    """A finished build, its tree put back afterwards."""
    result = shared.build(chosen=QUICKSTART)
    yield result
    subprocess.run(["git", "-C", result["tree"], "checkout", "--", KERNEL, PYTHON], check=True)
    done = shared.run("apply", "v0.33.0", "--tree", result["tree"], "--layer", "gcc12", "--restore")
    assert done.returncode == 0, done.stderr


def test_an_edited_kernel_is_compiled_alone(shared: Builder, built: Mapping[str, Any]) -> None:
    with Path(built["tree"], KERNEL).open("a", encoding="utf-8") as file:
        file.write("// edited\n")
    assert shared.build(chosen=QUICKSTART)["edges"]["ran"] == 1
    assert shared.build(chosen=QUICKSTART)["edges"]["ran"] == 0
    assert Path(built["tree"], KERNEL).read_text(encoding="utf-8").endswith("// edited\n")


def test_edited_cmake_is_configured_again_and_compiles_only_what_it_changes(
    shared: Builder, built: Mapping[str, Any]
) -> None:
    lists = Path(built["tree"], "CMakeLists.txt")
    with lists.open("a", encoding="utf-8") as file:
        file.write("# a remark\n")
    assert shared.build(chosen=QUICKSTART)["edges"]["ran"] == 0
    with lists.open("a", encoding="utf-8") as file:
        file.write("target_compile_definitions(cumem_allocator PRIVATE EDITED=1)\n")
    assert shared.build(chosen=QUICKSTART)["edges"]["ran"] == 2  # its one source, and the link
    assert shared.build(chosen=QUICKSTART)["edges"]["ran"] == 0
    assert "EDITED=1" in Path(built["build"], "compile_commands.json").read_text(encoding="utf-8")


def test_edited_python_is_nothing_to_do(shared: Builder, built: Mapping[str, Any]) -> None:
    with Path(built["tree"], PYTHON).open("a", encoding="utf-8") as file:
        file.write("# edited\n")
    again = shared.build(chosen=QUICKSTART)
    assert again["edges"]["ran"] == 0
    assert any(PYTHON in note for note in again["notes"])


def test_a_patched_file_with_an_edit_is_built_with_it_and_kept(
    shared: Builder, built: Mapping[str, Any]
) -> None:
    patched = Path(built["tree"], "csrc/attention/merge_attn_states.cu")
    with patched.open("a", encoding="utf-8") as file:
        file.write("// edited\n")
    assert shared.build(chosen=QUICKSTART)["edges"]["ran"] == 1
    assert patched.read_text(encoding="utf-8").endswith("// edited\n")
    refused = shared.fails(10, "build", "--profile", "quickstart")
    assert "merge_attn_states.cu" in refused
    assert "--edited" in refused
