"""CMake, requirements, pyproject and Rust as Linux reads them."""

from __future__ import annotations

import pytest

from winvllm_build.audit.files import Files
from winvllm_build.audit.guard import cmake_view, requirements_view, rust_view
from winvllm_build.audit.guard.judgement import Ground, Platform, Verdict, View

CMAKE = 'project(a) # if(\nset(X "a;b(#")\nif(VLLM_GPU_LANG STREQUAL "CUDA")\n  use(X)\nendif()\n'


def cmake(
    before: str, after: str, platform: Platform = Platform.CUDA, callers: str = "", *, new: str | None = None
) -> View:
    trees = [Files.of_mapping({"CMakeLists.txt": one.encode()}) for one in (callers, new or callers)]
    return cmake_view.view("cmake/a.cmake", (before, after), platform, (trees[0], trees[1]))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", "if(WIN32)\n  include(w)\nendif()\n"),
        ("if(VLLM", "if(MSVC AND VLLM_GPU_LANG STREQUAL X)\n  b()\nelseif(VLLM"),
        ("", 'if(CMAKE_SYSTEM_NAME STREQUAL "Windows" OR MINGW)\n  b()\nendif()\n'),
        ("use(X)", "if(UNIX)\n  use(X)\nelse()\n  b()\nendif()"),
        ("use(X)", "use(X $<$<CXX_COMPILER_ID:MSVC>:/bigobj>)"),
        ("use(X)", "if(NOT (MSVC OR WIN32))\n  USE(X)\nendif()"),
    ],
)
def test_cmake_of_windows_is_not_there(old: str, new: str) -> None:
    changed = CMAKE.replace(old, new) if old else new + CMAKE
    assert cmake(CMAKE, changed) == View(verdict=Verdict.IDENTICAL)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("if(VLLM", "if(NOT (MSVC OR WIN32))\n  b()\nendif()\nif(VLLM", [" -> b ( )"]),
        ("use(X)", "if(MSVC OR Y)\n  b()\nendif()\nuse(X)", [" -> if ( MSVC OR Y ) b ( ) endif ( )"]),
        ("use(X)", "use($<$<CONFIG:Debug>:X>)", ["X -> $<$<CONFIG:Debug>:X>"]),
        ("use(X)", 'if("MSVC")\nelse()\n use(X)\nendif()', []),
        ("project(a)", "project(b)", ["a -> b"]),
    ],
)
def test_cmake_of_linux_is_told(old: str, new: str, expected: list[str]) -> None:
    assert list(cmake(CMAKE, CMAKE.replace(old, new)).changes) == expected


STOP = 'if(OLD)\n  message(FATAL_ERROR "no")\nendif()\nuse(X)\n'


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        (STOP, STOP.replace('message(FATAL_ERROR "no")', "b()\n  set(VLLM_NEW 1)"), Verdict.NEUTRAL),
        (STOP, STOP.replace('FATAL_ERROR "no"', "WARNING w").replace("use(X)", "use(Y)"), Verdict.CHANGED),
        (STOP, STOP.replace("if(OLD)", "if(NEW)"), Verdict.CHANGED),
        (STOP, "if(OLD)\n  b()\nendif()\n" + STOP, Verdict.CHANGED),
        (STOP, STOP.replace("endif", "else()\n  b()\nendif"), Verdict.CHANGED),
        (STOP.replace("FATAL_ERROR", "STATUS"), STOP, Verdict.CHANGED),
        (STOP.replace("  m", "  if(A)\n  m").replace(")\nendif", ")\n endif()\nendif"),
         STOP.replace("message", "b"), Verdict.CHANGED),
    ],
)  # fmt: skip
def test_where_upstream_stops_a_patch_may_go_on(before: str, after: str, verdict: Verdict) -> None:
    found = cmake(before, after)
    assert found.verdict is verdict
    assert verdict is Verdict.CHANGED or [one.ground for one in found.grounds] == [Ground.STOPS]


