"""C++ as the preprocessor leaves it on Linux, for CUDA and for ROCm, and the spellings that mean the same."""

from __future__ import annotations

import pytest

from winvllm_build.audit.guard.cxx_view import view, with_record
from winvllm_build.audit.guard.judgement import Confirmed, Ground, Platform, Verdict, View

CUDA, ROCM = Platform.CUDA, Platform.ROCM
WINDOWS_ONLY = [
    "#ifdef _MSC_VER\nint b;\n#endif\nint a;",
    "#if defined(_MSC_VER) && !defined(X)\nint b;\n#endif\nint a;",
    "#ifndef _MSC_VER\nint a;\n#endif",
    "#if (!defined(_MSC_VER))\nint a;\n#else\nint b;\n#endif",
    "#if !defined(_WIN32)\nint a;\n#elif 1\nint b;\n#endif",
    "#if _MSC_VER >= 1940\nint b;\n#endif\nint a;",
    "int /* #ifdef */ \\\n a;",
    "int\n  a; // b",
]


@pytest.mark.parametrize("platform", list(Platform))
@pytest.mark.parametrize("text", WINDOWS_ONLY)
def test_what_only_msvc_gets_is_not_there(text: str, platform: Platform) -> None:
    assert view("int a;", text, platform) == View(verdict=Verdict.IDENTICAL)


UNGUARDED = [
    ("int a; int b;", [" -> int b ;"]),
    ("#ifdef UNKNOWN\nint b;\n#endif\nint a;", [" -> # if defined ( UNKNOWN ) \n int b ; # endif \n"]),
    ("#ifdef _MSC_VER\n#else\nlong a;\n#endif", ["int -> long"]),
    ('const char* s = "#ifdef _MSC_VER"; int a;', [' -> const char * s = "#ifdef _MSC_VER" ;']),
    ("#define X 1\nint a;", [" -> # define X 1 \n"]),
    ("#ifdef __GNUC__\nint b;\n#endif\nint a;", [" -> int b ;"]),
]


@pytest.mark.parametrize(("text", "expected"), UNGUARDED)
def test_what_linux_gets_is_told(text: str, expected: list[str]) -> None:
    found = view("int a;", text, CUDA)
    assert (found.verdict, list(found.changes)) == (Verdict.CHANGED, expected)


def test_repeated_changes_are_counted() -> None:
    assert view("f(x);\ng;\nf(x);", "f(y);\ng;\nf(y);", CUDA).changes == ("2 x x -> y",)


def test_cuda_and_rocm_are_two_views() -> None:
    before = "#ifdef USE_ROCM\nint r;\n#else\nint c;\n#endif"
    lost = "#ifndef USE_ROCM\nint c;\n#endif"  # the branch of ROCm went with a guard
    assert [view(before, lost, one).verdict for one in Platform] == [Verdict.IDENTICAL, Verdict.CHANGED]
    other = before.replace("int c;", "int d;")
    assert [view(before, other, one).verdict for one in Platform] == [Verdict.CHANGED, Verdict.IDENTICAL]
    split = "#if defined(USE_ROCM)\nint r;\n#elif defined(_MSC_VER)\nint w;\n#else\nint c;\n#endif"
    assert [view(before, split, one).verdict for one in Platform] == [Verdict.IDENTICAL] * 2
    assert view("int a;", "#ifdef X\nint a;", CUDA).changes[0].startswith("cannot be read")


NEUTRAL = [
    ("if (a and not b) f();", "if (a && !b) f();", Ground.TOKENS),
    ("static_assert(A == 1 or A == 2);", "static_assert(A == 1 || A == 2);", Ground.TOKENS),
    ('__asm__ __volatile__("x");', 'asm volatile("x");', Ground.KEYWORDS),
    ("template <long id> class A {};", "template <int64_t id> class A {};", Ground.LONG),
    ("#define F(a, b) (a and b)\n", "#define F(a, b) (a && b)\n", Ground.TOKENS),
    (
        "at::cuda::CUDAGuard guard{(char)x.get_device()};",
        "at::cuda::CUDAGuard guard(\n    static_cast<c10::DeviceIndex>(x.get_device()));",
        Ground.DEVICE_INDEX,
    ),
]


