"""Rules on C++ and CUDA beyond the catalogue's samples: where each has to keep quiet, and hostile text."""

from __future__ import annotations

import pytest

from winvllm_build.audit.cxx.scanner import scan
from winvllm_build.audit.files import Files
from winvllm_build.audit.hit import Found, Hit, State


def scanned(text: str, path: str = "csrc/a.cu", **others: str) -> Found:
    files = {path: text, **{f"csrc/{name}.h": content for name, content in others.items()}}
    return scan(Files.of_mapping({name: content.encode() for name, content in files.items()}), None)


def live(text: str, path: str = "csrc/a.cu", **others: str) -> list[str]:
    hits = scanned(text, path, **others).hits
    return [hit.hazard for hit in hits if hit.state is State.LIVE and hit.path == path]


def chain(count: int) -> str:
    branches = "\n".join(f"else if (a == {n})\n  b = {n};" for n in range(count))
    return f"void f(int a, int b) {{\nif (a < 0)\n  b = 0;\n{branches}\n}}\n"


def test_a_chain_is_found_above_the_limit_alone() -> None:
    assert live(chain(127)) == []
    assert live(chain(128)) == ["D10"]
    (hit,) = scanned(chain(700)).hits
    assert (hit.line, hit.detail) == (2, "700 times else if")


def test_chains_that_follow_each_other_are_not_one() -> None:
    braces = "".join(
        f"else if (a == {n}) {{ if (b) {{ c(); }} else if (d) {{ e(); }} }}\n" for n in range(100)
    )
    assert live(f"void f() {{\nif (a) {{ b(); }}\n{braces}if (a) {{ b(); }}\n{braces}}}\n") == []
    assert live("#define X \\\n" + "else if (a) b(); \\\n" * 200 + "\n") == ["D10"]


def test_long_strings() -> None:
    assert live(f'const char* a = "{"x" * 16000}";') == []
    assert live(f'const char* a = "{"x" * 17000}";') == ["D48"]
    assert live("const char* a = " + f'"{"x" * 10000}"\n' * 7 + ";") == ["D48"]
    assert live("const char* a[] = {" + f'"{"x" * 10000}",\n' * 7 + "};") == []
    assert live('const char* a = R"x(' + "x\n" * 9000 + ')x";') == ["D48"]


@pytest.mark.parametrize(
    "text",
    [
        "static inline constexpr auto uint(int32_t bits);\nauto k = ScalarType::uint(4, 0);",
        "int f(S s) { return s.uint + s->ssize_t; }",
        "typedef unsigned int uint;\nuint a;",
        "#define ssize_t long long\nssize_t a;",
        "#ifdef _MSC_VER\n#define long int64_t\n#endif\nlong* a = reinterpret_cast<long*>(b); long c;",
        "__device__ bool f(float a) { return cuda::std::isfinite(a) && isnan(a); }",
        "bool f(float a) { return std::isfinite(a); }",
        "__device__ int f(int a) { return __builtin_clz(a); }",
        "__global__ void __launch_bounds__(256) k(int a) { if (a) { b = __builtin_ctz(a); } }",
        "__host__ __device__ int f(int a) {\n#if __CUDA_ARCH__ >= 800\nreturn __builtin_clz(a);\n#endif\n}",
        "int f(int a) { if (!a) __builtin_unreachable(); return a; }",
        'const char* a = "and or not __asm__"; // and\n/* uint x; */',
        "struct S { int a : 1; }; S s = {a, b.c, d.e};",
        "template <typename T> __device__ T f(T a) { return a; }",
        "template <typename T> constexpr T value = T(1);",
        "auto x = a ? b : c; auto y = a ? ::f() : ::g();",
        "unsigned long long a; long long unsigned b; long double c;",
        "void f() { int a[4] = {0}; g({1, 2}); h(T({3})); }",
        "void f() { auto g = [&](int n) { float a[N]; static float b[n_max]; }; }",
        "int run(int n) { return map.random() + T::open(n) + lock.fork(n); }\nint random(int n);",
        "DISPATCH(a, [&] { f(); });\n#ifdef USE_ROCM\nint b;\n#endif",
        "TORCH_LIBRARY_EXPAND(NAME, m) {\n#ifndef USE_ROCM\nm.def(1);\n#endif\n}",
        "template <typename... A> void f(A... a) { switch (x) { case 1: g(a...); } }",
        "#include <cuda_runtime.h>\nconstexpr auto f(float x) { return std::sqrt(x); }",
        "void f(const CUtensorMap* a, CUtensorMap& b) { CUtensorMap c{}; }",
        'extern "C" __global__ void k() { asm volatile("trap;"); }',
        "#ifdef USE_ROCM\nuint a; __attribute__((x)) int b;\n#endif",
        "float a = M_PIX; int i = Kind::INT; x.ERROR = y->DELETE;",
    ],
)  # fmt: skip
def test_what_is_no_hazard_is_left_alone(text: str) -> None:
    assert live(text) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("template <uint N> struct A {};\nauto a = sizeof(uint);\nauto b = (uint)c;", ["D12", "D12", "D12"]),
        ("std::vector<uint> a;\nvoid f(uint*, uint); uint x;", ["D12", "D12"]),
        ("uint a;\n#ifdef _MSC_VER\ntypedef unsigned uint;\n#endif", ["D12"]),
        ("__host__ __device__ int f(int a) { return __builtin_clz(a); }", ["D1"]),
        ("struct S { __device__ int f() { return 1; } int g(int a) { return __builtin_clz(a); } };", ["D1"]),
        ("#define CLZ(x) __builtin_clz(x)", ["D1"]),
        ("int f() { return __sync_fetch_and_add(&a, 1); }", ["D1"]),
        ('#define MARK __host__ __device__\nMARK void f() { asm volatile("trap;"); }', ["D27"]),
        ("S s = {.a = 1, .b = {2}};", ["D4", "D4"]),
        ("template <class T>\nC10_HOST_DEVICE constexpr T x = T(1);\nauto y = x<int>;", ["D8", "D8"]),
        ("void f(int n) { float a[n]; }", ["D28"]),
        ("void f() { int n = g(); float a[n]; }", ["D28"]),
        ("A_MACRO(a,\n#if X\nb\n#endif\n);", ["D14", "D14"]),
        ("long f(unsigned long a);", ["D52", "D52"]),
        ("switch (a) { case 'a' ... 'z': b(); }", ["D56"]),
        ("void* f() { goto *table[1]; }", ["D56"]),
        ("static constexpr float a = 2 * sqrtf(2.0f);", ["D59"]),
        ("#include <sys/mman.h>\nvoid f() { ::munmap(a, b); }", ["D24", "D24"]),
    ],
)
def test_what_is_a_hazard_is_found(text: str, expected: list[str]) -> None:
    assert live(text) == expected


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("#ifdef __GNUC__\nuint a;\n#endif", State.DEAD),
        ("#ifndef _MSC_VER\nuint a;\n#endif", State.GUARDED),
        ("#if defined(_WIN32) && defined(X)\nuint a;\n#endif", State.GUARDED),
        ("#if X\nuint a;\n#endif", State.LIVE),
    ],
)
def test_states(text: str, state: State) -> None:
    assert [hit.state for hit in scanned(text).hits] == [state]


