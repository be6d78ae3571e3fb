"""The real Windows front ends, under Wine, on files of a few lines.

They need wine64, libwine-dev, clang-19, and Microsoft's STL at the tag that `parts.py` names: a checkout
named by `WINVLLM_TEST_STL`. Where one of them is missing the tests are skipped.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from winvllm_build.audit.frontend import crt, explain, parts, sides, wine
from winvllm_build.audit.frontend.command_lines import Headers
from winvllm_build.audit.frontend.markers import Names
from winvllm_build.audit.frontend.outcome import Outcome, Pass, Verdict
from winvllm_build.audit.frontend.passes import Bench
from winvllm_build.audit.frontend.store import Store
from winvllm_build.audit.frontend.units import Language, Unit
from winvllm_build.errors import ToolchainError
from winvllm_build.index import Index, PlatformTag
from winvllm_build.toolchain import cuda_wheels
from winvllm_build.workspace import Workspace

pytestmark = pytest.mark.network
STL_VARIABLE = "WINVLLM_TEST_STL"


@pytest.fixture(scope="session")
def found(test_cache: Path) -> parts.Parts:
    given = os.environ.get(STL_VARIABLE)
    try:
        return parts.find(
            Path(given) if given else None, Workspace(root=test_cache / "workspace"), os.environ
        )
    except ToolchainError as error:
        # wine, clang-19 and Microsoft's STL: none is on the package index, CI has none
        pytest.skip(error.message.replace("\n", " "))


@pytest.fixture(scope="session")
def headers(found: parts.Parts, test_cache: Path) -> Headers:
    workspace = Workspace(root=test_cache / "workspace")
    pins = cuda_wheels.read_pins(PlatformTag.WINDOWS_AMD64)
    index = Index(workspace, on_event=lambda _: None)
    cuda = cuda_wheels.lay_down(pins, workspace=workspace, index=index, on_event=lambda _: None)
    windows = sides.WindowsParts(cuda=cuda, cuda_version=pins.version, torch=cuda, torch_version="none")
    return sides.headers_of(windows, crt.lay_down(found.headers, workspace), found)


@pytest.fixture
def bench(found: parts.Parts, headers: Headers, test_cache: Path, tmp_path: Path) -> Bench:
    tree = tmp_path / "tree"
    (tree / "csrc").mkdir(parents=True)
    workspace = Workspace(root=test_cache / "workspace")
    environment = {"PATH": os.environ["PATH"]}
    return Bench(
        tree=tree,
        names=Names({tree: "", headers.cuda / "include": "cuda", headers.stl: "stl"}),
        headers=headers,
        clang=found.clang,
        wine=wine.prepare(found.wine, headers.cuda / "bin" / "cudafe++.exe", workspace, environment),
        store=Store(folder=tmp_path / "store", tools="test"),
        scratch=tmp_path / "scratch",
        environment=environment,
    )


def _judge(bench: Bench, text: str, kind: Pass = Pass.HOST, name: str = "a.cu") -> Outcome:
    (bench.tree / "csrc" / name).write_text(text, encoding="utf-8")
    return bench.judge(_unit(bench, name), kind)


def _unit(bench: Bench, name: str) -> Unit:
    cuda = name.endswith(".cu")
    return Unit(
        path=f"csrc/{name}", target="_C", language=Language.CUDA if cuda else Language.CXX,
        definitions=("NDEBUG",), includes=(bench.tree / "csrc",), standard="c++17", relaxed_constexpr=True,
        extended_lambda=True, archs=("86",) if cuda else (),
    )  # fmt: skip


STL = """\
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>
std::optional<std::string> name(std::vector<int> const& of) {
  return of.empty() ? std::nullopt : std::make_optional(std::to_string(of.front()));
}
"""
KERNEL = "#include <cmath>\n__global__ void k(float* out, {type} n) {{ out[n] = {what}; }}\n"


def test_microsoft_s_stl_passes_in_cudafe_and_in_clang(bench: Bench) -> None:
    for kind, name in ((Pass.HOST, "a.cu"), (Pass.CLANG, "a.cpp")):
        found = _judge(bench, STL, kind, name)
        assert (found.verdict, found.messages, found.lint) == (Verdict.PASS, (), ())


@pytest.mark.parametrize(
    ("hazard", "bad", "good"),
    [
        ("D3", 'int f() { int x; __asm__ __volatile__("" : "=r"(x)); return x; }', "int f() { return 1; }"),
        ("D5", "__int64_t x;", "#include <cstdint>\nint64_t x;"),
        ("D6", "bool f(bool a, bool b) { return a and b; }", "bool f(bool a, bool b) { return a && b; }"),
        ("D11", "#include <sys/types.h>\nssize_t n;", "#include <cstddef>\nptrdiff_t n;"),
        ("D12", "uint n;", "unsigned int n;"),
    ],
)
def test_a_hazard_fails_with_its_sign_and_its_repair_passes(
    bench: Bench, hazard: str, bad: str, good: str
) -> None:
    found = _judge(bench, f"{bad}\n")
    assert found.verdict is Verdict.FAIL
    assert {message.file for message in found.messages} == {"csrc/a.cu"}
    assert explain.hazards(found.messages) == (hazard,)
    assert _judge(bench, f"{good}\n").verdict is Verdict.PASS


def test_a_builtin_of_gcc_passes_the_front_end_and_is_found_in_the_text_for_cl(bench: Bench) -> None:
    text = (
        "inline int f(int x) { return __builtin_clz(x); }\n__device__ void g() { __builtin_unreachable(); }\n"
    )
    found = _judge(bench, text)
    assert found.verdict is Verdict.PASS
    assert [(one.file, one.line, one.text) for one in found.lint] == [
        ("csrc/a.cu", 1, "GCC builtin: __builtin_clz")
    ]


def test_a_header_that_windows_lacks_is_a_failure_with_its_line(bench: Bench) -> None:
    found = _judge(bench, "int x;\n#include <unistd.h>\n")
    assert found.verdict is Verdict.FAIL
    assert (found.messages[0].line, found.messages[0].source) == (2, "#include <unistd.h>")
    assert explain.hazards(found.messages) == ("D24",)


def test_a_host_function_in_a_kernel_is_refused_by_the_device_compiler_alone(bench: Bench) -> None:
    bad = KERNEL.format(type="int", what="std::isinf(out[0]) ? 1.f : 0.f")
    assert _judge(bench, bad).verdict is Verdict.PASS
    found = _judge(bench, bad, Pass.DEVICE)
    assert found.verdict is Verdict.FAIL
    assert explain.hazards(found.messages) == ("D7",)
    good = KERNEL.format(type="int", what="isinf(out[0]) ? 1.f : 0.f")
    assert _judge(bench, good, Pass.DEVICE).verdict is Verdict.PASS


def test_errors_of_system_headers_alone_are_no_verdict_on_the_tree(bench: Bench) -> None:
    """A wrong stand-in header has to show as that."""
    found = _judge(bench, '#line 1 "stl/vector"\nuint x;\n')
    assert found.verdict is Verdict.UNJUDGED
    assert found.messages[0].file == "stl/vector"


def test_the_same_text_of_another_tree_is_not_judged_again(bench: Bench) -> None:
    first = _judge(bench, "int x;  // one\n")
    again = _judge(bench, "int x;  // two\n")
    assert (first.shared, again.shared) == (False, True)
    assert again.text == first.text


def test_a_unit_is_changed_where_it_reads_a_patched_file(bench: Bench) -> None:
    (bench.tree / "csrc" / "x.h").write_text("int y;\n", encoding="utf-8")
    for text, changes in (('#include "x.h"\n', True), ("int z;\n", False)):
        _judge(bench, text)
        unit = _unit(bench, "a.cu")
        assert replace(bench, patched=frozenset({"csrc/x.h"})).changes(unit) is changes
