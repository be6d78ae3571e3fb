"""Which units are compiled, how, and what a header has to say of a difference."""

from __future__ import annotations

import queue
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from winvllm_build.audit.device import jobs
from winvllm_build.audit.device.choice import Chooser, Chosen, changed_names
from winvllm_build.audit.device.closure import Includes
from winvllm_build.audit.device.compare import Compared
from winvllm_build.audit.device.reasons import differences, identifiers
from winvllm_build.audit.device.recipe import Recipe, recipes
from winvllm_build.audit.device.record import Difference, Kind
from winvllm_build.audit.device.stage import Content
from winvllm_build.errors import CompileError
from winvllm_build.git import NO_OBJECT, RepoPath
from winvllm_build.patchset import patchfile
from winvllm_build.patchset.patchset import Patch

TREE = Path("/t/v0.14.1")
NVCC = (
    "/cuda/bin/nvcc -forward-unknown-to-host-compiler -ccbin=/usr/bin/g++ -DENABLE_FP8 -I/t/v0.14.1/csrc "
    "-I/t/v0.14.1-old/csrc -isystem /torch/include -O3 -DNDEBUG -std=c++17 -Xcompiler=-fPIC --threads=1 "
    "--compress-mode=size {code} -x cu -c /t/v0.14.1/{file} -o CMakeFiles/_C.dir/{file}.o"
)
CXX = (
    "/usr/bin/g++ -DX=1 -I/t/v0.14.1/csrc -O3 -std=gnu++17 -fPIC -o CMakeFiles/c.dir/{file}.o "
    "-c /t/v0.14.1/{file}"
)


def entry(file: str, code: str = "", command: str = NVCC) -> dict[str, str]:
    return {
        "file": f"{TREE}/{file}",
        "directory": "/b",
        "command": command.format(file=file, code=code),
    }


def gencode(*archs: str) -> str:
    return " ".join(f"-gencode arch=compute_{arch},code=sm_{arch}" for arch in archs)


def test_a_command_becomes_a_unit_for_each_architecture() -> None:
    both = f"{gencode('80')} -gencode arch=compute_80,code=compute_80"
    made = recipes(
        [entry("csrc/a.cu", gencode("86", "100f")), entry("csrc/b.cu", both),
         entry("csrc/c.cpp", command=CXX), {**entry("csrc/a.cu"), "file": "/elsewhere/a.cu"}],
        TREE,
    )  # fmt: skip
    assert [(one.source, one.arch) for one in made] == [
        ("csrc/a.cu", "10.0f"), ("csrc/a.cu", "8.6"), ("csrc/b.cu", "8.0"), ("csrc/c.cpp", "")
    ]  # fmt: skip
    first, host = made[0], made[-1]
    assert (first.code, first.target, first.compiler) == ("compute_100f", "_C", Path("/cuda/bin/nvcc"))
    assert first.is_cuda
    assert not host.is_cuda
    assert host.code == ""
    assert first.options == (
        "-DENABLE_FP8", "-DNDEBUG", "-Xcompiler=-fPIC", "-forward-unknown-to-host-compiler", "-std=c++17"
    )  # fmt: skip
    assert not {"-c", "-o", "-O3", "-x", "cu", "-gencode"} & set(first.arguments)
    assert first.includes(TREE) == ("csrc",)
    assert host.options == ("-DX=1", "-fPIC", "-std=gnu++17")


def test_a_command_is_moved_to_another_folder_and_no_other_path_is_touched() -> None:
    (made,) = recipes([entry("csrc/a.cu", gencode("86"))], TREE)
    moved = made.moved(TREE, Path("/s/tree"))
    assert "-I/s/tree/csrc" in moved
    assert "-I/t/v0.14.1-old/csrc" in moved
    assert not [word for word in moved if f"{TREE}/" in word]


FILES = {
    "csrc/attention/a.cu": '#include "a.cuh"\n#include <torch/all.h>\n  #  include "../core/math.hpp"\n',
    "csrc/attention/a.cuh": '#pragma once\n#include "core/types.h"\n#include "a.cuh"\n',
    "csrc/core/math.hpp": "inline int next_pow_2(int n) { return n; }\n",
    "csrc/core/types.h": "#include <limits>\n",
    "csrc/b.cu": '#include "core/math.hpp"\nint b = next_pow_2(3);\n',
    "csrc/c.cu": '#include "core/math.hpp"\n#include "core/types.h"\nint c;\n',
    "csrc/d.cu": '#include "../../outside.h"\n',
}


def includes(files: Mapping[str, str]) -> Includes:
    texts = {RepoPath(path): (text.encode(),) for path, text in files.items()}
    return Includes(lambda path: texts.get(path, ()), [RepoPath("csrc")])


def test_what_a_source_includes_is_followed_inside_the_tree() -> None:
    found = includes(FILES)
    assert found.of(RepoPath("csrc/attention/a.cu")) == {
        "csrc/attention/a.cu", "csrc/attention/a.cuh", "csrc/core/math.hpp", "csrc/core/types.h"
    }  # fmt: skip
    assert found.of(RepoPath("csrc/d.cu")) == {"csrc/d.cu"}


def recipe(source: str) -> Recipe:
    (made,) = recipes([entry(source, gencode("86"))], TREE)
    return made


def chooser(*patched: str) -> Chooser:
    contents = {RepoPath(path): Content(before=b"", after=FILES.get(path, "").encode()) for path in patched}
    sources = [path for path in FILES if path.endswith(".cu")]
    return Chooser([recipe(path) for path in sources], includes(FILES), contents)


def names(found: Sequence[Chosen]) -> list[str]:
    return [one.recipe.source for one in found]


