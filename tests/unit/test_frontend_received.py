"""The text for cl.exe, in the shape cudafe++ 13.0.88 gives it."""

from __future__ import annotations

from winvllm_build.audit.frontend.received import lint

TEXT = """\
#line 1 "csrc/a.cu"
#pragma warning(push)
#line 90 "stl/vector"
return __builtin_popcount(1);
#line 8 "csrc/core/math.hpp"
return __builtin_clz(num - 1);
int and_count = other::__builtin_x + this.__builtin_y;
#line 30
inline float2 f(const int v) {int volatile ___ = 1;(void)v;::exit(___);}
#if 0
#line 31
{
auto g = __nv_dl_wrapper_t<int>();
#if 0
__builtin_trap();
#endif
#line 33
__builtin_unreachable();
}
#endif
#line 40 "csrc\\\\a.cu"
bool both = one and two; // __int128
const char *s = "__asm__ not";
__attribute__((aligned(16))) int x;
typedef int4 __int128_t;
auto p = __builtin_offsetof(S, x), q = p->__int128, r = __builtin_huge_valf();
"""


def _found() -> list[tuple[str, int, str]]:
    return [(m.file, m.line, m.text) for m in lint(TEXT.splitlines(), ("csrc/",))]


def test_what_cl_refuses_is_found_in_the_tree_s_own_host_code_alone() -> None:
    assert _found() == [
        ("csrc/core/math.hpp", 8, "GCC builtin: __builtin_clz"),
        ("csrc/a.cu", 40, "alternative token: and"),
        ("csrc/a.cu", 42, "GCC attribute: __attribute__"),
    ]


def test_the_line_is_told() -> None:
    assert lint(TEXT.splitlines(), ("csrc/",))[0].source == "return __builtin_clz(num - 1);"