def test_a_type_of_a_header_is_known() -> None:
    header = "#pragma once\n#ifdef _MSC_VER\nusing uint = unsigned;\n#endif\n"
    assert live('#include "b.h"\nuint a;') == ["D12"]
    assert live('#include "b.h"\nuint a;', b=header) == []
    assert live('#include "c.h"\nuint a;', b=header, c='#include "b.h"\n') == []
    assert live('#ifdef USE_ROCM\n#include "b.h"\n#endif\nuint a;', b=header) == ["D12"]


def test_a_header_knows_what_all_that_include_it_have() -> None:
    files = {
        "csrc/a.cu": '#include <ciso646>\n#include "h.cuh"\n',
        "csrc/h.cuh": "bool f(bool a) { return not a; }",
    }
    assert scan(Files.of_mapping({k: v.encode() for k, v in files.items()}), None).hits == ()
    files["csrc/b.cu"] = '#include "h.cuh"\n'
    hits = scan(Files.of_mapping({k: v.encode() for k, v in files.items()}), None).hits
    assert [(hit.hazard, hit.path) for hit in hits] == [("D6", "csrc/h.cuh")]


def test_what_the_parser_cannot_follow_is_told() -> None:
    found = scanned("int a;\n@@@ }}} ((( \nuint b;\n")
    assert [(blind.path, blind.lines > 0) for blind in found.blind] == [("csrc/a.cu", True)]
    assert [hit.hazard for hit in found.hits] == ["D12"]


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "\x00\x01", "#", "#if", "#if (((\n", "#endif\n#else\n", '"', 'R"(', "/*", "template <",
        "{" * 3000, "}" * 3000, "(" * 3000, '#define\n#include\n#include <\n#include "\n', "typedef",
        "using x =", "é" * 100, "case case constexpr template < < < long long , >", "#define A(\\\n",
        "template<" * 500, '# 12 "f" 3\n', "asm volatile", "long", ".x = ", "#if 1 / 0\nuint a;\n#endif",
        "[&] { " * 300,
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["csrc/a.cu", "csrc/a.cpp", "csrc/a.h"])
def test_no_text_ends_the_scan(text: str, path: str) -> None:
    assert all(isinstance(hit, Hit) for hit in scanned(text, path).hits)


def test_files_that_include_themselves_and_each_other_end() -> None:
    assert live('#include "a.h"\n#include "b.h"\nuint a;', a='#include "b.h"', b='#include "a.h"\n') == [
        "D12"
    ]
