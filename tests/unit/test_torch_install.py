"""The tag's torch for the toolkit that is found: which build, from where, and what a failing pip leaves."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from packaging.version import Version

from winvllm_build.build.torch_install import command, install
from winvllm_build.errors import ToolchainError

PYTHON = Path(sys.executable)


@pytest.mark.parametrize(("cuda", "build"), [("13.0.88", "cu130"), ("12.7.1", "cu126"), ("12.9", "cu128")])
def test_torch_is_named_with_the_build_for_the_toolkit(cuda: str, build: str) -> None:
    words = command(PYTHON, "2.9.1", Version(cuda))
    assert words[-1] == f"torch==2.9.1+{build}"
    assert words[words.index("--extra-index-url") + 1].endswith(f"/{build}")


def test_a_mirror_replaces_the_known_index() -> None:
    words = command(PYTHON, "2.9.1", Version("13.0"), indexes=("file:///mirror",))
    assert [words[at + 1] for at, word in enumerate(words) if word == "--extra-index-url"] == [
        "file:///mirror"
    ]


def test_a_torch_that_nobody_recorded_is_named_with_the_toolkits_build() -> None:
    assert command(PYTHON, "9.9.9", Version("13.0"))[-1] == "torch==9.9.9+cu130"


def test_what_pip_said_last_is_told_with_the_command(tmp_path: Path) -> None:
    failing = tmp_path / "pip.py"
    failing.write_text("for n in range(20): print('line', n)\nraise SystemExit(1)", encoding="utf-8")
    heard: list[str] = []
    with pytest.raises(ToolchainError, match="line 19") as told:
        install((sys.executable, str(failing)), on_line=heard.append)
    assert len(heard) == 20
    assert "line 11" not in told.value.message
    assert str(failing) in str(told.value.fix)
