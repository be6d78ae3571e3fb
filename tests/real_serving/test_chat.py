"""`chat` against a real server of real processes: at a terminal (a pty), through pipes, and its refusals."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.serving import END_SECONDS, TOOL, UP_SECONDS, Running, model, tool
from winvllm_build.cli.talk import PROMPT
from winvllm_build.errors import InterruptedRunError

pytestmark = pytest.mark.skipif(os.name == "nt", reason="pseudo terminals are POSIX'")


@contextmanager
def served(
    engine_python: Path, tmp_path: Path, *words: str, **behaviour: object
) -> Iterator[tuple[str, Path]]:
    """A running `serve`: its address, and the model's folder."""
    folder = model(tmp_path / "tiny", **behaviour)
    command = ("serve", folder, "--python", engine_python, "--port", "0")
    with tool(tmp_path / "server", *command, *words) as running:
        yield running.url(), folder
        running.stop(signal.SIGTERM)


def asked(tmp_path: Path, *words: str, typed: bytes | None = None, code: int = 0) -> Running:
    """A chat that ends by itself."""
    with tool(tmp_path / "chat", "chat", *words, typed=typed) as running:
        assert running.popen.wait(END_SECONDS) == code, running.told
        return running


@dataclass(slots=True)
class Terminal:
    """A chat at a terminal: what is typed, and what is seen.

    Between two prompts the terminal echoes what is typed into the answer, keeps Ctrl-V for itself, and makes
    a signal of Ctrl-C: only what is typed at a prompt means the same each time.
    """

    child: int
    master: int
    seen: str = ""

    def type(self, text: str | bytes) -> None:
        os.write(self.master, text.encode() if isinstance(text, str) else text)

    def say(self, text: str | bytes, told: str) -> None:
        """Type at a prompt; that is seen, and the next prompt."""
        before = len(self.seen)
        self.type(text)
        self.prompted(told, after=before)

    def prompted(self, told: str, *, after: int = 0) -> None:
        self.wait_for(lambda seen: told in seen[after:] and seen.endswith(PROMPT))

    def wait_for(self, seen: Callable[[str], bool]) -> None:
        end = time.monotonic() + UP_SECONDS
        while not seen(self.seen):
            assert time.monotonic() < end, self.seen
            time.sleep(0.02)

    def read(self) -> None:
        content = b""
        while True:
            try:
                block = os.read(self.master, 4096)
            except OSError:  # the other end is closed
                return
            content += block
            self.seen = content.decode("utf-8", "ignore")

    def ended(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])


@contextmanager
def terminal(*words: str, cwd: Path) -> Iterator[Terminal]:
    import pty  # noqa: PLC0415 - Windows has none

    child, master = pty.fork()
    if not child:  # the new process, at its own terminal
        os.chdir(cwd)
        os.execv(sys.executable, [sys.executable, "-c", TOOL, "chat", *words])  # noqa: S606 - the tool itself
    found = Terminal(child=child, master=master)
    reader = threading.Thread(target=found.read, daemon=True)
    reader.start()
    try:
        yield found
    finally:
        try:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(master)


def test_a_conversation_at_a_terminal(engine_python: Path, tmp_path: Path) -> None:
    """The small engine answers with all that was said to it, so the history is seen."""
    with served(engine_python, tmp_path, split=1) as (url, _), terminal("--url", url, cwd=tmp_path) as chat:
        chat.prompted("/help lists")
        chat.say("naïve 你好\n", "naïve 你好\r\nnaïve 你好\r\n")
        chat.say("second\n", "naïve 你好 | naïve 你好 | second")
        chat.say("/system be short\n", "system: be short")
        chat.say("/retry\n", "be short | naïve 你好 | naïve 你好 | second")
        chat.say("\x16\x1b[31m red\n", "| ^[[31m red")  # as a model may answer
        chat.say(b"caf\xe9 latin\n", "^[[31m red | caf")  # no UTF-8: what is made of it is readline's
        chat.say("/clear\n", "forgotten")
        chat.say("/multi\nline 1\n/line 2\n.\n", "be short | line 1\r\n/line 2")
        chat.say("/sav x\n", 'did you mean "/save"')
        chat.say("/save talk.json\n", "written: talk.json")
        chat.say("/save talk.md\n", "written: talk.md")
        chat.type("/exit\n")
        assert chat.ended() == 0
    saved = json.loads((tmp_path / "talk.json").read_text(encoding="utf-8"))
    answer = "be short | line 1\n/line 2"
    assert [turn["content"] for turn in saved["messages"]] == ["be short", "line 1\n/line 2", answer]
    assert (
        (tmp_path / "talk.md").read_text(encoding="utf-8").startswith("## system\n\nbe short\n\n## user\n\n")
    )


