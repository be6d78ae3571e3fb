"""The Python that the fallback server runs in, a small model, and one server for most of the tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fallback.served import Served, environment, served

MAKE = "sh scripts/runtime_environment.sh"
EMULATION = Path(__file__).resolve().parents[1] / "winsim" / "emulation"
ARGUMENTS = [
    *("--served-model-name", "tiny"),
    *("--max-model-len", "256"),
    *("--dtype", "float32"),
    *("--max-num-seqs", "8"),
]


def chosen(test_cache: Path) -> Path | None:
    """The Python that was named, tests/winsim's, which has more than is asked for, or these tests' own."""
    for variable in ("WINVLLM_TEST_RUNTIME_PYTHON", "WINVLLM_TEST_WINSIM_PYTHON"):
        if os.environ.get(variable):
            return Path(os.environ[variable])
    for name in ("winsim", "runtime"):  # the order in which scripts/test.sh makes them
        if (test_cache / name / f"{name}.state").is_file():
            return test_cache / name / "bin" / "python"
    return None


def why_not(test_cache: Path, name: str, make: str) -> str:
    """What scripts/test.sh was told when it tried to make an environment, or what to do."""
    log = test_cache / f"{name}.log"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    return next((line for line in lines if "error: " in line), make)


@pytest.fixture(scope="session")
def interpreter(test_cache: Path) -> Path:
    """A Python with what `winvllm-build[fallback]` asks for, and the openai client."""
    found = chosen(test_cache)
    if found is None:
        pytest.skip(f"no environment with PyTorch and transformers: {why_not(test_cache, 'runtime', MAKE)}")
    return found


@pytest.fixture(scope="session")
def model(interpreter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen3 with what transformers generates from it (expected.json)."""
    folder = tmp_path_factory.mktemp("model")
    made = {**environment(), "PYTHONPATH": str(EMULATION), "WINSIM": "0"}
    subprocess.run([interpreter, "-m", "winsim.tiny_model", folder], check=True, env=made, timeout=300)
    return folder


@pytest.fixture(scope="session")
def server(interpreter: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(interpreter, tmp_path_factory.mktemp("server"), model, *ARGUMENTS) as running:
        yield running
