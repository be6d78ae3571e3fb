"""The layer fast-compile: which source gets which headers, and that it needs no others."""

from __future__ import annotations

import json
import posixpath
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks import narrow
from winvllm_build import process

pytestmark = pytest.mark.network
LAYER = "patches/v0.14.1/fast-compile/vllm/cmake/narrow_torch.cmake.patch"
RECORD = "benchmarks/fast_compile-v0.14.1.json"
AGAIN = "compile it again with `python -m benchmarks.fast_compile`"
SAID = "tests/real_vllm/data/frontend-v0.14.1-fast-compile.json"
GENERATED_FOR_8_6 = 28
GENERATORS = ("csrc/quantization/gptq_marlin", "csrc/moe/marlin_moe_wna16")
KERNELS = 2300
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


def added(checkout: Path) -> str:
    """The file that the layer adds."""
    patch = (checkout / LAYER).read_text(encoding="utf-8").partition("\n@@ ")[2]
    return "".join(f"{line[1:]}\n" for line in patch.splitlines()[1:])


@pytest.fixture(scope="module")
def levels(checkout: Path, patched_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What CMake gives each source of the tree: the name of one of the folders."""
    folder = tmp_path_factory.mktemp("narrow")
    sources = [file.relative_to(patched_tree).as_posix() for file in patched_tree.glob("csrc/**/*.cu")]
    (folder / "narrow_torch.cmake").write_text(added(checkout), encoding="utf-8")
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


@pytest.fixture(scope="module")
def record(checkout: Path) -> dict[str, Any]:
    """What `benchmarks/fast_compile.py` wrote: units compiled with all of torch and with less."""
    found: dict[str, Any] = json.loads((checkout / RECORD).read_bytes())
    return found


def test_every_source_of_the_layer_was_compared(record: dict[str, Any], levels: dict[str, str]) -> None:
    seen = {source: one["level"] for unit in record.values() for source, one in unit["sources"].items()}
    generated = {source for source in seen if narrow.GENERATED.search(source)}
    assert {source: level for source, level in seen.items() if source not in generated} == {
        source: level for source, level in levels.items() if source != MARLIN
    }
    assert MARLIN in generated
    assert {seen[source] for source in generated} == {levels[MARLIN]}
    assert len(generated) == GENERATED_FOR_8_6


def test_the_device_code_is_the_same(record: dict[str, Any]) -> None:
    for name, unit in record.items():
        before, after = unit["digests"]
        assert before == after, name
        assert unit["differing"] == [], name
    assert sum(unit["kernels"] for unit in record.values()) > KERNELS


def test_what_else_differs_is_of_torch_and_for_the_host(record: dict[str, Any]) -> None:
    """`std::distance` over torch's symbolic integers spells a typedef otherwise: no kernel has them."""
    found = {name for unit in record.values() for name in unit.get("functions differing", ())}
    assert all("PKN3c106SymIntE" in name for name in found), found


def test_what_was_compared_is_what_is_there(
    record: dict[str, Any], checkout: Path, patched_tree: Path
) -> None:
    headers = narrow.headers(added(checkout))
    for unit in record.values():
        assert unit["headers"] == headers
        for source, one in unit["sources"].items():
            assert one["inputs"] == narrow.inputs(patched_tree, source), f"{source}: {AGAIN}"


def test_the_windows_front_end_takes_every_source_with_the_layer(
    checkout: Path, levels: dict[str, str]
) -> None:
    said = json.loads((checkout / SAID).read_bytes())
    assert (said["tag"], said["layers"]) == ("v0.14.1", ["fast-compile"])
    assert said["summary"] == {"after": {"fail": 0, "not judged": 0, "pass": len(said["units"])}}
    heard = {unit["path"] for unit in said["units"]}
    assert levels.keys() - {MARLIN} <= heard
    assert sum(narrow.GENERATED.search(path) is not None for path in heard) == len(GENERATORS)
