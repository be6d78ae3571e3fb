"""`vllm serve` with its engine in its own process: many at once, clients that are slow or gone, its end."""

from __future__ import annotations

import http.client
import json
import socket
import time
import urllib.error
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.winsim.conftest import Machines
from tests.winsim.test_inproc import ASKED, read
from tests.winsim.test_serve import END_SECONDS, TAGS, arguments, ask, free_port, wait_until_up

pytestmark = [pytest.mark.network, pytest.mark.long]
SECONDS = 60
AT_ONCE = 32
KINDS = ("completion", "streamed", "chat", "chat streamed", "schema", "tokenize", "unknown model", "too long")
GONE, WHOLE = 4, 200
GENERATED = "vllm:generation_tokens_total"
LONG = {"model": "tiny", "prompt": "hello", "max_tokens": WHOLE, "ignore_eos": True, "stream": True}


def answer(port: int, name: str) -> tuple[int, object]:
    path, body = ASKED[name]
    try:
        return 200, read(ask(port, path, body).decode())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, read(error.read().decode())


def refused(port: int, body: bytes) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    found: dict[str, Any] = json.loads(response.read())
    connection.close()
    return response.status, found


def started_stream(port: int) -> socket.socket:
    """A stream of which only the beginning was read: its request runs."""
    body = json.dumps(LONG)
    head = f"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}"
    client = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
    client.sendall(f"{head}\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{body}".encode())
    text = b""
    while b"data: " not in text:
        text += client.recv(64)
    assert text.startswith(b"HTTP/1.1 200 OK")
    return client


def metric(port: int, name: str) -> float:
    lines = ask(port, "/metrics").decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def wait_for(port: int, name: str, value: float) -> None:
    end = time.monotonic() + SECONDS
    while metric(port, name) != value:
        assert time.monotonic() < end, name
        time.sleep(0.05)


@pytest.mark.parametrize("tag", TAGS)
def test_many_clients_and_an_engine_that_dies(machine: Machines, model: Path, tag: str) -> None:
    port = free_port()
    with machine(tag).start(*arguments(model, port, "--middleware", "winsim.dying.die")) as server:
        wait_until_up(server, port)
        # v0.14.1 pins memory, which a CPU cannot, where only some of a batch have a schema
        kinds = [name for name in KINDS if tag > "v0.19" or name != "schema"]
        alone = {name: answer(port, name) for name in kinds}
        names = [kinds[number % len(kinds)] for number in range(AT_ONCE)]
        with ThreadPoolExecutor(AT_ONCE) as clients:
            found = list(clients.map(lambda name: answer(port, name), names))
        assert [name for name, got in zip(names, found, strict=True) if got != alone[name]] == []

        text = b""
        with started_stream(port) as slow:
            assert answer(port, "chat") == alone["chat"]
            while part := slow.recv(256):
                text += part
        assert b"data: [DONE]" in text

        status, said = refused(port, b'{"model": "tiny", ')
        assert (status, said["error"]["code"]) == (400, 400)
        status, said = refused(port, json.dumps({"model": "tiny", "prompt": "x" * 2**20}).encode())
        assert (status, said["error"]["code"]) == (400, 400)

        before = metric(port, GENERATED)
        for _ in range(GONE):
            started_stream(port).close()
        wait_for(port, "vllm:num_requests_running", 0)
        assert 0 < metric(port, GENERATED) - before < GONE * WHOLE  # aborted, not answered to nobody
        assert answer(port, "completion") == alone["completion"]

        ask(port, "/die", {})
        code = 200  # which v0.14.1 calls its error
        try:
            ask(port, "/v1/completions", {**LONG, "stream": False})
        except urllib.error.HTTPError as error:
            code = error.code
            error.close()
        except ConnectionError:
            code = 500
        assert code == (200 if tag < "v0.19" else 500)
        server.popen.wait(END_SECONDS)
        assert "a step that fails" in server.text