@pytest.mark.parametrize(
    ("after", "others", "verdict"),
    [
        ("if(VLLM_NEW AND A)\n  b()\nendif()\nuse(X)\n", "", Verdict.NEUTRAL),
        ("if(MSVC)\n  set(_NEW 1)\nendif()\nif(_NEW)\n  b(${_NEW})\nendif()\nuse(X)\n", "", Verdict.NEUTRAL),
        ("if(VLLM_NEW)\n  set(_NEW 1)\nendif()\nif(_NEW)\n  b()\nelse()\n  use(X)\nendif()\n", "",
         Verdict.NEUTRAL),
        ("if(NOT VLLM_NEW)\n  b()\nendif()\nuse(X)\n", "", Verdict.CHANGED),
        ("option(VLLM_NEW t ON)\nif(VLLM_NEW)\n  b()\nendif()\nuse(X)\n", "", Verdict.CHANGED),
        ("if(VLLM_NEW)\n  b()\nendif()\nuse(X)\n", "set(VLLM_NEW 1)\n", Verdict.CHANGED),
        ("if(NEW)\n  b()\nendif()\nuse(X)\n", "", Verdict.CHANGED),
        ("if(VLLM_NEW STREQUAL A)\n  b()\nendif()\nuse(X)\n", "", Verdict.CHANGED),
    ],
)  # fmt: skip
def test_a_condition_on_a_variable_of_the_patch_alone_is_false(
    after: str, others: str, verdict: Verdict
) -> None:
    assert cmake("use(X)\n", after, callers=others).verdict is verdict


def test_the_languages_of_cmake_are_two_views() -> None:
    changed = CMAKE.replace("use(X)", "use(Y)")
    assert [cmake(CMAKE, changed, one).verdict for one in Platform] == [Verdict.CHANGED, Verdict.IDENTICAL]
    neither = (
        'if(VLLM_GPU_LANG STREQUAL "CUDA")\nelseif(VLLM_GPU_LANG STREQUAL "HIP")\nelse()\n  cpu({})\nendif()'
    )
    views = [cmake(neither.format("A"), neither.format("B"), one).verdict for one in Platform]
    assert views == [Verdict.CHANGED, Verdict.IDENTICAL]  # what is not ROCm is all in the other view
    assert cmake(CMAKE, "set(").changes[0].startswith("cannot be read")
    assert cmake(CMAKE, "if(A)\n").changes[0].startswith("cannot be read")


MACRO = "macro(find EXE VERSIONS)\n  file(REAL_PATH {} EXE)\nendmacro()\n"
SAFE = 'if(PYTHON)\n  find(${PYTHON} "${VERSIONS}")\nendif()\n'


def test_quotes_of_no_account() -> None:
    for before, after, callers in (
        ("a(PYTHONPATH=$ENV{PYTHONPATH})", 'a("PYTHONPATH=$ENV{PYTHONPATH}")', ""),
        ("a(b)", 'a("b")', ""),
        (MACRO.format("${EXE}"), MACRO.format('"${EXE}"'), SAFE),
    ):
        found = cmake(before, after, callers=callers)
        assert (found.verdict, found.grounds[0].ground) == (Verdict.NEUTRAL, Ground.QUOTES)


@pytest.mark.parametrize(
    ("before", "after", "callers"),
    [
        ("a(${FLAGS})", 'a("${FLAGS}")', ""),  # may be a list, or nothing
        ("a(X=${FLAGS})", 'a("X=${FLAGS}")', ""),
        ("a($ENV{PYTHONPATH})", 'a("$ENV{PYTHONPATH}")', ""),  # may be nothing
        ("a(b;c)", 'a("b;c")', ""),
        ("if(MSVC_X)\nb()\nendif()", 'if("MSVC_X")\nb()\nendif()', ""),
        (MACRO.format("${EXE}"), MACRO.format('"${EXE}"'), ""),  # never called
        (MACRO.format("${EXE}"), MACRO.format('"${EXE}"'), SAFE.replace("if(PYTHON)", "if(OTHER)")),
        (MACRO.format("${EXE}"), MACRO.format('"${EXE}"'), SAFE + 'find("${LIST}" x)\n'),
        (MACRO.format("${EXE}"), MACRO.format('"${EXE}"'), SAFE.replace("${PYTHON}", '"a;b"')),
        (MACRO.format("${VERSIONS}"), MACRO.format('"${VERSIONS}"'), SAFE),  # given quoted: a list
    ],
)
def test_quotes_that_count(before: str, after: str, callers: str) -> None:
    assert cmake(before, after, callers=callers).verdict is Verdict.CHANGED


