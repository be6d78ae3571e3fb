"""Windows' Python under Wine, where scripts/wine_environment.sh laid it down."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wine.machine import STATE, Machine
from winvllm_build.audit.scripts.trial import find_cmd
from winvllm_build.errors import ToolchainError
from winvllm_build.workspace import Workspace


@pytest.fixture(scope="session")
def machine(test_cache: Path) -> Iterator[Machine]:
    folder = Path(os.environ.get("WINVLLM_TEST_WINE") or test_cache / "wine")
    if not (folder / STATE).is_file():
        pytest.skip("no Windows Python for Wine: sh scripts/wine_environment.sh")
    try:
        cmd = find_cmd(Workspace(root=folder / "machine"))
    except ToolchainError as missing:
        pytest.skip(missing.message)  # the environment was made with another Wine, which is gone
    yield Machine(folder=folder, wine=cmd.wine)
    cmd.stop()
