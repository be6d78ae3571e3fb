"""The wheel carries the package, the patch sets and the profiles, and nothing else of the repository."""

from __future__ import annotations

import os
import re
import sys
import zipfile
from pathlib import Path

import pytest

from winvllm_build import process
from winvllm_build.git import Git

pytestmark = pytest.mark.network

ROOTS = "from winvllm_build import data; print(data.patches_root()); print(data.profiles_root())"


def pip(cache: Path, *args: str | Path) -> None:
    command = [sys.executable, "-m", "pip", *args]
    done = process.capture(command, env={**os.environ, "PIP_CACHE_DIR": str(cache / "pip")})
    assert done.code == 0, f"{done.text}\n{done.error_text}"


def build_wheel(cache: Path, source: Path, folder: Path) -> Path:
    pip(cache, "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, source)
    return next(folder.glob("*.whl"))


def environment(folder: Path) -> Path:
    """A new environment without pip; its Python."""
    done = process.capture([sys.executable, "-m", "venv", "--without-pip", folder])
    assert done.code == 0, done.error_text
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def data_roots(python: Path, cwd: Path) -> list[Path]:
    done = process.capture([python, "-I", "-c", ROOTS], cwd=cwd)
    assert done.code == 0, done.error_text
    return [Path(line) for line in done.text.splitlines()]


def export(checkout: Path, folder: Path) -> Path:
    """The committed state of the checkout, whoever owns it, without its history."""
    archive = folder.with_suffix(".zip")
    take = ("archive", "--format=zip", f"--output={archive}", "HEAD")
    Git(checkout).out("-c", "safe.directory=*", *take)
    with zipfile.ZipFile(archive) as content:
        content.extractall(folder)
    return folder


@pytest.fixture
def clone(tmp_path: Path, checkout: Path) -> Path:
    """A repository of the committed state, in a folder with a blank in its name, without tags."""
    folder = export(checkout, tmp_path / "a clone")
    git = Git(folder)
    git.out("init", "--quiet")
    git.out("add", "--all", "--force")
    git.out("commit", "--quiet", "-m", "state")
    return folder


def shipped_name(tracked: str) -> str:
    """Where the wheel has a tracked file of the package or of the data folders."""
    return re.sub(r"^(patches|profiles)/", r"winvllm_build/_data/\1/", tracked)


def test_the_wheel_holds_exactly_the_package_and_its_data(
    tmp_path: Path, clone: Path, test_cache: Path
) -> None:
    wheel = build_wheel(test_cache, clone, tmp_path / "wheels")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tracked = (
        Git(clone).out("ls-files", "-z", "winvllm_build", "patches", "profiles").decode().split("\0")[:-1]
    )
    expected = {shipped_name(name) for name in tracked if not name.endswith(".gitattributes")}
    information = {name for name in names if ".dist-info/" in name}

    assert names - information == expected
    assert any(name.endswith(".patch") for name in expected)
    assert "winvllm_build/_data/profiles/quickstart.toml" in expected
    licences = {name.rpartition("/")[2] for name in information if "/licenses/" in name}
    assert licences == {"LICENSE", "NOTICE"}

    python = environment(tmp_path / "environment")
    pip(test_cache, "--python", python, "install", "--quiet", "--no-deps", wheel)
    patches, profiles = data_roots(python, tmp_path)
    assert patches.parts[-3:] == ("winvllm_build", "_data", "patches")
    assert (profiles / "quickstart.toml").is_file()
    assert clone not in patches.parents


def test_without_git_the_wheel_is_built_too(tmp_path: Path, checkout: Path, test_cache: Path) -> None:
    exported = export(checkout, tmp_path / "exported")
    wheel = build_wheel(test_cache, exported, tmp_path / "wheels")
    assert wheel.name.startswith("winvllm_build-0.")
    with zipfile.ZipFile(wheel) as built:
        assert "winvllm_build/_data/profiles/quickstart.toml" in built.namelist()


def test_an_editable_install_uses_the_data_of_the_checkout(
    tmp_path: Path, clone: Path, test_cache: Path
) -> None:
    python = environment(tmp_path / "environment")
    pip(test_cache, "--python", python, "install", "--quiet", "--no-deps", "--editable", clone)
    assert data_roots(python, tmp_path) == [clone / "patches", clone / "profiles"]
