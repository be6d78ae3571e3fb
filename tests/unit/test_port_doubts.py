"""Merges that git calls clean and that a human has to look at; each of them was carried once, and wrong."""

from __future__ import annotations

import difflib

import pytest

from winvllm_build.git import RepoPath
from winvllm_build.patchset.diff import Diff, parse
from winvllm_build.port.doubts import DOUBLED, LOST_NAME, OTHER_PLACE, REMAINING, UNFINISHED, doubts
from winvllm_build.port.outline import Outline, language_of

FINDER = """\
def find_library(name):
    \"\"\"The path of a loaded library.\"\"\"
    found_line = None
    with open("/proc/self/maps") as f:
        for line in f:
            if name in line:
                found_line = line
    return found_line
"""
WINDOWS = """\
    if sys.platform == "win32":
        return mapped(name)
"""


def diff(path: str, before: str, after: str) -> Diff:
    head = f"diff --git a/{path} b/{path}\nindex {'1' * 40}..{'2' * 40} 100644\n"
    found = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{path}", f"b/{path}"
    )
    return parse((head + "".join(found)).encode(), path=path, where=path)


def kinds(path: str, old: str, patched: str, new: str, merged: str) -> list[str]:
    now = diff(path, new, merged) if merged != new else None
    found = doubts(diff(path, old, patched), now, old=old.encode(), new=new.encode())
    return [doubt.kind for doubt in found]


def inserted(text: str, before: str, lines: str, *, at: int = 0) -> str:
    """`text` with `lines` before the line `before`, or a later one of them."""
    parts = text.split(before)
    return before.join(parts[: at + 1]) + lines + before + before.join(parts[at + 1 :])


def test_a_function_that_became_a_part_of_another() -> None:
    """VLLM 0.33.0: the old name is a wrapper now, what the patch returns is no list."""
    new = FINDER.replace("find_library", "find_libraries").replace("found_line = None", "paths = {}")
    new += "\n\ndef find_library(name):\n    return next(iter(find_libraries(name)), None)\n"
    patched = inserted(FINDER, "    found_line = None\n", WINDOWS)
    merged = inserted(new, "    paths = {}\n", WINDOWS)
    assert kinds("a.py", FINDER, patched, new, merged) == [OTHER_PLACE]


def test_a_function_with_another_name_only() -> None:
    new = FINDER.replace("find_library", "locate_library")
    patched, merged = (inserted(text, "    found_line = None\n", WINDOWS) for text in (FINDER, new))
    assert kinds("a.py", FINDER, patched, new, merged) == []


def test_a_function_with_another_name_of_which_there_are_two() -> None:
    """One of two equal functions is gone and one has a new name: nobody knows which."""
    old = FINDER + "\n\n" + FINDER.replace("find_library", "find_module")
    new = FINDER.replace("find_library", "locate_library")
    patched, merged = (inserted(text, "    found_line = None\n", WINDOWS) for text in (old, new))
    assert kinds("a.py", old, patched, new, merged) == [OTHER_PLACE]


BODY = "step(x)", "check(x)", "emit(x)"
BLOCKS = {
    "a.py": ("def {0}(x):", "    {0}", "    return x\n\n"),
    "k.cu": ("__global__ void {0}(int x) {{", "  {0};", "}}\n"),
    "k.cuh": ("template <int n>\nstruct {0} {{", "  {0};", "}};\n"),
    "CMakeLists.txt": ("set({0}", "  {0}", ")\n"),
    "x.cmake": ("if({0})", "  message({0})", "endif()\n"),
    "lib.rs": ("pub fn {0}(x: u32) {{", "    {0};", "}}\n"),
    "pyproject.toml": ("[{0}]", "{0} = 1", "\n"),
}


def block(path: str, name: str, lines: tuple[str, ...]) -> str:
    head, body, end = BLOCKS[path]
    return "\n".join([head.format(name), *(body.format(line) for line in lines), end.format()])


@pytest.mark.parametrize("path", BLOCKS)
def test_equal_bodies_of_which_upstream_swapped_the_heads(path: str) -> None:
    """Lines of one body become lines of the other without a conflict."""
    line = BLOCKS[path][1].format("win(x)") + "\n"
    at = BLOCKS[path][1].format("emit(x)") + "\n"
    old, new = (
        block(path, one, BODY) + block(path, other, BODY) for one, other in (("aa", "bb"), ("bb", "aa"))
    )
    patched, stayed, followed = (
        inserted(old, at, line),
        inserted(new, at, line),
        inserted(new, at, line, at=1),
    )
    assert kinds(path, old, patched, new, stayed) == [OTHER_PLACE]
    assert kinds(path, old, patched, new, followed) == []


