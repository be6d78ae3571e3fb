"""The folder of a toolkit as people name it."""

from __future__ import annotations

from pathlib import Path

import pytest

from winvllm_build.cuda_home import first_mark, holds_nvcc, is_there


def test_a_folder_that_cannot_be_looked_into_is_no_toolkit(tmp_path: Path) -> None:
    unreadable = tmp_path / ("x" * 5000)  # the system's own refusal, which a user with all rights gets too
    with pytest.raises(OSError, match="too long"):
        unreadable.stat()
    assert not holds_nvcc(unreadable)
    assert not is_there(unreadable)


def test_a_toolkit_of_either_system(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    assert not holds_nvcc(tmp_path)
    (tmp_path / "bin" / "nvcc.exe").touch()
    assert holds_nvcc(tmp_path)


@pytest.mark.parametrize(
    ("home", "mark"),
    [
        (r"C:\CUDA\v13.0", None),
        (r"C:\Program Files\CUDA", " "),
        ("C:/a&b", "&"),
        ("/usr/local/cuda-13.0", None),
        ("/opt/a\\b", "\\"),
        ("/opt/a b", " "),
        (r"\\server\share\cuda", None),
        (r"C:\PROGRA~1\NVIDIA~2", None),
    ],
)
def test_the_first_mark_that_cuts_flags(home: str, mark: str | None) -> None:
    assert first_mark(home) == mark
