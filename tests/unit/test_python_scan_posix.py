"""The names that Windows' Python lacks, against the stubs that type checkers use."""

from __future__ import annotations

import ast
import sys
from importlib import import_module
from pathlib import Path

import pytest

from winvllm_build.audit.python.posix import lacks, modules, names, programs

mypy = pytest.importorskip("mypy")
STUBS = Path(mypy.__file__).parent / "typeshed" / "stdlib"
VERSION = (3, 12)
NO_MODULES_OF_TYPESHED = {"uvloop"}
UNIX_BUILDS = {"crypt", "curses", "dbm.gnu", "dbm.ndbm", "fcntl", "pty", "tty"}
"""Their stubs leave constants behind for Windows; the modules are not in its standard library."""

NO_HAZARDS = {"structseq", "final", "overload", "ReadableBuffer", "WriteableBuffer", "fwalk", "ACKNOWLEDGE"}
"""Helpers of the stubs, os.fwalk whose name says too little, and a constant of multiprocessing's own."""
FACTS = [
    ("os", "sched_yield"), ("os", "fork"), ("os", "geteuid"), ("os", "uname"), ("os", "O_DIRECT"),
    ("signal", "SIGKILL"), ("signal", "SIGUSR1"), ("socket", "AF_UNIX"), ("select", "poll"),
    ("mmap", "MAP_SHARED"),
    ("time", "clock_gettime"), ("asyncio", "start_unix_server"),
]  # fmt: skip


class Stub:
    """What a module has on one system."""

    def __init__(self, platform: str) -> None:
        self.platform = platform

    def names(self, module: str) -> set[str]:
        path = STUBS.joinpath(*module.split("."))
        file = path / "__init__.pyi" if path.is_dir() else path.with_suffix(".pyi")
        package = module if path.is_dir() else module.rpartition(".")[0]
        found: set[str] = set()
        self._block(ast.parse(file.read_text("utf-8")).body, found, package)
        return {name for name in found if not name.startswith("_")}

    def _block(self, body: list[ast.stmt], found: set[str], package: str) -> None:
        for node in body:
            match node:
                case ast.If():
                    value = self._holds(node.test)
                    self._block(node.body if value is not False else [], found, package)
                    self._block(node.orelse if value is not True else [], found, package)
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    found.add(name)
                case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                    found.add(name)
                case ast.ImportFrom():
                    self._imported(node, found, package)
                case _:
                    continue

    def _imported(self, node: ast.ImportFrom, found: set[str], package: str) -> None:
        for name in node.names:
            if name.name != "*":
                found.add(name.asname or name.name)
                continue
            base = node.module or ""
            found |= self.names(f"{package}.{base}" if node.level else base)

    def _holds(self, test: ast.expr) -> bool | None:
        match test:
            case ast.BoolOp(op=ast.And(), values=values):
                held = [self._holds(value) for value in values]
                return False if False in held else (None if None in held else True)
            case ast.BoolOp(values=values):
                held = [self._holds(value) for value in values]
                return True if True in held else (None if None in held else False)
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                if ast.unparse(left) == "sys.platform":
                    same = ast.literal_eval(right) == self.platform
                    return same if isinstance(operator, ast.Eq) else not same
                if ast.unparse(left) == "sys.version_info":
                    at_least = ast.literal_eval(right) <= VERSION
                    return at_least if isinstance(operator, ast.GtE) else not at_least
            case _:
                pass
        return None


@pytest.mark.parametrize("module", sorted(names()))
def test_the_names_are_those_of_the_stubs(module: str) -> None:
    missing = Stub("linux").names(module) - Stub("win32").names(module)
    own = {name for name in missing if name not in Stub("linux").names("typing")}
    listed = names()[module]
    assert listed <= own
    assert own - listed <= NO_HAZARDS


@pytest.mark.parametrize("module", sorted(modules() - NO_MODULES_OF_TYPESHED - UNIX_BUILDS))
def test_the_modules_are_empty_on_windows(module: str) -> None:
    ours, theirs = Stub("linux").names(module), Stub("win32").names(module)
    assert ours - theirs
    assert not {name for name in theirs if name.islower() and name not in Stub("linux").names("typing")} - {
        "structseq", "final", "sys", "struct_rusage",
    }  # fmt: skip


@pytest.mark.parametrize(("module", "name"), FACTS)
def test_this_machines_python_agrees(module: str, name: str) -> None:
    assert lacks(module, name)
    assert hasattr(import_module(module), name) is (sys.platform != "win32")


@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "kill"), ("os", "replace"), ("os", "O_BINARY"), ("signal", "SIGTERM"), ("signal", "SIGBREAK"),
     ("socket", "AF_INET"), ("socket", "SO_REUSEADDR"), ("time", "monotonic"), ("select", "select"),
     ("os", "X_OK"),
     ("mmap", "ACCESS_WRITE"), ("asyncio", "SelectorEventLoop")],
)  # fmt: skip
def test_what_windows_has_is_not_listed(module: str, name: str) -> None:
    assert not lacks(module, name)


def test_programs_of_windows_are_not_listed() -> None:
    assert not programs() & {"nvidia-smi", "cmake", "ninja", "git", "python", "nvcc", "where", "curl", "pip"}
