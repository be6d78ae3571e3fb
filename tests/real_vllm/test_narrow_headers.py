"""The layer fast-compile: which source gets which headers, and that it needs no others."""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path

import pytest

from winvllm_build import process

pytestmark = pytest.mark.network
LAYER = "patches/v0.14.1/fast-compile/vllm/cmake/narrow_torch.cmake.patch"
MARLIN = "csrc/quantization/gptq_marlin/sm80_kernel_float16_u4_float16.cu"
PROJECT = """\
cmake_minimum_required(VERSION 3.26)
project(small LANGUAGES NONE)
set(VLLM_EXT_SRC {sources})
include(narrow_torch.cmake)
foreach(source ${{VLLM_EXT_SRC}})
  get_property(folders SOURCE ${{source}} PROPERTY INCLUDE_DIRECTORIES)
  get_property(defined SOURCE ${{source}} PROPERTY COMPILE_DEFINITIONS)
  message(STATUS "of ${{source}}: ${{folders}} ${{defined}}")
endforeach()
"""
TOLD = re.compile(r"of (\S+): \S+/narrow_torch/(\w+) (\S+)$", re.MULTILINE)
INCLUDED = re.compile(rb'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
MAKES = re.compile(rb"torch::(?:empty|zeros|ones|full|empty_like|zeros_like|from_blob|tensor)\b")
REGISTERS = re.compile(rb"\bTORCH_LIBRARY\w*\(|\btorch::Library\b")
HELPERS = frozenset({"csrc/core/registration.h"})
"""Headers that only define macros of these names."""


@pytest.fixture(scope="module")
def levels(checkout: Path, patched_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What CMake gives each source of the tree: the name of one of the folders."""
    folder = tmp_path_factory.mktemp("narrow")
    patch = (checkout / LAYER).read_text(encoding="utf-8").partition("\n@@ ")[2]
    added = "".join(f"{line[1:]}\n" for line in patch.splitlines()[1:])
    sources = [file.relative_to(patched_tree).as_posix() for file in patched_tree.glob("csrc/**/*.cu")]
    (folder / "narrow_torch.cmake").write_text(added, encoding="utf-8")
    project = PROJECT.format(sources="\n  ".join([*sorted(sources), MARLIN]))
    (folder / "CMakeLists.txt").write_text(project, encoding="utf-8")
    done = process.capture(["cmake", "-G", "Ninja", "-S", str(folder), "-B", str(folder / "build")])
    assert done.code == 0, done.error_text
    found = TOLD.findall(done.text)
    assert {defined for _, _, defined in found} == {"AT_PER_OPERATOR_HEADERS"}
    for _, level, _ in found:
        assert (folder / "build" / "narrow_torch" / level / "torch" / "all.h").is_file()
    return {source: level for source, level, _ in found}


def text_of(tree: Path, source: str, seen: set[str]) -> bytes:
    """A source with everything of the tree that it includes, conditions left aside."""
    if source in seen or not (tree / source).is_file():
        return b""
    seen.add(source)
    own = (tree / source).read_bytes()
    found = [match.decode() for match in INCLUDED.findall(own)]
    ways = [posixpath.normpath(posixpath.join(posixpath.dirname(source), name)) for name in found]
    ways += [posixpath.join("csrc", name) for name in found]
    more = [text_of(tree, way, seen) for way in ways]
    return b"\n".join([b"" if source in HELPERS else own, *more])


def test_what_a_source_uses_is_there(levels: dict[str, str], patched_tree: Path) -> None:
    assert levels[MARLIN] == "tensor"
    assert len(levels) >= 20
    for source, level in levels.items():  # generated ones are not in the tree
        text = text_of(patched_tree, source, set())
        assert level == "library" or not REGISTERS.search(text), source
        assert level != "tensor" or not MAKES.search(text), source


def test_every_name_in_the_list_is_a_source(checkout: Path, levels: dict[str, str]) -> None:
    named = re.findall(
        r'^\+\s+"(csrc/\S+\.cu)"', (checkout / LAYER).read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(named) == len(set(named))
    assert set(named) <= levels.keys()


def test_each_was_compiled_and_compared_or_is_not_named(checkout: Path, levels: dict[str, str]) -> None:
    record = json.loads(
        (checkout / "tests" / "real_vllm" / "data" / "narrow-v0.14.1.json").read_text(encoding="utf-8")
    )
    assert {f"csrc/{name}" for name in record["compiled"]} >= {
        name for name in levels if "sm80_kernel" not in name
    }
    assert all(one["before"] == one["after"] for one in record["compared"].values())
