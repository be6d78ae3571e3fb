"""Commands in messages are whole: they can be pasted into a shell."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from winvllm_build import data
from winvllm_build.patchset import advice


def test_a_command_names_what_differs_from_the_default(tmp_path: Path) -> None:
    assert advice.command("apply", "v1", "--restore", tree=tmp_path) == (
        f"winvllm-build apply v1 --restore --tree {tmp_path}"
    )
    assert advice.command("status", "v1", root=data.patches_root()) == "winvllm-build status v1"
    assert advice.command("status", "v1", root=tmp_path, target="cutlass") == (
        f"winvllm-build status v1 --target cutlass --patches {tmp_path}"
    )


@pytest.mark.parametrize("word", ["*.py", "C:\\Program Files\\x", "a(b)", "plain/x-1.2_3", "with space"])
def test_a_quoted_word_stays_one_word(word: str) -> None:
    assert shlex.split(advice.quoted(word).replace("\\", "/")) == [word.replace("\\", "/")]


def test_many_files_are_named_by_their_folder(tmp_path: Path) -> None:
    files = [tmp_path / "v1" / f"{n}.patch" for n in range(advice.MOST_FILES + 1)]
    assert "checkout -- v1;" in advice.restore(files, root=tmp_path, tag="v1")
    assert "checkout -- v1/0.patch v1/1.patch;" in advice.restore(files[:2], root=tmp_path, tag="v1")


def test_a_folder_of_the_wheel_is_known(tmp_path: Path) -> None:
    package = tmp_path / "winvllm_build"
    (package / "_data" / "patches").mkdir(parents=True)
    assert data.is_installed(package / "_data" / "patches", package=package)
    assert not data.is_installed(tmp_path / "patches", package=package)
    assert not data.is_installed(data.patches_root())
