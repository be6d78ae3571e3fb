"""The data folders are found from a wheel and from a checkout, and nowhere else."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from winvllm_build import data
from winvllm_build.errors import UsageError


def package_in(folder: Path) -> Path:
    package = folder / "winvllm_build"
    package.mkdir(parents=True)
    return package


def test_a_wheel_carries_its_own_data(tmp_path: Path) -> None:
    package = package_in(tmp_path)
    (package / "_data" / "patches").mkdir(parents=True)
    (tmp_path / "patches").mkdir()
    (tmp_path / "pyproject.toml").touch()
    assert data.locate("patches", package=package) == package / "_data" / "patches"


def test_a_checkout_has_the_data_beside_the_package(tmp_path: Path) -> None:
    package = package_in(tmp_path)
    (tmp_path / "patches").mkdir()
    (tmp_path / "pyproject.toml").touch()
    assert data.locate("patches", package=package) == tmp_path / "patches"


def test_a_folder_of_that_name_beside_an_installed_package_is_not_taken(tmp_path: Path) -> None:
    package = package_in(tmp_path / "site-packages")
    (tmp_path / "site-packages" / "patches").mkdir()
    with pytest.raises(UsageError, match="shipped patches are missing") as caught:
        data.locate("patches", package=package)
    assert str(package) in caught.value.message
    assert str(caught.value.fix).endswith('install --force-reinstall ".", in a checkout of winvllm-build')


def test_what_installs_it_names_the_checkout_that_runs(tmp_path: Path) -> None:
    package = package_in(tmp_path / "a checkout")
    pip = f"{sys.executable} -m pip install"
    elsewhere = f'{pip} ".[cache]", in a checkout of winvllm-build'
    assert data.installing(extra="cache", package=package) == elsewhere
    (package.parent / "pyproject.toml").touch()
    assert data.installing(extra="cache", package=package) == f'{pip} -e "{package.parent}[cache]"'
    other = data.installing("--no-deps", python=Path("other"), package=package)
    assert other == f'other -m pip install --no-deps "{package.parent}"'


def test_nobody_is_sent_to_a_package_index_for_it(checkout: Path) -> None:
    named = (
        "*.md",
        "docs/**/*.md",
        "winvllm_build/**/*.py",
        "winvllm_build/**/*.toml",
        "tests/real_build/*.py",
    )
    places = [file for pattern in named for file in checkout.glob(pattern)]
    index = re.compile(r"pip install[^\n`;]*[\s\"']winvllm-build\b(?!:| [a-z])")
    assert len(places) > 100
    told = [file.name for file in places if index.search(file.read_text(encoding="utf-8"))]
    assert told == []
    assert index.search('pip install --no-deps "winvllm-build[cache]"')


def test_this_checkout_is_complete(checkout: Path) -> None:
    assert data.patches_root() == checkout / "patches"
    assert data.profiles_root() == checkout / "profiles"
