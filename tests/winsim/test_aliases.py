"""The layer `wildcard-models` in a real server: other names where they are asked for, 404 for the rest."""

from __future__ import annotations

import json
import urllib.error
from pathlib import Path
from typing import Any

import pytest

from tests.winsim.conftest import Machines
from tests.winsim.test_serve import arguments, ask, free_port, wait_until_up

pytestmark = pytest.mark.network
LAYER = "wildcard-models"
VARIABLE = "VLLM_WIN32_MODEL_ALIASES"
HIDDEN, RANK = 64, 8
"""Of the test's model, and of the adapter."""


def adapter(folder: Path) -> Path:
    """A LoRA that changes nothing."""
    folder.mkdir()
    settings = {
        "peft_type": "LORA",
        "r": RANK,
        "lora_alpha": RANK,
        "target_modules": ["q_proj"],
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(settings), encoding="utf-8")
    name, size = "base_model.model.model.layers.0.self_attn.q_proj.lora_", HIDDEN * RANK * 4
    header = {
        f"{name}A.weight": {"dtype": "F32", "shape": [RANK, HIDDEN], "data_offsets": [0, size]},
        f"{name}B.weight": {"dtype": "F32", "shape": [HIDDEN, RANK], "data_offsets": [size, 2 * size]},
    }
    text = json.dumps(header).encode()
    content = len(text).to_bytes(8, "little") + text + bytes(2 * size)
    (folder / "adapter_model.safetensors").write_bytes(content)
    return folder


def called(port: int, name: str) -> str:
    """The model that answers to a name, or the status."""
    body = {"model": name, "prompt": "hello", "max_tokens": 2}
    try:
        found: Any = json.loads(ask(port, "/v1/completions", body))
    except urllib.error.HTTPError as error:
        return str(error.code)
    answered: str = found["model"]
    return answered


@pytest.mark.parametrize("tag", ["v0.14.1", "v0.33.0"])
def test_names_of_a_file_an_adapter_and_unknown_ones(
    tag: str, machine: Machines, model: Path, tmp_path: Path
) -> None:
    port, file = free_port(), tmp_path / "aliases.txt"
    file.write_bytes(b"gpt-*\r\nfriend*\r\nqwen3 = tiny\r\nlarge-* = large\r\n")
    lora = [
        "--enable-lora",
        "--max-lora-rank",
        str(RANK),
        "--lora-modules",
        f"friend={adapter(tmp_path / 'l')}",
    ]
    served = ["--served-model-name", "tiny", r"C:\Models\Tiny"]
    server = machine(tag, layers=[LAYER])
    with server.start(*arguments(model, port, *served, *lora), **{VARIABLE: str(file)}) as running:
        wait_until_up(running, port)
        names = ["tiny", "gpt-4o", "qwen3", "friendly", "friend", "c:/models/tiny/", "large-1", "other"]
        answers = [called(port, name) for name in names]
    assert answers == ["tiny", "tiny", "tiny", "tiny", "friend", "tiny", "404", "404"]


def test_without_the_variable_a_name_is_the_served_one(machine: Machines, model: Path) -> None:
    port = free_port()
    with machine("v0.33.0", layers=[LAYER]).start(*arguments(model, port)) as running:
        wait_until_up(running, port)
        assert [called(port, name) for name in ("tiny", "gpt-4o", "*")] == ["tiny", "404", "404"]