def test_requirements() -> None:
    before = "a>=1  # why\nb==2; platform_machine == 'x86_64'\n-r other.txt\n"
    view = requirements_view.view
    assert view(before, before + "c; sys_platform == 'win32'\n") == View(verdict=Verdict.IDENTICAL)
    assert view(before, before.replace("a>=1  # why", "a >= 1")) == View(verdict=Verdict.IDENTICAL)
    found = view(before, before.replace("a>=1", "a>=1; sys_platform != 'win32'"))
    assert (found.verdict, found.grounds[0].ground) == (Verdict.NEUTRAL, Ground.MARKERS)
    amd = before.replace("== 'x86_64'", "in 'x86_64 AMD64'")
    assert view(before, amd).verdict is Verdict.NEUTRAL


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a>=1", "a>=2"),
        ("a>=1", "# a>=1"),
        ("a>=1", "a>=1; platform_machine != 'aarch64'"),
        ("a>=1", "a>=1; python_version < '3.13'"),
        ("b==2; platform_machine == 'x86_64'", "b==2"),
        ("a>=1", "c; sys_platform == 'linux'\na>=1"),
        ("-r other.txt", "-r another.txt"),
        ("a>=1\nb==2", "b==2\na>=1"),
    ],
)
def test_requirements_of_linux_are_told(old: str, new: str) -> None:
    before = "a>=1\nb==2; platform_machine == 'x86_64'\n-r other.txt\n"
    assert requirements_view.view(before, before.replace(old, new)).verdict is Verdict.CHANGED


def test_pyproject() -> None:
    before = "[build-system]\nrequires = ['a']\n[project]\nname = 'x'\n"
    view = requirements_view.project_view
    marker = before.replace("'a'", "\"a; sys_platform != 'win32'\"")
    assert view(before, marker).verdict is Verdict.NEUTRAL
    assert view(before, before.replace("['a']", "['a', \"b; os_name == 'nt'\"]")).verdict is Verdict.IDENTICAL
    assert view(before, before.replace("'a'", "'b'")).verdict is Verdict.CHANGED
    assert view(before, before.replace("'x'", "'y'")).verdict is Verdict.CHANGED
    assert view(before, "[").verdict is Verdict.CHANGED


RUST = 'use a::b;\nfn f() -> u8 { let s = "#[cfg(windows)]"; 1 }\n'


@pytest.mark.parametrize(
    ("attribute", "verdict"),
    [
        ('#[cfg_attr(windows, arg(default_value = "python"))]', Verdict.IDENTICAL),
        ("#[cfg_attr(not(unix), allow(dead_code), inline)]", Verdict.IDENTICAL),
        ("#[cfg_attr(any(windows, test), allow(dead_code))]", Verdict.CHANGED),
        ("#[cfg_attr(unix, allow(dead_code))]", Verdict.CHANGED),
        ("#[allow(dead_code)]", Verdict.CHANGED),
    ],
)
def test_attributes_for_windows_alone(attribute: str, verdict: Verdict) -> None:
    before = "struct A {\n    #[arg(long)]\n    python: String,\n}\n"
    after = before.replace("    python", f"    {attribute}\n    python")
    assert rust_view.view(before, after).verdict is verdict


def test_rust() -> None:
    view = rust_view.view
    for added in (
        "#[cfg(windows)]\nfn g() { h(); }\n",
        '#[cfg(target_os = "windows")]\n#[inline]\nuse a::{c, d};\n',
        "// fn g() {}\n",
        "#[cfg(not(unix))]\nmod w { fn x() {} }\n",
    ):
        assert view(RUST, added + RUST) == View(verdict=Verdict.IDENTICAL), added
    assert view(RUST, RUST.replace("fn f", "#[cfg(unix)]\nfn f")) == View(verdict=Verdict.IDENTICAL)
    for added in ("fn g() {}\n", "#[cfg(test)]\nfn g() {}\n", "#[cfg(unix)]\nfn g() {}\n"):
        assert view(RUST, added + RUST).verdict is Verdict.CHANGED, added
    assert view(RUST, RUST.replace("fn f", "#[cfg(windows)]\nfn f")).verdict is Verdict.CHANGED


def test_cargo() -> None:
    before = "[dependencies]\na = 1\n"
    windows = "[target.'cfg(windows)'.dependencies]\nw = 1\n"
    assert rust_view.cargo_view(before, before + windows) == View(verdict=Verdict.IDENTICAL)
    unix = windows.replace("windows", "unix")
    assert rust_view.cargo_view(before, before + unix).verdict is Verdict.CHANGED
    assert rust_view.cargo_view(before, windows + before) == View(verdict=Verdict.IDENTICAL)
