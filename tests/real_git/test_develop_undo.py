"""`develop --undo`: out of every environment that has the tree, and out of none that has another vLLM."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.wheel_forge import record as record_of
from winvllm_build.build import develop, editable, placed
from winvllm_build.build.placed import Record
from winvllm_build.errors import ToolchainError
from winvllm_build.git import Git
from winvllm_build.wheel.verify import find_uv

SO = "vllm/_C.abi3.so"
HAS = "import importlib.metadata as m; print(m.version('vllm'))"


def wheel(folder: Path, version: str, **files: str) -> Path:
    """A package called vllm that holds these files."""
    info = f"vllm-{version}.dist-info"
    content = {name: text.encode() for name, text in files.items()} | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    content[f"{info}/RECORD"] = record_of(content, info=info)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"vllm-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return file


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with one file put there, and the package beside it that installers are given."""
    folder = tmp_path / "a tree"
    (folder / "vllm").mkdir(parents=True)
    (folder / ".gitignore").write_text("*.so\n", encoding="utf-8")
    git = Git(folder)
    git.out("init", "--quiet")
    git.out("add", "--all")
    git.out("commit", "--quiet", "--message", "source")
    (folder / SO).write_bytes(b"built")
    beside = placed.beside(folder)
    wheel(beside, "1.0", **{"__editable__.pth": f"{folder}\n"})
    (beside / "pyproject.toml").write_text(editable.PROJECT, encoding="utf-8")
    (beside / "editable_backend.py").write_text(editable.BACKEND, encoding="utf-8")
    return folder


def environment(folder: Path, *install: str | Path) -> Path:
    """An environment without pip into which this was installed; its interpreter."""
    subprocess.run([find_uv(), "venv", "--quiet", folder], check=True, capture_output=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    command: list[str | Path] = [find_uv(), "pip", "install", "--quiet", "--no-deps", "--python", python]
    subprocess.run([*command, *install], check=True, capture_output=True)
    return python


def has(python: Path) -> bool:
    return subprocess.run([python, "-I", "-c", HAS], capture_output=True, check=False).returncode == 0


def note(tree: Path, *pythons: Path) -> None:
    digest = placed.digest(tree / SO)
    assert digest is not None
    record = Record(files={SO: digest}, pythons=tuple(map(str, pythons)), version="1.0")
    placed.write(placed.beside(tree), record)


def test_every_environment_of_ours_and_no_other(tree: Path, tmp_path: Path) -> None:
    ours = [environment(tmp_path / name, "--editable", placed.beside(tree)) for name in ("one", "two")]
    other = environment(tmp_path / "other", wheel(tmp_path, "2.0"))
    nobodys = environment(tmp_path / "editable of another", "--editable", another(tree, tmp_path))
    note(tree, ours[0], other, tmp_path / "gone" / "bin" / "python", nobodys, ours[1])
    told: list[str] = []
    assert develop.undo(tree, told.append) == (SO,)
    assert [has(python) for python in ours] == [False, False]
    assert [has(other), has(nobodys)] == [True, True]
    assert told == []
    assert not (tree / SO).exists()
    assert not placed.beside(tree).exists()


def test_what_was_changed_since_stays_and_is_not_counted(tree: Path) -> None:
    note(tree)
    (tree / SO).write_bytes(b"edited")
    told: list[str] = []
    assert develop.undo(tree, told.append) == ()
    assert told == [f"{SO} was changed since and stays"]
    assert (tree / SO).read_bytes() == b"edited"


def another(tree: Path, folder: Path) -> Path:
    """The same package for another tree."""
    made = folder / "another.develop"
    made.mkdir()
    for file in placed.beside(tree).glob("*.*"):
        (made / file.name).write_bytes(file.read_bytes())
    return made


def test_an_environment_that_keeps_it_is_asked_again(tree: Path, tmp_path: Path) -> None:
    stubborn = environment(tmp_path / "one", "--editable", placed.beside(tree))
    good = environment(tmp_path / "two", "--editable", placed.beside(tree))
    (listed,) = (tmp_path / "one").rglob("vllm-1.0.dist-info/RECORD")
    content = listed.read_bytes()
    listed.unlink()
    note(tree, stubborn, good)
    with pytest.raises(ToolchainError, match="vLLM stays installed") as caught:
        develop.undo(tree, lambda _: None)
    assert "then --undo again: uv pip uninstall" in str(caught.value.fix)
    assert not (tree / SO).exists()
    assert not has(good)
    assert placed.read(placed.beside(tree)) == Record(files={}, pythons=(str(stubborn),), version="1.0")
    listed.write_bytes(content)
    assert develop.undo(tree, lambda _: None) is not None
    assert not has(stubborn)
    assert develop.undo(tree, lambda _: None) is None


def test_an_egg_info_of_the_folder_that_one_is_in_is_no_installation(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = environment(tmp_path / "one", wheel(tmp_path, "2.0"))
    (tree / "vllm.egg-info").mkdir()
    (tree / "vllm.egg-info" / "PKG-INFO").write_text("Name: vllm\nVersion: 1.0\n", encoding="utf-8")
    monkeypatch.chdir(tree)
    monkeypatch.setenv("PYTHONPATH", str(tree))
    assert editable.installed_version(python, placed.beside(tree)) is None
