"""What is scanned of a tree: what its CMake compiles, closed over includes, and what its generators write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from winvllm_build.audit.cxx.compile_set import compile_set
from winvllm_build.audit.cxx.generators import ARCHS, generate, generators
from winvllm_build.audit.cxx.scanner import scan
from winvllm_build.audit.files import Files
from winvllm_build.audit.hit import Found, State
from winvllm_build.git import Git, Oid
from winvllm_build.intake.checkout import Checkout

Make = Callable[[Mapping[str, str]], Checkout]
GENERATOR = """\
import os
import subprocess
import sys

import jinja2

here = os.path.dirname(__file__)
target = sys.argv[2] if len(sys.argv) > 2 else here
subprocess.call(["rm", "-f", os.path.join(here, "old.cu")])
chain = "if (a < 0)\\n  b = 0;\\n"
for n in range(200):
    chain += f"else if (a == {n})\\n  b = {n};\\n"
with open(os.path.join(target, "selector.h"), "w") as f:
    f.write(chain)
with open(os.path.join(target, "kernel_1.cu"), "w") as f:
    f.write(jinja2.Template('#include "kernel.h"\\n// {{archs}}\\n').render(archs=sys.argv[1]))
"""
FLAT = GENERATOR.replace(
    'with open(os.path.join(target, "selector.h")',
    'if sys.platform == "win32":\n    chain = chain.replace("else if", "if")\n'
    'with open(os.path.join(target, "selector.h")',
)
TOP = """\
set(S csrc/a.cu csrc/b.cpp)
if(VLLM_GPU_LANG STREQUAL "HIP")
  list(APPEND S csrc/rocm/hip.cu)
endif()
if(NOT WIN32)
  list(APPEND S csrc/linux.cu)
endif()
set(GEN ${CMAKE_CURRENT_SOURCE_DIR}/csrc/made/generate.py)
list(JOIN CUDA_ARCHS "," CUDA_ARCHS_STR)
execute_process(
  COMMAND ${CMAKE_COMMAND} -E env PYTHONPATH=${CMAKE_CURRENT_SOURCE_DIR}/csrc/lib/:$ENV{PYTHONPATH}
    ${Python_EXECUTABLE} ${GEN} ${CUDA_ARCHS_STR}
  RESULT_VARIABLE r)
file(GLOB G "csrc/made/kernel_*.cu")
list(APPEND S ${G} ${other_SOURCE_DIR}/c.cu)
define_extension_target(_C LANGUAGE ${VLLM_GPU_LANG} SOURCES ${S})
"""
TREE = {
    "CMakeLists.txt": 'set(VLLM_GPU_LANG "CUDA")\n' + TOP,
    "csrc/a.cu": '#include "a.h"\n#ifdef USE_ROCM\n#include "rocm.h"\n#endif\nvoid f(int a, int b) {\n'
                 '#include "made/selector.h"\n}\n',
    "csrc/a.h": '#include "deep/b.h"\n',
    "csrc/deep/b.h": "uint from_root;\n",
    "csrc/rocm.h": "uint a;\n",
    "csrc/b.cpp": "int b;\n",
    "csrc/linux.cu": '#include "linux.h"\nuint a;\n',
    "csrc/linux.h": "uint a;\n",
    "csrc/rocm/hip.cu": "uint a;\n",
    "csrc/unused.cu": "uint a;\n",
    "csrc/made/generate.py": GENERATOR,
    "csrc/made/kernel.h": "ssize_t a;\n",
    "csrc/made/old.cu": "uint a;\n",
}  # fmt: skip


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a checkout of the files given."""
    git = Git(tmp_path)
    git.out("init", "-q", "--bare", "--template=", ".")

    def made(files: Mapping[str, str]) -> Checkout:
        records = b""
        for name, text in files.items():
            oid = git.line("hash-object", "-w", "--stdin", stdin=text.encode())
            records += f"100644 {oid}\t{name}\0".encode()
        with git.temporary_index() as index:
            git.out("update-index", "-z", "--add", "--index-info", stdin=records, index=index)
            return Checkout(git, Oid(git.line("write-tree", index=index)), "v1.0.0")

    return made


def scanned(checkout: Checkout) -> Found:
    return scan(Files.of_checkout(checkout), checkout)


def found(result: Found) -> set[tuple[str, str, State]]:
    return {(hit.hazard, hit.path, hit.state) for hit in result.hits}


def test_the_compile_set_is_cmakes(make: Make) -> None:
    wanted = compile_set(make(TREE))
    assert {path: sight.value for path, sight in wanted.sources.items()} == {
        "csrc/a.cu": "all", "csrc/b.cpp": "all", "csrc/linux.cu": "others",
    }  # fmt: skip
    assert list(wanted.patterns) == ["csrc/made/kernel_*.cu"]
    assert wanted.outside == ("${other_SOURCE_DIR}/c.cu",)


