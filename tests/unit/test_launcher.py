"""The launcher's pure parts: what a command writes, Windows command lines, exit codes; what it imports."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winvllm_build.build.engine import commandline, launcher, protocol
from winvllm_build.build.plan.words import split_windows
from winvllm_build.workspace import Workspace

NVCC = ("nvcc", "-forward-unknown-to-host-compiler", "-MD", "-MF", "a.d", "-c", "a.cu", "-o", "out/a.o")
CL = (
    "cl.exe", "/nologo", "-DX", "/Foout\\a.obj", "/FdCMakeFiles\\x.dir\\", "/FS", "-c", "C:\\src\\a.cpp",
)  # fmt: skip
LINK = ("link.exe", "/nologo", "a.obj", "/out:_C.pyd", "/implib:_C.lib", "/dll", "/pdb:_C.pdb")


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gate_launcher", launcher.SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SCRIPT = _load()


@pytest.mark.parametrize(
    ("command", "system", "expected"),
    [
        (NVCC, "linux", ["a.d", "out/a.o"]),
        (NVCC, "win32", ["a.d", "out/a.o"]),
        (CL, "win32", ["out\\a.obj"]),
        (LINK, "win32", ["_C.pyd"]),
        (("c++", "/Fool/main.cpp", "-c", "-Force"), "linux", []),
        (("c++", "-o"), "linux", []),
    ],
)
def test_the_files_that_a_command_writes(
    command: Sequence[str],
    system: str,
    expected: list[str],
) -> None:
    windows = system == "win32"
    assert list(SCRIPT.outputs(command, windows=windows)) == expected
    last = expected[-1] if expected else ""
    assert commandline.output_of(command, windows=windows).replace("/", "\\") == last.replace("/", "\\")


@given(st.lists(st.text(st.characters(exclude_characters="\0\r\n", exclude_categories=["Cs"])), min_size=1))
def test_a_windows_command_line_means_the_same_words(words: list[str]) -> None:
    assert SCRIPT.quoted(words) == subprocess.list2cmdline(words)


@pytest.mark.parametrize(
    "words",
    [
        ["cl.exe", '-DNAME="a b"', "/FoC:\\out dir\\", "x.cpp"],
        ["nvcc", '-Xcompiler="/EHsc /Zc:preprocessor"', "C:\\Program Files\\x\\", ""],
    ],
)
def test_a_windows_command_line_is_read_back(words: list[str]) -> None:
    assert list(split_windows(SCRIPT.quoted(words))) == words


@pytest.mark.parametrize(
    ("code", "signed"), [(0, 0), (2, 2), (0xC0000409, -1073740791), (0xC000001D, -1073741795), (137, 137)]
)
def test_a_windows_exit_code_survives(code: int, signed: int) -> None:
    assert SCRIPT.signed(code) == signed
    assert signed & 0xFFFFFFFF == code


def test_both_halves_speak_one_protocol() -> None:
    assert (SCRIPT.VARIABLE, SCRIPT.VERSION) == (protocol.VARIABLE, protocol.VERSION)


def test_it_imports_nothing_that_costs_time_and_nothing_of_the_package() -> None:
    tree = ast.parse(launcher.SOURCE.read_text(encoding="utf-8"))
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {n.name for node in top if isinstance(node, ast.Import) for n in node.names}
    names |= {node.module or "" for node in top if isinstance(node, ast.ImportFrom)}
    assert names == {"_signal", "_socket", "os", "sys"}


def test_it_is_laid_down_once_and_its_path_names_neither_checkout_nor_release(tmp_path: Path) -> None:
    workspace = Workspace(root=tmp_path)
    script = launcher.install(workspace)
    before = script.stat()
    assert launcher.install(workspace) == script
    assert (script.stat().st_mtime_ns, script.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert script.relative_to(tmp_path).as_posix() == f"gate/{sys.implementation.cache_tag}/launcher.pyc"
    script.write_bytes(b"torn")
    assert launcher.install(workspace).read_bytes() == launcher.compiled(launcher.SOURCE)


def test_a_command_that_does_not_exist_says_so(tmp_path: Path) -> None:
    words = launcher.definitions(launcher.install(Workspace(root=tmp_path)))["CMAKE_CXX_COMPILER_LAUNCHER"]
    done = subprocess.run(
        [*words.split(";"), "no-such-compiler", "-c", "x.cpp"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 127
    assert "no-such-compiler" in done.stderr
    assert "Traceback" not in done.stderr