def test_ctrl_c_stops_the_answer_and_not_the_chat(engine_python: Path, tmp_path: Path) -> None:
    says = " ".join(f"word{i}" for i in range(200))
    with (
        served(engine_python, tmp_path, says=says, delay=0.02) as (url, folder),
        terminal("--url", url, cwd=tmp_path) as chat,
    ):
        chat.prompted("/help lists")
        chat.type("go\n")
        chat.wait_for(lambda seen: "word3" in seen)
        chat.say("\x03", "stopped")
        chat.wait_for(lambda _: (folder / "cancelled").exists())  # the server heard of it
        chat.say("/save part.json\n", "written: part.json")
        chat.say("\x03", "once more ends")
        chat.type("\x03")
        assert chat.ended() == 0
    kept = json.loads((tmp_path / "part.json").read_text(encoding="utf-8"))["messages"][1]["content"]
    assert says.startswith(kept)
    assert "word3" in kept


def test_one_question_and_its_answer_as_json(engine_python: Path, tmp_path: Path) -> None:
    with served(engine_python, tmp_path, "--api-key", "abc") as (url, _):
        words = ("--url", f"{url}/v1/", "--api-key", "abc", "--message", "Sum up:")
        found = asked(tmp_path, *words, "--system", "s", typed="line ü\n".encode())
        assert found.printed == "s | Sum up:\n\nline ü\n"
        found = asked(tmp_path, *words, "--system", os.fsdecode(b"caf\xe9"))
        assert found.printed == "caf\ufffd | Sum up:\n", "a byte that is no UTF-8"
        found = asked(tmp_path, *words, "--json")
        assert json.loads(found.printed) == {
            "content": "Sum up:", "finish_reason": "stop", "model": "tiny", "reasoning": None,
            "stopped": False,
            "usage": {"prompt_tokens": 5, "completion_tokens": 7},
        }  # fmt: skip
        refused = asked(tmp_path, "--url", url, "--message", "x", "--api-key", "other", code=2)
        assert "asks for another key: Unauthorized" in refused.told
        refused = asked(tmp_path, *words, "--model", "tony", code=2)
        assert 'no model "tony"; did you mean "tiny"' in refused.told


def test_a_stopped_answer_is_one_document(engine_python: Path, tmp_path: Path) -> None:
    with (
        served(engine_python, tmp_path, says="word " * 500, delay=0.02) as (url, folder),
        tool(tmp_path / "chat", "chat", "--url", url, "--message", "x", "--json") as running,
    ):
        running.wait_for((folder / "begun").exists)
        time.sleep(0.3)  # a few pieces
        assert running.stop() == InterruptedRunError.exit_code
        answer = json.loads(running.printed)
        assert answer["stopped"] is True
        assert answer["content"].startswith("wo")
        assert "the answer was stopped" in running.told


def test_a_model_is_served_as_long_as_the_chat_lasts(engine_python: Path, tmp_path: Path) -> None:
    folder = model(tmp_path / "own")
    environment = engine_python.parent.parent
    with tool(
        tmp_path / "chat", "chat", folder, "--message", "hello", variables={"VIRTUAL_ENV": str(environment)}
    ) as running:
        assert running.popen.wait(END_SECONDS) == 0, running.told
    assert running.printed == "hello\n"
    assert (folder / "asked").exists()  # and it was stopped in order


def test_an_engine_that_dies_in_a_chat_leaves_its_words(engine_python: Path, tmp_path: Path) -> None:
    folder = model(tmp_path / "own", crashes=True)
    words = (str(folder), "--message", "hello")
    found = asked(tmp_path, *words, "--python", str(engine_python), code=18)
    log = re.search(r"its output: (?P<file>\S+winvllm-chat-\S+\.log)$", found.told, re.MULTILINE)
    assert log is not None
    assert "naïve 你好 loading" in Path(log["file"]).read_text(encoding="utf-8")
    Path(log["file"]).unlink()
    refused = asked(tmp_path, "--message", "x", "--python", str(engine_python), code=2)
    assert "for a server that is started" in refused.told


def test_an_answer_that_breaks_off(engine_python: Path, tmp_path: Path) -> None:
    with served(engine_python, tmp_path, breaks=True) as (url, _):
        found = asked(tmp_path, "--url", url, "--message", "hello", code=18)
    assert found.printed == "he\n"
    assert "the answer broke off: the engine died" in found.told


def test_what_is_no_server(tmp_path: Path) -> None:
    for words, code, said in (
        (("--url", "http://127.0.0.1:1", "--message", "x"), 18, "no server answers"),
        (("--url", "ftp://a", "--message", "x"), 2, "is no address"),
        (("--message", ""), 2, "nothing to ask"),
        (("a", "--url", "b", "--message", "x"), 2, "MODEL is served here"),
    ):
        assert said in asked(tmp_path, *words, code=code).told
