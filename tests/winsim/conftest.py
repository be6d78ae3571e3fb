"""The environment that has PyTorch, and the model that every engine gets."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.fallback.conftest import why_not
from tests.tag_trees import published
from tests.winsim.trees import EMULATION, Machine

MAKE = "sh scripts/winsim_environment.sh"
Machines = Callable[..., Machine]


@pytest.fixture(scope="session")
def interpreter(test_cache: Path) -> Path:
    """A Python with PyTorch and vLLM's requirements."""
    chosen = os.environ.get("WINVLLM_TEST_WINSIM_PYTHON")
    if chosen:
        return Path(chosen)
    folder = test_cache / "winsim"
    if not (folder / "winsim.state").is_file():
        reason = why_not(test_cache, "winsim", MAKE)
        pytest.skip(f"no environment with PyTorch and vLLM's requirements: {reason}")
    return folder / "bin" / "python"


@pytest.fixture(scope="session")
def model(interpreter: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen3 with what transformers generates from it (expected.json)."""
    folder = tmp_path_factory.mktemp("model")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(EMULATION), "WINSIM": "0"}
    subprocess.run([interpreter, "-m", "winsim.tiny_model", folder], check=True, env=environment, timeout=300)
    return folder


@pytest.fixture
def machine(
    interpreter: Path, test_cache: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Machines:
    def made(tag: str, *, patched: bool = True, emulated: bool = True, layers: Sequence[str] = ()) -> Machine:
        tree = published(tag, test_cache, patched=patched, layers=layers)
        scratch = tmp_path / f"{tag}-{int(patched)}{int(emulated)}"
        kept = tmp_path_factory.getbasetemp() / "vllm-cache" / f"{tree.name}-{int(emulated)}"
        return Machine(python=interpreter, tree=tree, tag=tag, scratch=scratch, emulated=emulated, kept=kept)

    return made
