"""One running server and many kinds of clients: the openai package, the slow, the impatient, the large."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.fallback.served import Served, environment

CLIENT = Path(__file__).resolve().parent / "programs" / "openai_client.py"
GREEDY = {"model": "tiny", "temperature": 0, "ignore_eos": True}
LONG = {**GREEDY, "prompt": "hello", "max_tokens": 240}
PATIENCE = 60.0
MEANWHILE = 12
"""Answers of /health during three large requests; a few come between them, whatever blocks."""


@pytest.fixture
def client(server: Served) -> Any:  # noqa: ANN401 - httpx2's client, closed at the end
    with httpx2.Client(base_url=server.base, timeout=PATIENCE) as opened:
        yield opened


def counted(client: httpx2.Client, name: str) -> float:
    """A figure of /metrics; 0 before it was first counted."""
    lines = client.get("/metrics").text.splitlines()
    return float(next((line.rpartition(" ")[2] for line in lines if line.startswith(name)), 0))


ABORTED = 'vllm:request_success_total{finished_reason="abort"'


def by_hand(body: bytes) -> bytes:
    """A request as a client's socket sends it."""
    head = f"POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Content-Type: application/json\r\n\r\n".encode() + body


def wait_for(reached: Any, seconds: float = PATIENCE) -> None:  # noqa: ANN401 - a condition
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_greedy_tokens_are_those_of_generate(client: httpx2.Client, model: Path) -> None:
    golden = json.loads((model / "expected.json").read_text(encoding="utf-8"))
    prompts = {"prompt": golden["prompts"], "max_tokens": 16, "return_token_ids": True}
    found = client.post("/v1/completions", json={**GREEDY, **prompts}).json()
    assert [choice["token_ids"] for choice in found["choices"]] == golden["tokens"]


@pytest.fixture(scope="module")
def heard(server: Served, interpreter: Path) -> dict[str, Any]:
    """32 requests of four kinds at once through the openai package, and some of them again alone."""
    ended = subprocess.run(
        [interpreter, CLIENT, server.base], capture_output=True, check=False, env=environment(), timeout=300
    )
    assert ended.returncode == 0, ended.stderr.decode()
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


def test_the_openai_package_is_answered_whole_and_streamed(heard: dict[str, Any]) -> None:
    assert heard["models"] == ["tiny"]
    streamed, whole = heard["mixed"]["streamed"], heard["mixed"]["whole"]
    assert len(streamed) == len(whole) == 8
    assert streamed == whole
    assert {tuple(each["roles"]) for each in streamed} == {("assistant",)}
    assert all(each["ends"] in (["stop"], ["length"]) and each["tokens"] for each in streamed)


def test_a_request_among_many_is_answered_as_alone(heard: dict[str, Any]) -> None:
    assert heard["alone"] == heard["mixed"]["whole"][:3]
    assert heard["seeded alone"] == heard["mixed"]["seeded"][:3]
    assert all(first != second for first, second in heard["mixed"]["seeded"])


def test_a_refusal_has_the_package_s_own_error(heard: dict[str, Any]) -> None:
    unknown = {"status": 404, "kind": "NotFoundError"}
    too_long = {"status": 400, "kind": "BadRequestError"}
    assert heard["mixed"]["refused"] == [too_long, unknown] * 4


def test_a_stream_comes_token_by_token(client: httpx2.Client) -> None:
    body = {**LONG, "stream": True, "allowed_token_ids": list(range(40, 60))}
    with client.stream("POST", "/v1/completions", json=body) as response:
        events = [line for line in response.iter_lines() if line.startswith("data: {")]
    assert len(events) == 240


def test_a_closed_stream_is_cancelled(client: httpx2.Client) -> None:
    before, made = counted(client, ABORTED), counted(client, "vllm:generation_tokens_total")
    with client.stream("POST", "/v1/completions", json={**LONG, "stream": True}) as response:
        for _ in zip(range(3), response.iter_lines(), strict=False):
            pass
    wait_for(lambda: counted(client, ABORTED) == before + 1)
    assert counted(client, "vllm:num_requests_running") == 0
    assert counted(client, "vllm:generation_tokens_total") - made < 240