def test_files_without_blocks_have_no_places() -> None:
    assert language_of(RepoPath("requirements/cuda.txt")) is None
    assert kinds("x.txt", "aa\nbb\n", "aa\nxx\nbb\n", "bb\naa\n", "bb\nxx\naa\n") == []


@pytest.mark.parametrize(
    ("path", "text", "places"),
    [
        ("a.py", "class A:\n    def f(\n        self,\n    ) -> int:\n        return HERE\n", (b"A", b"f")),
        ("a.py", "def f():\n    pass\n\nTABLE = {\n    HERE,\n}\n", (b"TABLE",)),
        ("a.py", "def f():\n    pass\n\nif x:\n    HERE\n", ()),
        ("k.cu", "#define M(x) \\\n  HERE\n", (b"M",)),
        ("k.cu", "template <int n>\n__global__ void __launch_bounds__(9)\nrun(int a) {\n  HERE\n", (b"run",)),
        ("k.cu", "void f() {\n  a;\n}\nenum class Kind {\n  HERE\n", (b"Kind",)),
        ("x.cmake", "if(A)\n  set(B\n    HERE)\n", (b"if(A)", b"set(B")),
        ("x.cmake", "if(A)\n  b()\nelse()\n  HERE\n", (b"if(A)",)),
        ("p.toml", "[tool.a]\nb = 1\n[[tool.c]]\nHERE = 1\n", (b"tool.c",)),
    ],
)  # fmt: skip
def test_places_are_read_from_the_looks_of_lines(path: str, text: str, places: tuple[bytes, ...]) -> None:
    language = language_of(RepoPath(path))
    assert language is not None
    content = text.encode()
    at = next(n for n, line in enumerate(text.split("\n"), start=1) if "HERE" in line)
    found = Outline.of(content, language).places(at, content.split(b"\n")[at - 1])
    assert tuple(name.rstrip() for name in found) == places


def test_a_name_that_upstream_no_longer_has() -> None:
    old = "int a = size_of(x);\nint b = 2;\n"
    new = "int b = 2;\n"
    added = "int c = size_of(y);\n"
    assert kinds("k.cu", old, old + added, new, new + added) == [LOST_NAME]
    assert kinds("k.cu", old, old + "int c = own(y);\n", new, new + "int c = own(y);\n") == []
    assert kinds("k.cu", old, old + "// size_of\n", new, new + "// size_of\n") == []


def test_lines_that_upstream_added_elsewhere() -> None:
    old = "#include <a>\n\nint one = 1;\nint two = 2;\n"
    typedef = "typedef unsigned int uint;\n"
    new = "#include <a>\n\nint one = 1;\nint two = 2;\n" + typedef
    patched, merged = (inserted(text, "int one = 1;\n", typedef) for text in (old, new))
    assert kinds("k.cu", old, patched, new, merged) == [DOUBLED]
    short = "return;\n"
    assert kinds("k.cu", old, old + short, short + old, short + old + short) == []


def test_lines_to_remove_that_upstream_only_moved() -> None:
    old = "start(x)\nremove_old_kernels(x)\nfinish(x)\n"
    patched = "start(x)\nfinish(x)\n"
    moved = "start(x)\nfinish(x)\nif y:\n    remove_old_kernels(x)\n"
    assert kinds("a.py", old, patched, moved, moved) == [REMAINING]
    assert kinds("a.py", old, patched, patched + "z = 1\n", patched + "z = 1\n") == []


@pytest.mark.parametrize("path", BLOCKS)
def test_a_removal_that_upstream_made_in_another_function(path: str) -> None:
    old = block(path, "first", BODY) + block(path, "second", BODY)
    patched = block(path, "first", BODY[1:]) + block(path, "second", BODY)
    moved = block(path, "second", BODY[1:]) + block(path, "first", BODY)
    assert kinds(path, old, patched, moved, moved) == [UNFINISHED]
    done = block(path, "second", BODY) + block(path, "first", BODY[1:])
    assert kinds(path, old, patched, done, done) == []
