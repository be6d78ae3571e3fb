"""A sealed home for each check."""

from __future__ import annotations

from pathlib import Path

import pytest

from winvllm_build.workspace import HOME_VARIABLE, Workspace


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The workspace, which the variable names too."""
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "home"))
    return Workspace(root=tmp_path / "home")
