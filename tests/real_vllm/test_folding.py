"""The comparing itself: what is guarded is neutral, what is not is found."""

from __future__ import annotations

import pytest

from tests.real_vllm import folding, python_folding, reading

KNOWN = {"_MSC_VER": False, "USE_ROCM": False}
WINDOWS_ONLY = [
    "#ifdef _MSC_VER\nint b;\n#endif\nint a;",
    "#if defined(_MSC_VER) && !defined(X)\nint b;\n#endif\nint a;",
    "#ifndef _MSC_VER\nint a;\n#endif",
    "#if (!defined(_MSC_VER))\nint a;\n#else\nint b;\n#endif",
    "#if defined(USE_ROCM)\nint c;\n#elif defined(_MSC_VER)\nint b;\n#else\nint a; // not b\n#endif",
    "int /* #ifdef */ \\\n a;",
]
UNGUARDED = [
    ("int a; int b;", [" -> int b ;"]),
    ("#ifdef UNKNOWN\nint b;\n#endif\nint a;", [" -> if UNKNOWN int b ; endif"]),
    ("#ifdef _MSC_VER\n#else\nlong a;\n#endif", ["int -> long"]),
    ("#if _MSC_VER >= 1940\nint b;\n#endif\nint a;", [" -> if _MSC_VER >= 1940 int b ; endif"]),
    ('const char* s = "#ifdef _MSC_VER"; int a;', [' -> const char * s = "#ifdef _MSC_VER" ;']),
]


def cpp(text: str) -> list[folding.Line]:
    return folding.fold(reading.cpp(text), KNOWN)


@pytest.mark.parametrize("text", WINDOWS_ONLY)
def test_guarded_cpp_is_neutral(text: str) -> None:
    assert folding.differences(cpp("int a;"), cpp(text)) == []


@pytest.mark.parametrize(("text", "expected"), UNGUARDED)
def test_unguarded_cpp_is_found(text: str, expected: list[str]) -> None:
    assert folding.differences(cpp("int a;"), cpp(text)) == expected


def test_repeated_changes_are_counted() -> None:
    assert folding.differences(cpp("f(x);\ng;\nf(x);"), cpp("f(y);\ng;\nf(y);")) == ["2 x x -> y"]


def test_raw_strings_and_directives_keep_their_lines() -> None:
    lines = cpp('#define X 1\nauto s = R"x(\n#ifdef _MSC_VER\n)x";\n')
    assert lines == [
        ("#", "define", "X", "1", "\n"),
        ("auto", "s", "=", 'R"x(\n#ifdef _MSC_VER\n)x"', ";"),
    ]


def test_conditionals_must_be_closed() -> None:
    for text in ("#ifdef X\n", "#endif\n"):
        with pytest.raises(ValueError, match="conditional is"):
            cpp(text)


CMAKE = 'project(a) # if(\nset(X "a;b(#")\nif(LANG STREQUAL "CUDA")\n  use(X)\nendif()\n'


def cmake(text: str) -> list[folding.Line]:
    return folding.fold(reading.cmake(text), {"MSVC": False, "WIN32": False})


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "if(WIN32)\n  include(w)\nendif()\n", []),
        ("if(LANG", "if(MSVC AND LANG STREQUAL X)\n  b()\nelseif(LANG", []),
        ("if(LANG", "if(NOT (MSVC OR WIN32))\n  b()\nendif()\nif(LANG", [" -> b ( )"]),
        ("if(LANG", "if(MSVC OR UNIX)\n  b()\nendif()\nif(LANG", [" -> if MSVC or UNIX b ( ) endif"]),
        ("use(X)", 'use("X")', ['X -> "X"']),
    ],
)
def test_cmake(old: str, new: str, expected: list[str]) -> None:
    changed = CMAKE.replace(old, new) if old else new + CMAKE
    assert folding.differences(cmake(CMAKE), cmake(changed)) == expected


PYTHON = "import os\ndef f():\n    return os.name\n"


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ("import os\ndef f():\n    if sys.platform == 'win32':\n        g()\n    return os.name\n", []),
        ("import os\ndef f():\n    return 1 if platform.system() == 'Windows' else os.name\n", []),
        (
            "import os\ndef f():\n    if h() and sys.platform == 'win32':\n        g()\n    return os.name\n",
            ["call"],
        ),
        ("import os\ndef f():\n    if not sys.platform.startswith('win'):\n        return os.name\n", []),
        ("import os, sys\ndef f():\n    return os.name\n", ["<body>: -import os", "<body>: +import os, sys"]),
        (
            "import os\ndef f():\n    if sys.platform == 'linux':\n        g()\n    return os.name\n",
            ["f: +g()"],
        ),
    ],
)
def test_python(new: str, expected: list[str]) -> None:
    found = python_folding.differences(PYTHON, new)
    if expected == ["call"]:  # h() is executed on Linux too
        assert "f: +if h() and False:" in found
    else:
        assert found == expected