def test_a_client_that_is_gone_is_not_answered(server: Served, client: httpx2.Client) -> None:
    before = counted(client, ABORTED)
    body = json.dumps({**LONG, "n": 8, "temperature": 1}).encode()
    with socket.create_connection(("127.0.0.1", int(server.base.rpartition(":")[2]))) as sock:
        sock.sendall(by_hand(body))
        wait_for(lambda: counted(client, "vllm:num_requests_running") == 8)
    wait_for(lambda: counted(client, "vllm:num_requests_running") == 0)
    assert counted(client, ABORTED) > before


def test_a_slow_reader_holds_nobody_up(server: Served, client: httpx2.Client) -> None:
    body = json.dumps({**LONG, "stream": True, "n": 8, "temperature": 1}).encode()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect(("127.0.0.1", int(server.base.rpartition(":")[2])))
        sock.sendall(by_hand(body))
        first = sock.recv(64)
        found = client.post("/v1/completions", json={**GREEDY, "prompt": "hello", "max_tokens": 4})
        assert found.status_code == 200
        rest = first
        while part := sock.recv(65536):
            rest += part
            if b"[DONE]" in rest[-100:]:
                break
    assert rest.count(b'"finish_reason":"length"') == 8


def test_a_large_body_is_refused_and_health_answers_meanwhile(client: httpx2.Client, server: Served) -> None:
    seen, done = [], threading.Event()

    def look() -> None:
        with httpx2.Client(base_url=server.base, timeout=PATIENCE) as own:
            while not done.is_set():
                seen.append(own.get("/health").status_code)

    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(look)
        text = "naïve 你好 " * 70_000  # 1 MB
        large = client.post("/v1/completions", json={**GREEDY, "prompt": text})
        tokens = client.post("/v1/completions", json={**GREEDY, "prompt": [5] * 300_000})
        words = client.post("/tokenize", json={"model": "tiny", "prompt": text})
        done.set()
        looking.result()
    assert [large.status_code, tokens.status_code, words.status_code] == [400, 400, 200]
    assert "maximum context length" in large.json()["error"]["message"]
    assert words.json()["count"] > 300_000
    assert set(seen) == {200}
    assert len(seen) > MEANWHILE


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("response_format", {"type": "json_object"}),
        ("tools", [{"type": "function", "function": {"name": "f"}}]),
        ("prompt_logprobs", 1),
        ("structured_outputs", {"choice": ["a"]}),
        ("bad_words", ["x"]),
        ("truncate_prompt_tokens", 5),
        ("use_beam_search", True),
    ],
)
def test_an_option_that_the_engine_has_not_is_refused_by_name(
    client: httpx2.Client, option: str, value: object
) -> None:
    messages = [{"role": "user", "content": "x"}]
    found = client.post("/v1/chat/completions", json={**GREEDY, "messages": messages, option: value})
    assert found.status_code == 400
    error = found.json()["error"]
    assert error["param"] == option
    assert f"{option} is not supported by the fallback engine" in error["message"]


def test_an_option_that_asks_for_nothing_is_no_offence(client: httpx2.Client) -> None:
    neutral = {"response_format": {"type": "text"}, "tools": [], "tool_choice": "none", "priority": 0}
    body = {
        **GREEDY,
        **neutral,
        "messages": [{"role": "user", "content": "x"}],
        "max_tokens": 1,
        "user": "me",
    }
    assert client.post("/v1/chat/completions", json=body).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": "x", "logit_bias": {"5": float("nan")}},
        {"prompt": "x", "logit_bias": {"5": float("inf")}},
        {"prompt": "x", "temperature": float("nan")},
        {"prompt": "x", "top_p": float("nan")},
        {"prompt": [[1]] * 20, "n": 100, "temperature": 1},
    ],
)
def test_what_would_hurt_the_engine_is_refused(client: httpx2.Client, body: dict[str, object]) -> None:
    content = json.dumps({**GREEDY, **body}).encode()
    found = client.post("/v1/completions", content=content, headers={"Content-Type": "application/json"})
    assert found.status_code == 400
    assert found.json()["error"]["type"] == "BadRequestError"