def test_a_patched_source_is_its_own_proof_and_a_header_is_proven_by_who_uses_it() -> None:
    assert names(chooser("csrc/c.cu").units()) == ["csrc/c.cu"]
    assert names(chooser("csrc/core/math.hpp").units()) == ["csrc/b.cu"]
    both = chooser("csrc/core/math.hpp", "csrc/c.cu")
    assert names(both.units()) == ["csrc/b.cu", "csrc/c.cu"]
    assert {path for unit in both.units() for path in unit.files} == {"csrc/core/math.hpp", "csrc/c.cu"}
    assert names(both.units(every=True)) == ["csrc/attention/a.cu", "csrc/b.cu", "csrc/c.cu"]
    assert names(both.units(named=["csrc/attention/a.cu"])) == [
        "csrc/attention/a.cu", "csrc/b.cu", "csrc/c.cu"
    ]  # fmt: skip


def test_what_no_unit_has_is_told() -> None:
    made = chooser("csrc/nowhere.cuh", "csrc/b.cu")
    assert made.uncovered() == ("csrc/nowhere.cuh",)
    assert names(made.units()) == ["csrc/b.cu"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("int f(int a) {\n  return a;\n}\n", "int f(int a) {\n  return a + 1;\n}\n", "f"),
        ("template <long n>\nclass Scalar {};\n", "template <int64_t n>\nclass Scalar {};\n", "Scalar"),
        ("", "typedef unsigned int uint;\n", "uint"),
        ("", "#define TWICE(x) x\n", "TWICE"),
        ("struct S {\n  int v;\n  int get() {\n    return 1;\n  }\n};\n",
         "struct S {\n  int v;\n  int get() {\n    return 2;\n  }\n};\n", "get"),
    ],
)  # fmt: skip
def test_a_change_is_known_by_the_names_around_it(before: str, after: str, expected: str) -> None:
    assert expected in changed_names(Content(before=before.encode(), after=after.encode()))


MANGLED = (
    "variable _ZN52_INTERNAL_d57096da_21_activation_kernels_cu_396858e916quant_type_max_vIN3c1013Float8E"
)


def patch(guard: str) -> Patch:
    text = (
        f"Subject: x\nDescription: y\nGuard: {guard}\nUpstream-Status: Pending\n\n"
        "diff --git a/csrc/a.cu b/csrc/a.cu\nindex "
        f"{'1' * 40}..{'2' * 40} 100644\n--- a/csrc/a.cu\n+++ b/csrc/a.cu\n@@ -1 +1 @@\n-a\n+b\n"
    )
    content = patchfile.parse(text.encode(), path="csrc/a.cu", where="a.cu.patch")
    return Patch(
        layer="windows",
        target="vllm",
        file=Path("a.cu.patch"),
        content=content,
        pre=NO_OBJECT,
        post=NO_OBJECT,
    )


def test_identifiers_are_read_from_mangled_names() -> None:
    assert "quant_type_max_v" in set(identifiers(MANGLED))
    assert list(identifiers("entry merge")) == ["merge"]


@pytest.mark.parametrize(
    ("guard", "explained"),
    [
        ("neutral - quant_type_max_v is not\n referred to any more", True),
        ("neutral - the value is the same", False),
        ("neutral - quant_type_max is another name", False),
        ("neutral - everything in vllm and c10 stays", False),
    ],
)
def test_a_header_explains_what_it_names(guard: str, explained: bool) -> None:  # noqa: FBT001 - a parameter
    anywhere = MANGLED.replace("_d57096da_", "_00000000_")
    registering = "_ZL31__nv_cudaEntityRegisterCallbackPPv"
    compared = Compared(
        counts={}, differing={Kind.PTX: (MANGLED, "entry _ZN4vllm5otherEv"), Kind.HOST: (registering,)}
    )
    found = differences(compared, [patch("guarded"), patch(guard)])
    reason = guard.replace("\n", "") if explained else ""
    assert found == (
        Difference(kind=Kind.PTX, name=anywhere, reason=reason),
        Difference(kind=Kind.PTX, name="entry _ZN4vllm5otherEv", reason=""),
        Difference(kind=Kind.HOST, name=registering, reason=reason),
    )
    alone = replace(compared, differing={Kind.HOST: (registering,)})
    assert [one.reason for one in differences(alone, [patch(guard)])] == [""]


def test_each_worker_has_one_task_and_a_failure_ends_all() -> None:
    done = list(jobs.run_all([1, 2, 3, 4, 5], ["a", "b"], lambda task, worker: f"{worker}{task}"))
    assert sorted(task for task, _, _ in done) == [1, 2, 3, 4, 5]
    assert all(result[1:] == str(task) and seconds >= 0 for task, result, seconds in done)

    def refuse(task: int, worker: str) -> str:
        raise CompileError(f"{task} {worker}")

    with pytest.raises(CompileError, match="a"):
        list(jobs.run_all([1], ["a"], refuse))


def test_a_failure_ends_the_programs_of_the_others_and_no_more() -> None:
    waits = [sys.executable, "-c", "import time; time.sleep(60)"]
    started: queue.SimpleQueue[subprocess.Popen[bytes]] = queue.SimpleQueue()

    def run(task: str, worker: int) -> None:
        if task == "refused":
            started.put(started.get(timeout=60))
            raise CompileError(f"{task} {worker}")
        with subprocess.Popen(waits) as program:
            started.put(program)

    with subprocess.Popen(waits) as ran_before:
        with pytest.raises(CompileError, match="refused"):
            list(jobs.run_all(["waits", "refused"], [1, 2], run))
        assert started.get().poll() is not None
        assert ran_before.poll() is None
        ran_before.kill()


def test_as_many_are_admitted_as_fit() -> None:
    assert jobs.admitted(1) == 1
    assert 1 <= jobs.admitted(1000) < 1000
