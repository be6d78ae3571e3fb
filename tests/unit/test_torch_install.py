"""The tag's torch for the toolkit that is found: which build, from where, and what a failing pip leaves."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from packaging.version import Version

from winvllm_build.build.torch_install import command, install
from winvllm_build.errors import ToolchainError

if TYPE_CHECKING:
    from winvllm_build.toolchain.toolchain import Toolchain


def test_torch_is_named_with_the_build_for_the_toolkit(toolchain: Toolchain) -> None:
    words = command(toolchain, "2.9.1")
    assert words[-1] == "torch==2.9.1+cu130"
    assert words[words.index("--extra-index-url") + 1].endswith("/cu130")
    older = replace(toolchain, cuda=replace(toolchain.cuda, version=Version("12.7.1")))
    assert command(older, "2.9.1")[-1] == "torch==2.9.1+cu126"


def test_a_mirror_replaces_the_known_index(toolchain: Toolchain) -> None:
    words = command(toolchain, "2.9.1", indexes=("file:///mirror",))
    assert [words[at + 1] for at, word in enumerate(words) if word == "--extra-index-url"] == ["file:///mirror"]


def test_a_torch_that_nobody_recorded_is_named_without_a_build(toolchain: Toolchain) -> None:
    assert command(toolchain, "9.9.9")[-1] == "torch==9.9.9"


def test_what_pip_said_last_is_told_with_the_command(tmp_path: Path) -> None:
    failing = tmp_path / "pip.py"
    failing.write_text("for n in range(20): print('line', n)\nraise SystemExit(1)", encoding="utf-8")
    heard: list[str] = []
    with pytest.raises(ToolchainError, match="line 19") as told:
        install((sys.executable, str(failing)), on_line=heard.append)
    assert len(heard) == 20
    assert "line 11" not in told.value.message
    assert str(failing) in str(told.value.fix)
