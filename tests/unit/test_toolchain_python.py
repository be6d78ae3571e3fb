"""The target Python: the running one, a named one, one without headers, one that is none."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from tests import toolchain_fakes as fakes
from winvllm_build import process
from winvllm_build.errors import ToolchainError
from winvllm_build.index import PlatformTag
from winvllm_build.toolchain import python
from winvllm_build.toolchain.request import ToolchainRequest
from winvllm_build.workspace import Workspace

LINUX, WINDOWS = PlatformTag.LINUX_X86_64, PlatformTag.WINDOWS_AMD64
ANSWER = (
    '{"version": "3.12.4", "implementation": "IMPLEMENTATION", "bits": 64, "prefix": "/v", "base": "BASE", '
    '"include": "INCLUDE", "sites": ["/v/lib"], "torch": null, "jinja2": null}'
)


def request(executable: Path | None = None, version: str = "") -> ToolchainRequest:
    return ToolchainRequest(
        python=executable, python_version=SpecifierSet(version), architectures=("8.6",), torch_version="2.9.1"
    )


def interpreter(tmp_path: Path, *, implementation: str = "cpython") -> Path:
    answer = (
        ANSWER.replace("IMPLEMENTATION", implementation)
        .replace("BASE", str(tmp_path / "base"))
        .replace("INCLUDE", str(tmp_path / "include"))
    )
    return fakes.script(tmp_path / "python3", f"cat <<'END'\n{answer}\nEND")


def find(asked: ToolchainRequest, tmp_path: Path, system: PlatformTag = LINUX) -> python.TargetPython:
    return python.find_python(
        asked, workspace=Workspace(root=tmp_path / "workspace"), system=system, env=os.environ
    )


def test_auto_is_the_running_interpreter(tmp_path: Path) -> None:
    found = find(request(), tmp_path)
    assert found.executable.samefile(sys.executable)
    assert found.version == Version(".".join(map(str, sys.version_info[:3])))
    assert (found.include / "Python.h").is_file()
    assert found.extra_path == ()
    assert found.library is None


def test_headers_are_missing(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match=r"has no .*Python\.h") as caught:
        find(request(interpreter(tmp_path)), tmp_path)
    assert caught.value.fix is not None
    assert "apt install python3.12-dev" in caught.value.fix
    assert "uv python install 3.12" in caught.value.fix


def test_windows_needs_the_import_library_of_the_base_installation(tmp_path: Path) -> None:
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "Python.h").touch()
    with pytest.raises(ToolchainError, match=r"python312\.lib") as caught:
        find(request(interpreter(tmp_path)), tmp_path, WINDOWS)
    assert caught.value.fix is not None
    assert "winget install Python.Python.3.12" in caught.value.fix
    (tmp_path / "base" / "libs").mkdir(parents=True)
    (tmp_path / "base" / "libs" / "python312.lib").touch()
    assert find(request(interpreter(tmp_path)), tmp_path, WINDOWS).library is not None


def test_a_python_without_jinja2_gets_ours(tmp_path: Path) -> None:
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "Python.h").touch()
    (folder,) = find(request(interpreter(tmp_path)), tmp_path).extra_path
    assert sorted(path.name for path in folder.iterdir()) == ["jinja2", "markupsafe"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    code = "import jinja2; print(jinja2.__file__); print(jinja2.Template('{{ a }}').render(a='<b>'))"
    done = process.capture([sys.executable, "-S", "-c", code], env=environment)
    assert done.text.splitlines() == [str(folder / "jinja2" / "__init__.py"), "<b>"]


@pytest.mark.parametrize(
    ("version", "message"),
    [("<3.12,>=3.10", "this tag supports <3.12,>=3.10"), (">=3.13", "is Python 3.12.4")],
)
def test_a_version_the_tag_does_not_support(tmp_path: Path, version: str, message: str) -> None:
    with pytest.raises(ToolchainError, match=message):
        find(request(interpreter(tmp_path), version), tmp_path)


def test_another_implementation(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError, match="not a 64-bit CPython"):
        find(request(interpreter(tmp_path, implementation="pypy")), tmp_path)


@pytest.mark.parametrize("body", ["echo hello", "echo '[]'", "echo 'no such option' >&2; exit 2"])
def test_something_that_is_no_python(tmp_path: Path, body: str) -> None:
    with pytest.raises(ToolchainError, match="does not answer like Python"):
        find(request(fakes.script(tmp_path / "python3", body)), tmp_path)


@pytest.mark.parametrize(
    ("name", "why"),
    [("gone/python3", "does not exist"), ("folder", "is a folder"), ("text", "cannot be executed")],
)
def test_an_interpreter_that_is_not_there(tmp_path: Path, name: str, why: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").touch()
    with pytest.raises(ToolchainError, match=f"the Python .*{name} {why}") as caught:
        find(request(tmp_path / name), tmp_path)
    assert caught.value.fix == "name an interpreter that is there, as a file or by its name on PATH"


def test_an_interpreter_that_is_not_on_the_path(tmp_path: Path) -> None:
    fakes.script(tmp_path / "python-of-ours", "exit 0")
    with pytest.raises(ToolchainError, match="the Python python-of-ours is not on PATH"):
        python.require(Path("python-of-ours"))
    python.require(Path("python-of-ours"), path=str(tmp_path))
