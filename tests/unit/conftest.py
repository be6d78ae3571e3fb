"""Fixtures of several test modules of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from winvllm_build.cli import profiles


@pytest.fixture
def profile_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    """`profile` alone, in an empty folder, with nothing said in the environment."""
    for name in ("CUDA_HOME", "TORCH_CUDA_ARCH_LIST", "MAX_JOBS", "NVCC_THREADS", "CMAKE_BUILD_TYPE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    made = typer.Typer()
    profiles.register(made)
    return made