def test_what_is_compiled_is_scanned_and_nothing_else(make: Make) -> None:
    result = scanned(make(TREE))
    assert found(result) == {
        ("D12", "csrc/deep/b.h", State.LIVE),
        ("D12", "csrc/linux.cu", State.GUARDED),
        ("D12", "csrc/linux.h", State.GUARDED),
        ("D10", "generated/csrc/made/selector.h", State.LIVE),
        ("D11", "csrc/made/kernel.h", State.LIVE),
    }
    assert [(blind.path, blind.lines) for blind in result.blind if blind.path == "other"] == [("other", 0)]


def test_a_header_of_both_is_live(make: Make) -> None:
    both = {**TREE, "csrc/b.cpp": '#include "linux.h"\n'}
    assert ("D12", "csrc/linux.h", State.LIVE) in found(scanned(make(both)))


def test_the_generators_of_cmake_are_known(make: Make) -> None:
    one = generators(make({**TREE, "csrc/lib/helper.py": ""}))
    assert [(g.script, g.arguments, g.modules) for g in one] == [
        ("csrc/made/generate.py", (ARCHS,), ("csrc/lib",))
    ]


def test_a_generator_writes_where_it_is_told(make: Make) -> None:
    told = TREE["CMakeLists.txt"].replace(
        "${CUDA_ARCHS_STR}\n", "${CUDA_ARCHS_STR} ${CMAKE_CURRENT_SOURCE_DIR}/csrc/other\n"
    )
    checkout = make({**TREE, "CMakeLists.txt": told})
    made = generate(Files.of_checkout(checkout), generators(checkout))
    assert sorted(made.files) == ["generated/csrc/other/kernel_1.cu", "generated/csrc/other/selector.h"]
    assert ARCHS.encode() in made.files["generated/csrc/other/kernel_1.cu"]


def test_a_generator_that_is_patched_for_windows_runs_as_there(make: Make) -> None:
    plain, flat = scanned(make(TREE)), scanned(make({**TREE, "csrc/made/generate.py": FLAT}))
    (hit,) = [hit for hit in plain.hits if hit.hazard == "D10"]
    assert hit.detail == "200 times else if; the generator was run with sys.platform == 'win32'"
    assert [hit for hit in flat.hits if hit.hazard == "D10"] == []


def test_a_generator_that_fails_as_windows_runs_plainly(make: Make) -> None:
    picky = GENERATOR + "assert sys.platform != 'win32', 'not here'\n"
    (hit,) = [
        hit for hit in scanned(make({**TREE, "csrc/made/generate.py": picky})).hits if hit.hazard == "D10"
    ]
    assert "as on this machine" in hit.detail


@pytest.mark.parametrize("text", ["import no_such_module", "raise SystemExit(3)", "1 +"])
def test_a_generator_that_fails_is_told(make: Make, text: str) -> None:
    result = scanned(make({**TREE, "csrc/made/generate.py": text}))
    (blind,) = [blind for blind in result.blind if blind.path == "csrc/made/generate.py"]
    assert blind.why.startswith("the generator does not run here: ")
    assert ("D12", "csrc/deep/b.h", State.LIVE) in found(result)


def test_the_tree_itself_stays_as_it_is(make: Make, tmp_path: Path) -> None:
    scanned(make(TREE))
    assert list(tmp_path.rglob("*.cu")) == []


def test_a_definition_of_cmake_meets_math_constants(make: Make) -> None:
    uses = {**TREE, "csrc/a.cu": "float a = M_PI;\n"}
    meant = (
        'set(VLLM_GPU_LANG "CUDA")\nif(MSVC)\n  add_compile_definitions(_USE_MATH_DEFINES=)\nendif()\n' + TOP
    )
    assert ("D15", "csrc/a.cu", State.LIVE) in found(scanned(make(uses)))
    assert ("D15", "csrc/a.cu", State.GUARDED) in found(scanned(make({**uses, "CMakeLists.txt": meant})))


def test_designated_initialisers_are_of_cpp20(make: Make) -> None:
    uses = {**TREE, "csrc/a.cu": "S s = {.a = 1};\n"}
    newer = {**uses, "CMakeLists.txt": "set(CMAKE_CUDA_STANDARD 20)\n" + TREE["CMakeLists.txt"]}
    assert "D4" in {hit.hazard for hit in scanned(make(uses)).hits}
    assert "D4" not in {hit.hazard for hit in scanned(make(newer)).hits}