@pytest.mark.parametrize(
    ("content", "status", "word"),
    [
        ('{"prompt": [' + '["a"],' * 200_000 + '["a"]]}', 400, "body.prompt"),
        ('{"prompt": "' + "x" * 9_000_000 + '"}', 413, "at most 8388608"),
        ('{"prompt": ' + "[" * 100_000, 400, "JSON"),
        ('{"prompt": ["a"' + ', "a b"' * 2000 + "]}", 400, "1024 answers"),
        ('{"prompt": "x", "logit_bias": {"' + "1" * 5000 + '": 1}}', 400, "logit_bias"),
        ('{"prompt": "x", "model": "\\ud800"}', 400, "surrogates"),
        ('{"prompt": "x", "request_id": "\\ud800", "stream": true}', 400, "surrogates"),
        ('{"prompt": "x", "model": "~nobody.here/x"}', 404, "does not exist"),
        ('{"prompt": "x", "model": "file://[x"}', 404, "does not exist"),
        ('{"prompt": "x", "allowed_token_ids": [2], "min_tokens": 2}', 400, "min_tokens"),
    ],
    ids=["lists", "size", "depth", "answers", "digits", "name", "id", "home", "address", "ends"],
)
def test_a_body_that_is_meant_to_hurt_is_refused(
    client: httpx2.Client, content: str, status: int, word: str
) -> None:
    found = client.post("/v1/completions", content=content, headers={"Content-Type": "application/json"})
    assert found.status_code == status
    assert found.json()["error"]["code"] == status
    assert word in found.json()["error"]["message"]


def test_extreme_numbers_leave_an_answer(client: httpx2.Client) -> None:
    barred = {"allowed_token_ids": [40, 41], "temperature": 1, "max_tokens": 4, "return_token_ids": True}
    for extreme in ({"repetition_penalty": 1e-300}, {"temperature": 1e300}, {"logit_bias": {"42": 1e300}}):
        body = {"prompt": "hello", **barred, **extreme}
        (choice,) = client.post("/v1/completions", json=body).json()["choices"]
        assert set(choice["token_ids"]) <= {40, 41}


def test_an_end_that_is_asked_for_is_the_reason_though_ends_are_ignored(client: httpx2.Client) -> None:
    body = {**GREEDY, "prompt": "hello", "logit_bias": {"2": 100}}
    (asked,) = client.post("/v1/completions", json={**body, "stop_token_ids": [2]}).json()["choices"]
    assert (asked["finish_reason"], asked["stop_reason"]) == ("stop", 2)
    least = {**body, "min_tokens": 3, "max_tokens": 4, "return_token_ids": True}
    (late,) = client.post("/v1/completions", json=least).json()["choices"]
    assert 2 not in late["token_ids"][:3]
    assert late["token_ids"][3] == 2


def test_a_tool_is_not_forgotten_where_tokens_are_counted(client: httpx2.Client) -> None:
    chat = {"messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function"}]}
    found = client.post("/tokenize", json=chat)
    assert (found.status_code, found.json()["error"]["param"]) == (400, "tools")


def test_another_content_type_is_refused(client: httpx2.Client) -> None:
    found = client.post("/v1/completions", content=b"{}", headers={"Content-Type": "text/plain"})
    assert found.status_code == 400
    assert found.json()["error"]["type"] == "Bad Request"


def test_version_and_ping(client: httpx2.Client) -> None:
    assert client.get("/ping").status_code == client.post("/ping").status_code == 200
    assert "transformers" in client.get("/version").json()["version"]


def test_a_load_leaves_nothing_behind(client: httpx2.Client) -> None:
    with ThreadPoolExecutor(8) as pool, contextlib.ExitStack() as stack:
        each = [
            stack.enter_context(httpx2.Client(base_url=client.base_url, timeout=PATIENCE)) for _ in range(8)
        ]
        body = {**GREEDY, "prompt": "hello", "max_tokens": 8}
        found = list(pool.map(lambda own: own.post("/v1/completions", json=body).status_code, each * 8))
    assert set(found) == {200}
    assert counted(client, "vllm:num_requests_running") == 0
