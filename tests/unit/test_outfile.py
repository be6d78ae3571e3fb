"""A file in a folder that is not there is refused before the work, and no folder is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from winvllm_build.cli.main import run


@pytest.mark.parametrize(
    "words",
    [
        ("report", "--html"),
        ("report", "--trace"),
        ("port", "--report", "v0.14.1..", "--html"),
        ("export", "v0.33.0", "--output"),
        ("profile", "detect", "--gpu", "RTX 3060,12GB,8.6", "--output"),
    ],
    ids=" ".join,
)
def test_no_folder_is_made_of_a_typing_error(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "nope" / "file"
    assert run([*words, str(file)]) == 2
    said = capsys.readouterr().err
    assert f"the folder of {file} does not exist" in said.replace("\n", "")
    assert f'mkdir "{file.parent}"' in said
    assert not file.parent.exists()


def test_a_folder_is_no_file_to_write(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["export", "v0.33.0", "--output", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err
