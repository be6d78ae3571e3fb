"""The data folders are found from a wheel and from a checkout, and nowhere else."""

from __future__ import annotations

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
    assert "pip install" in (caught.value.fix or "")


def test_this_checkout_is_complete(checkout: Path) -> None:
    assert data.patches_root() == checkout / "patches"
    assert data.profiles_root() == checkout / "profiles"