@pytest.mark.parametrize(("before", "after", "ground"), NEUTRAL)
def test_each_ground(before: str, after: str, ground: Ground) -> None:
    for one in Platform:
        found = view(before, after, one)
        assert (found.verdict, [part.ground for part in found.grounds]) == (Verdict.NEUTRAL, [ground])
        assert found.changes


NEAR_MISSES = [
    ("if (a and b) f();", "if (a || b) f();"),
    ("TORCH_CHECK(a and b);", "TORCH_CHECK(a && b);"),  # the message holds the text
    ("assert(a or b);", "assert(a || b);"),
    ("#define F(a, b) #a #b and\n", "#define F(a, b) #a #b &&\n"),
    ('s = "and";', 's = "&&";'),
    ("#define told(x) #x\ntold(a and b);", "#define told(x) #x\ntold(a && b);"),
    ("long long x;", "int64_t x;"),  # another type, although of the same size
    ("unsigned long x;", "unsigned int64_t x;"),
    ("long int x;", "int64_t int x;"),
    ("DISPATCH_NAME(long)", "DISPATCH_NAME(int64_t)"),  # may become a name or a text
    ("using int64_t = long long;\nlong x;", "using int64_t = long long;\nint64_t x;"),
    ("#define WORD long\nunsigned WORD x;", "#define WORD int64_t\nunsigned WORD x;"),
    ("#define long int\nlong x;", "#define long int\nint64_t x;"),
    ("int x;", "int64_t x;"),
    ('asm("x");', 'asm volatile("x");'),
    ("CUDAGuard guard{(char)x};", "CUDAGuard guard(static_cast<int>(x));"),
    ("Stream guard{(char)x};", "Stream guard(static_cast<c10::DeviceIndex>(x));"),
    ("CUDAGuard guard{(char)x};", "CUDAGuard guard(static_cast<c10::DeviceIndex>(x));"),  # 2.5e9?
    ("CUDAGuard guard{(char)x + y};", "CUDAGuard guard(static_cast<c10::DeviceIndex>(x + y));"),
    ("#define A 1\n#define B 2\n", "#define A 1 B\n2"),  # lines count in directives
    ("#include <a>\nint x;", "#include <b>\nint x;"),
]


@pytest.mark.parametrize(("before", "after"), NEAR_MISSES)
def test_near_misses_of_the_grounds(before: str, after: str) -> None:
    assert view(before, after, CUDA).verdict is Verdict.CHANGED


def test_long_in_a_list_that_only_rocm_names() -> None:
    before = "#ifdef USE_ROCM\nREGISTER_KERNEL(long)\n#endif\ntemplate <long x> class A;"
    after = before.replace("long", "int64_t")
    assert [view(before, after, one).verdict for one in Platform] == [Verdict.NEUTRAL, Verdict.CHANGED]


def test_a_record_of_cuda_counts_for_rocm_only_where_it_sees_the_same() -> None:
    before, after = "a = std::isinf(b);", "a = isinf(b);"
    views = [view(before, after, one) for one in Platform]
    made = with_record(views[0], views[1], "3 kernels", Ground.MACHINE_CODE)
    assert [one.verdict for one in made] == [Verdict.NEUTRAL] * 2
    assert made[0].grounds == (Confirmed(ground=Ground.MACHINE_CODE, detail="3 kernels"),)
    assert "nvcc only" in made[1].grounds[0].detail
    hidden = "\n#ifdef USE_ROCM\nint {};\n#endif"
    views = [view(before + hidden.format("x"), after + hidden.format("y"), one) for one in Platform]
    made = with_record(views[0], views[1], "3 kernels", Ground.MACHINE_CODE)
    assert [one.verdict for one in made] == [Verdict.NEUTRAL, Verdict.CHANGED]
    views = [view(hidden.format("x"), hidden.format("y"), one) for one in Platform]
    made = with_record(views[0], views[1], "3 kernels", Ground.MACHINE_CODE)
    assert [one.verdict for one in made] == [Verdict.IDENTICAL, Verdict.CHANGED]
