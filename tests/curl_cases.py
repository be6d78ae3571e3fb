"""What curl asks of a server that speaks OpenAI's protocol, the fallback's or vLLM's own.

The model is called `tiny` and takes 256 tokens.
"""

from __future__ import annotations

import json
import subprocess
from typing import Final

from tests.curl import REFUSED, SECONDS, TIMED_OUT, Curl, wait_for

CHATS: Final = "/v1/chat/completions"
CHAT: Final = {
    "model": "tiny",
    "messages": [{"role": "user", "content": "naïve 你好"}],
    "temperature": 0,
    "ignore_eos": True,
    "max_tokens": 8,
}
WHOLE: Final = 200
ANSWERS: Final = 16
"""More than run at once, so that an answer to all of them takes its time on any machine."""
BY_CHANCE: Final = {"n": ANSWERS, "temperature": 1}
LONG: Final = {**CHAT, "max_tokens": WHOLE, "stream": True}
NO_SUCH_METHOD: Final = 405
RUNNING: Final = "vllm:num_requests_running"
GENERATED: Final = "vllm:generation_tokens_total"


def chats(curl: Curl) -> None:
    said = curl.post(CHATS, CHAT)
    assert (said.code, said.status, said.kind) == (0, 200, "application/json")
    (choice,) = said.json["choices"]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["content"]
    assert said.json["usage"]["completion_tokens"] == CHAT["max_tokens"]


def streams_as_it_comes(curl: Curl) -> None:
    """With `--no-buffer` events come while the request still runs, and are whole answers at their end."""
    whole = curl.post(CHATS, {**LONG, "stream": False}).json["choices"][0]["message"]["content"]
    command = curl.command(CHATS, "--no-buffer", *curl.sending({**LONG, **BY_CHANCE, "top_k": 1}))
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        first = running.stdout.readline()
        while_it_runs = curl.metric(RUNNING)
        rest = running.stdout.read().decode()
        assert running.wait(SECONDS) == 0
    assert first.startswith(b"data: {")
    assert while_it_runs > 0
    *events, last = [line.removeprefix("data: ") for line in (first.decode() + rest).split("\n") if line]
    assert last == "[DONE]"
    texts, ends = [""] * ANSWERS, []
    for choice in (choice for event in events for choice in json.loads(event)["choices"]):
        texts[choice["index"]] += choice["delta"].get("content") or ""
        ends += [choice["finish_reason"]] if choice["finish_reason"] else []
    assert texts == [whole] * ANSWERS
    assert ends == ["length"] * ANSWERS


def refuses(curl: Curl) -> None:
    """Malformed JSON, an unknown model, a body of 1 MB; with `--fail` curl's own status says so."""
    large = {**CHAT, "messages": [{"role": "user", "content": "x" * 2**20}]}
    for content, status in ((b'{"model": "tiny", ', 400), ({**CHAT, "model": "other"}, 404), (large, 400)):
        said = curl.post(CHATS, content)
        assert (said.code, said.status, said.kind) == (0, status, "application/json")
        assert said.json["error"]["code"] == status
        assert said.json["error"]["message"]
        assert curl.post(CHATS, content, "--fail").code == REFUSED


def waits_for_a_slow_client(curl: Curl) -> None:
    """Who takes 64 kB a second, and nothing while another asks, holds nobody up, and gets all of it."""
    body = {**LONG, **BY_CHANCE, "logprobs": True, "top_logprobs": 5, "max_tokens": 60}
    command = curl.command(CHATS, "--no-buffer", "--limit-rate", "64k", *curl.sending(body))
    with subprocess.Popen(command, stdout=subprocess.PIPE) as slow:
        assert slow.stdout is not None
        begun = slow.stdout.readline()
        other = curl.post(CHATS, CHAT).status
        still = slow.poll() is None
        rest = slow.stdout.read()
        assert slow.wait(SECONDS) == 0
    assert begun.startswith(b"data: {")
    assert (other, still) == (200, True)
    assert rest.count(b'"finish_reason":"length"') == ANSWERS
    assert rest.endswith(b"data: [DONE]\n\n")


def forgets_a_client_that_goes(curl: Curl) -> None:
    """`--max-time` ends curl in the middle of a stream; soon nothing runs, and the next is answered."""
    before = curl.metric(GENERATED)
    said = curl.post(CHATS, {**LONG, **BY_CHANCE}, "--no-buffer", "--max-time", "0.3")
    assert said.code == TIMED_OUT
    assert "[DONE]" not in said.text
    wait_for(lambda: curl.metric(RUNNING) == 0)
    assert curl.metric(GENERATED) - before < ANSWERS * WHOLE
    assert curl.post(CHATS, CHAT).status == 200


def knows_methods(curl: Curl) -> None:
    """Each path has its own, as an application of FastAPI says it: no HEAD beside GET."""
    head = curl("/health", "--head")
    assert (head.code, head.status) == (0, NO_SUCH_METHOD)
    assert "allow: get" in head.text.lower()
    for path, method in ((CHATS, "GET"), ("/health", "OPTIONS"), ("/health", "DELETE")):
        assert curl(path, "--request", method).status == NO_SUCH_METHOD, (path, method)


CASES: Final = (
    chats, streams_as_it_comes, refuses, waits_for_a_slow_client, forgets_a_client_that_goes, knows_methods,
)  # fmt: skip
