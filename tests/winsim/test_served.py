"""`winvllm-build serve` with real engines, vLLM on Windows' branches and the fallback; OpenAI's client."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from tests.serving import END_SECONDS, add_vllm, tool
from tests.winsim.conftest import Machines
from tests.winsim.trees import EMULATION

pytestmark = pytest.mark.network
UP_SECONDS = 300
FLAGS = ("--max-model-len", "256", "--max-num-seqs", "8", "--dtype", "float32", "--port", "0")
FROM_OUTSIDE = ("HF_HUB_OFFLINE", "OMP_NUM_THREADS", "TORCHDYNAMO_DISABLE", "VLLM_CACHE_ROOT",
                "VLLM_CPU_KVCACHE_SPACE", "VLLM_CPU_OMP_THREADS_BIND", "VLLM_NO_USAGE_STATS",
                "WINSIM")  # fmt: skip
CLIENT = """
import json, sys
from openai import NotFoundError, OpenAI
client = OpenAI(base_url=sys.argv[1] + "/v1", api_key="none")
model = client.models.list().data[0].id
asked = dict(model=model, messages=[{"role": "user", "content": "naive 123"}], max_tokens=8, temperature=0)
whole = client.chat.completions.create(**asked)
parts = client.chat.completions.create(**asked, stream=True)
text = "".join(part.choices[0].delta.content or "" for part in parts if part.choices)
try:
    client.chat.completions.create(**{**asked, "model": "other"})
    refused = None
except NotFoundError as error:
    refused = error.status_code
print(json.dumps([model, whole.choices[0].message.content, text, whole.usage.completion_tokens, refused]))
"""


def environment_of(interpreter: Path, folder: Path, *paths: Path) -> Path:
    """An environment that sees the packages of another, and a vLLM in these folders."""
    subprocess.run([interpreter, "-m", "venv", "--without-pip", folder], check=True, timeout=60)
    (site,) = folder.glob("lib/*/site-packages")
    (packages,) = interpreter.parent.parent.glob("lib/*/site-packages")
    if paths:
        add_vllm(site, *paths, version="0.33.0+empty")
    (site / "packages.pth").write_text(f"{packages}\n", encoding="utf-8")
    return folder / "bin" / "python"


def serves(
    tmp_path: Path, python: Path, client: Path, model: Path, variables: Mapping[str, str], *words: str
) -> str:
    """Start it, let OpenAI's client talk with it, stop it by Ctrl-C; what it told."""
    command = ("serve", model, "--python", python, *FLAGS)
    with tool(tmp_path / "run", *command, *words, variables=variables) as running:
        url = running.url(UP_SECONDS)
        said = subprocess.run([client, "-c", CLIENT, url], check=True, stdout=subprocess.PIPE, timeout=120)
        name, whole, streamed, tokens, refused = json.loads(said.stdout)
        assert (name, tokens, refused) == (model.name, 8, 404)
        assert whole == streamed != ""
        family = running.family()
        assert running.stop(signal.SIGINT) == 0, running.told[-3000:]
        assert psutil.wait_procs(family, timeout=END_SECONDS)[1] == []
        with socket.socket() as tried:  # nobody listens; what is in TIME_WAIT keeps others out on Linux alone
            assert tried.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) != 0
        return running.told


@pytest.mark.parametrize("tag", ["v0.14.1", "v0.33.0"])
def test_vllm(machine: Machines, interpreter: Path, model: Path, tmp_path: Path, tag: str) -> None:
    found = machine(tag)
    python = environment_of(interpreter, tmp_path / "env", EMULATION, found.tree)
    outside = found.environment()
    variables = {name: outside[name] for name in FROM_OUTSIDE}
    told = serves(tmp_path, python, interpreter, model, variables, "--engine", "vllm", "--enforce-eager")
    assert "(EngineCore" not in told  # the engine is in the server's process


def test_the_fallback_engine(interpreter: Path, model: Path, tmp_path: Path) -> None:
    python = environment_of(interpreter, tmp_path / "env")
    variables = {**{name: "1" for name in FROM_OUTSIDE if name.startswith("HF")}, "OMP_NUM_THREADS": "1"}
    told = serves(tmp_path, python, interpreter, model, {**variables, "PATH": os.environ["PATH"]})
    assert "engine    transformers" in told
    assert "Traceback" not in told
