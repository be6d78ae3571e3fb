"""The client of `chat` against small servers of real sockets, and what a conversation keeps."""

from __future__ import annotations

import _thread
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from winvllm_build.errors import EngineError, UsageError
from winvllm_build.serving.client import ChatClient, Piece, Sampling, base_url
from winvllm_build.serving.conversation import Conversation

SILENT_SECONDS = 10.0
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
KEY = "sekret"


class Server(threading.Thread):
    """Answers one request with these bytes, and stays on the line for a while unless the client hangs up."""

    def __init__(self, answer: bytes, *, stays: bool = False) -> None:
        super().__init__(daemon=True)
        self.answer, self.stays = answer, stays
        self.asked, self.hung_up = threading.Event(), threading.Event()
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"

    def run(self) -> None:
        with self.socket, self.socket.accept()[0] as line:
            line.settimeout(SILENT_SECONDS)
            got = b""
            while b"messages" not in got:
                got += line.recv(65536)
            line.sendall(self.answer)
            self.asked.set()
            if self.stays and not line.recv(65536):
                self.hung_up.set()


@contextmanager
def client(server: Server) -> Iterator[ChatClient]:
    server.start()
    found = ChatClient(server.address, api_key=None)
    try:
        yield found
    finally:
        found.close()


def answered(*chunks: object) -> list[Piece]:
    events = b"".join(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks)
    with client(Server(HEAD + events + b"data: [DONE]\n\n")) as one:
        return list(one.chat("m", [], Sampling()))


@pytest.mark.parametrize("answer", [b"", HEAD], ids=["before its first byte", "before its first token"])
def test_ctrl_c_is_heard_while_a_server_says_nothing(answer: bytes) -> None:
    """`interrupt_main` wakes no `recv`, which is what Ctrl-C is on Windows."""
    server = Server(answer, stays=True)
    with client(server) as one:

        def interrupt() -> None:
            server.asked.wait(SILENT_SECONDS)
            time.sleep(0.2)  # by now it waits
            _thread.interrupt_main()

        threading.Thread(target=interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            list(one.chat("m", [], Sampling()))
    assert server.hung_up.wait(SILENT_SECONDS)


def test_chunks_of_other_shapes() -> None:
    def chunk(**delta: object) -> object:
        return {"choices": [{"delta": delta}]}

    found = answered(
        {"error": None, "choices": [{"delta": {"content": "a"}}]},
        chunk(content=["b"]), chunk(content=3), {"choices": None}, {"choices": ["x"]}, {"choices": 1}, {},
        {"choices": [{"delta": "x", "finish_reason": "stop"}], "usage": []}, chunk(reasoning_content="c"),
    )  # fmt: skip
    assert "".join(piece.text for piece in found) == "a"
    assert "".join(piece.reasoning for piece in found) == "c"
    assert [piece.finish for piece in found if piece.finish] == ["stop"]
    for wrong in ([1], 1, "error", None):
        with pytest.raises(EngineError, match="what is no answer"):
            answered(wrong)


def test_keys_and_addresses_are_checked_and_not_told() -> None:
    assert not list(_secrets_told(f"{KEY}\nx"))
    assert not list(_secrets_told(f"{KEY}é"))
    server = Server(HEAD)
    server.start()
    one = ChatClient(f"http://user:{KEY}@{server.address}/v1/chat/completions", api_key=f"{KEY}\r\n")
    assert one.url == f"http://{server.address}"
    with pytest.raises(EngineError, match="the server hung up"):
        list(one.chat("m", [], Sampling()))
    one.close()
    for address in (f"http://u:{KEY}@a..b:1", f"http://u:{KEY}@", f"ftp://u:{KEY}@a", f"http://u:{KEY}@a:b"):
        with pytest.raises(UsageError, match="is no address") as caught:
            base_url(address)
        assert KEY not in str(caught.value)
    for address in ("a:1", "http://a:1/v1/", "a:1/v1/chat/completions", "a:1/v1/models/", " a:1 "):
        assert base_url(address) == "http://a:1"
    assert base_url("https://[::1]:8/sub/v1") == "https://[::1]:8/sub"


def _secrets_told(key: str) -> Iterator[str]:
    with pytest.raises(UsageError) as caught:
        ChatClient("a", api_key=key)
    if KEY in str(caught.value):
        yield str(caught.value)


def test_sampling_is_checked() -> None:
    for wrong in (float("nan"), float("inf"), -1.0):
        with pytest.raises(UsageError, match=r"--temperature .* is out of range"):
            Sampling(temperature=wrong)
    for wrong in (float("nan"), 0.0, 1.1):
        with pytest.raises(UsageError, match=r"--top-p .* is out of range"):
            Sampling(top_p=wrong)
    with pytest.raises(UsageError, match="--max-tokens 0 is out of range"):
        Sampling(max_tokens=0)
    assert Sampling(temperature=0.0, top_p=1.0, max_tokens=1).as_data() == {
        "max_tokens": 1, "temperature": 0.0, "top_p": 1.0,
    }  # fmt: skip


def test_what_is_asked_again() -> None:
    talk = Conversation()
    with pytest.raises(UsageError, match="nothing was asked"):
        talk.again()
    talk.answered(talk.ask("first"), "1")
    talk.ask("second")  # and no answer comes
    again = talk.again()
    assert [turn["content"] for turn in talk.messages(again)] == ["first", "1", "second"]
    talk.answered(again, "2")
    again = talk.again()  # nor now
    assert [turn["content"] for turn in talk.messages(again)] == ["first", "1", "second"]
    assert [turn["content"] for turn in talk.turns] == ["first", "1", "second", "2"]
    talk.answered(talk.again(), "3")
    assert [turn["content"] for turn in talk.turns] == ["first", "1", "second", "3"]
    talk.ask("third")
    talk.clear()
    with pytest.raises(UsageError, match="nothing was asked"):
        talk.again()


def test_a_file_of_others_is_not_saved_over(tmp_path: Path) -> None:
    talk, file, own = Conversation(), tmp_path / "notes.md", tmp_path / "own.md"
    file.write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="exists already"):
        talk.save(str(file), "m", over=False)
    assert file.read_text(encoding="utf-8") == "mine"
    talk.save(str(own), "m", over=False)
    talk.answered(talk.ask("q"), "a")
    talk.save(str(own), "m", over=False)
    talk.save(str(file), "m", over=True)
    assert (
        file.read_text(encoding="utf-8")
        == own.read_text(encoding="utf-8")
        == "## user\n\nq\n\n## assistant\n\na\n\n"
    )
    for wrong in ("~nobody-of-that-name/x", "a\0b", str(tmp_path), str(tmp_path / "no" / "x")):
        with pytest.raises(UsageError):
            talk.save(wrong, "m", over=False)
