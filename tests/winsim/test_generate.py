"""From `import vllm` to tokens on Windows' branches: not with upstream's files, but with the patched ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.winsim.conftest import Machines

pytestmark = pytest.mark.network
FIRST_ERROR = {
    "v0.14.1": "ModuleNotFoundError: No module named 'fcntl'",
    "v0.19.0": "ModuleNotFoundError: No module named 'uvloop'",
    "v0.19.1": "ModuleNotFoundError: No module named 'uvloop'",
    "v0.33.0": "ModuleNotFoundError: No module named 'uvloop'",
}
NO_GLOO = {"v0.14.1", "v0.19.0", "v0.19.1"}
"""Made for PyTorch 2.9 and 2.10, whose Gloo has no transport on Windows."""


@pytest.mark.parametrize("tag", FIRST_ERROR)
def test_upstreams_files_do_not_get_there(machine: Machines, model: Path, tag: str) -> None:
    ended = machine(tag, patched=False).run("winsim.generate", model)
    assert ended.status != 0
    assert FIRST_ERROR[tag] in ended.text
    assert ended.answer is None


@pytest.mark.parametrize("tag", FIRST_ERROR)
def test_patched_files_generate_what_transformers_generates(machine: Machines, model: Path, tag: str) -> None:
    wanted = json.loads((model / "expected.json").read_text(encoding="utf-8"))
    # CUDA's platform asks for NCCL, which no PyTorch for Windows has; nor has this one
    ended = machine(tag).run(
        "winsim.generate", model, WINSIM_BACKEND="nccl", WINSIM_GLOO=str(int(tag not in NO_GLOO))
    )
    assert ended.status == 0, ended.text[-3000:]
    assert ended.answer["tokens"] == wanted["tokens"]
    assert ended.answer["in_process"]
    assert ended.answer["backends"] == (["fake"] if tag in NO_GLOO else ["gloo"])
    assert {"vllm.distributed.parallel_state", "vllm.env_override", "vllm.v1.engine.core_client"} <= {
        module for module, name in ended.answer["asked"] if name == "sys.platform"
    }
