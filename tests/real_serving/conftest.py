"""One environment with the small engine for all."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.serving import ENGINE, environment_with


@pytest.fixture(scope="session")
def engine_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter that has a vLLM."""
    return environment_with(tmp_path_factory.mktemp("engine") / "env", ENGINE)
