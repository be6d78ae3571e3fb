"""`vllm serve` on Windows' branches: its engine in the same process or a spawned one; errors, Ctrl-C."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.winsim.conftest import Machines
from tests.winsim.trees import Started

pytestmark = pytest.mark.network
TAGS = ("v0.14.1", "v0.19.0", "v0.33.0")
NEWEST = [*(pytest.param(tag, marks=pytest.mark.long) for tag in TAGS[:-1]), TAGS[-1]]
"""Every tag, of which only the newest is in the continuous check."""
APART_OR_NOT = [
    *(pytest.param(tag, False, id=f"{tag}-one process") for tag in TAGS),
    *(pytest.param(tag, True, id=f"{tag}-two processes", marks=pytest.mark.long) for tag in TAGS[:-1]),
    pytest.param(TAGS[-1], True, id=f"{TAGS[-1]}-two processes"),
]
UP_SECONDS, END_SECONDS = 300, 60
APART = {"VLLM_ENABLE_V1_MULTIPROCESSING": "1"}
"""Asks for an engine process of its own."""
NO_WEIGHTS = "Cannot find any model weights"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def arguments(model: Path, port: int, *more: str) -> list[str]:
    given = (
        f"--host 127.0.0.1 --port {port} --max-model-len 256 --enforce-eager --dtype float32 --max-num-seqs 8"
    )
    return ["serve", str(model), "--served-model-name", "tiny", *given.split(), *more]


def ask(port: int, path: str, body: dict[str, object] | None = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data=data, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - our own server
        found: bytes = response.read()
    return found


def wait_until_up(server: Started, port: int) -> None:
    end = time.monotonic() + UP_SECONDS
    while time.monotonic() < end and server.popen.poll() is None:
        try:
            ask(port, "/health")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
        else:
            return
    raise AssertionError(server.text[-3000:])


@pytest.mark.parametrize(("tag", "apart"), APART_OR_NOT)
def test_a_server_completes_streams_and_ends_at_ctrl_c(
    machine: Machines, model: Path, tag: str, *, apart: bool
) -> None:
    golden = json.loads((model / "expected.json").read_text(encoding="utf-8"))
    port = free_port()
    with machine(tag).start(*arguments(model, port), **(APART if apart else {})) as server:
        wait_until_up(server, port)
        assert ("(EngineCore" in server.text) == apart
        asked: dict[str, object] = {
            "model": "tiny",
            "temperature": 0,
            "ignore_eos": True,
            "return_token_ids": True,
        }
        for prompt, tokens in zip(golden["prompts"], golden["tokens"], strict=True):
            body = {**asked, "prompt": prompt, "max_tokens": len(tokens)}
            found: Any = json.loads(ask(port, "/v1/completions", body))
            assert found["choices"][0]["token_ids"] == tokens
        messages = [{"role": "user", "content": "naïve 你好"}]
        body = {**asked, "messages": messages, "max_tokens": 4, "stream": True}
        events = ask(port, "/v1/chat/completions", body).decode().split("\n\n")
        assert events[-2:] == ["data: [DONE]", ""]
        with pytest.raises(urllib.error.HTTPError, match="404"):
            ask(port, "/v1/completions", {**asked, "model": "other", "prompt": "x"})
        children = server.children()
        assert any("EngineCore" in " ".join(child.cmdline()) for child in children) == apart
        server.process.send_signal(signal.SIGINT)
        assert server.popen.wait(END_SECONDS) == 0
        assert psutil.wait_procs(children, timeout=END_SECONDS)[1] == []


@pytest.mark.parametrize("apart", [False, True], ids=["one process", "two processes"])
@pytest.mark.parametrize("tag", NEWEST)
def test_an_engine_that_dies_while_starting_is_noticed(
    machine: Machines, model: Path, tmp_path: Path, tag: str, *, apart: bool
) -> None:
    without_weights = tmp_path / "without-weights"
    shutil.copytree(model, without_weights, ignore=shutil.ignore_patterns("*.safetensors"))
    with machine(tag).start(*arguments(without_weights, free_port()), **(APART if apart else {})) as server:
        assert server.popen.wait(UP_SECONDS) != 0
        assert NO_WEIGHTS in server.text
        assert ("Engine core initialization failed" in server.text) == apart


def test_a_killed_engine_ends_the_server(machine: Machines, model: Path) -> None:
    port = free_port()
    with machine(TAGS[-1]).start(*arguments(model, port), **APART) as server:
        wait_until_up(server, port)
        engine = next(child for child in server.children() if "EngineCore" in " ".join(child.cmdline()))
        engine.kill()
        body = {"model": "tiny", "prompt": "hello", "max_tokens": 4}
        with pytest.raises((urllib.error.HTTPError, urllib.error.URLError, ConnectionError)):
            ask(port, "/v1/completions", body)
        server.popen.wait(END_SECONDS)
