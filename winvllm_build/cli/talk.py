"""The chat at a terminal: lines in, answers out as they come, Ctrl-C for the answer and not for the chat."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from typing_extensions import assert_never

from winvllm_build.cli import render
from winvllm_build.errors import InterruptedRunError, UsageError, WinvllmError
from winvllm_build.legible import harmless
from winvllm_build.serving.client import ChatClient, Sampling
from winvllm_build.serving.conversation import HELP, Asked, Command, Conversation, Line, read

PROMPT: Final = "> "
MORE: Final = ". "
END: Final = "."


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer, or the part of it that came.

    Attributes:
        whole: whether the server ended it.
        finish: why it did.
    """

    text: str
    reasoning: str
    whole: bool
    finish: str | None = None
    usage: Mapping[str, int] | None = None

    def as_data(self, model: str) -> dict[str, Any]:
        return {
            "content": self.text,
            "finish_reason": self.finish,
            "model": model,
            "reasoning": self.reasoning or None,
            "stopped": not self.whole,
            "usage": self.usage,
        }


@dataclass(slots=True, kw_only=True)
class Talk:
    """One chat with one model."""

    client: ChatClient
    model: str
    sampling: Sampling
    conversation: Conversation

    def run(self) -> None:
        """Until /exit, the end of input or two Ctrl-C at the prompt."""
        _edit_lines()
        render.note(f"{self.model} at {self.client.url}; /help lists the commands, /exit ends")
        warned = False
        while True:
            try:
                text = input(PROMPT)
                warned = False
                if not self._heard(text):
                    return
            except EOFError:
                render.out("")
                return
            except KeyboardInterrupt:  # also one that came just after an answer's last word
                render.out("")
                if warned:
                    return
                render.note("once more ends the chat")
                warned = True

    def _heard(self, text: str) -> bool:
        """Do what a line says; False when it ends the chat. What goes wrong is told, and the chat goes on."""
        try:
            line = read(text)
            if line.command is not None:
                return self._obey(line)
            self._heard_text(line.text)
        except InterruptedRunError:
            raise
        except WinvllmError as problem:
            render.error(problem, as_json=False)
        return True

    def _heard_text(self, text: str) -> None:
        if text:
            self.ask(self.conversation.ask(text), shown=True)

    def _obey(self, line: Line) -> bool:
        command = line.command
        match command:
            case None | Command.HELP:
                render.out(HELP)
            case Command.CLEAR:
                self.conversation.clear()
                render.note("forgotten")
            case Command.SYSTEM:
                self._system(line.text)
            case Command.RETRY:
                self.ask(self.conversation.again(), shown=True)
            case Command.MULTILINE:
                self._heard_text(_several_lines())
            case Command.SAVE | Command.SAVE_OVER:
                self._save(line.text, over=command is Command.SAVE_OVER)
            case Command.EXIT:
                return False
            case _:
                assert_never(command)
        return True

    def _save(self, name: str, *, over: bool) -> None:
        if not name:
            raise UsageError("/save needs a file", fix="/save chat.md")
        self.conversation.save(name, self.model, over=over)
        render.note(f"written: {name}")

    def _system(self, text: str) -> None:
        if text:
            self.conversation.system = text
        render.note(f"system: {self.conversation.system or 'nothing'}")

    def ask(self, asked: Asked, *, shown: bool) -> Answer:
        """Ask, and show the answer as it comes; Ctrl-C keeps what came of it.

        Raises:
            WinvllmError: the server refuses or fails; what came before stands.
        """
        pieces = self.client.chat(self.model, self.conversation.messages(asked), self.sampling)
        text, reasoning, finish, usage, whole = "", "", None, None, True
        try:
            for piece in pieces:
                text += piece.text
                reasoning += piece.reasoning
                finish, usage = piece.finish or finish, piece.usage or usage
                if shown:
                    _show(piece.reasoning, thought=True)
                    _show(piece.text)
        except KeyboardInterrupt:
            whole = False
        finally:
            pieces.close()  # the server stops when its reader has gone
            if shown:
                render.out("")
        answer = Answer(text=text, reasoning=reasoning, whole=whole, finish=finish, usage=usage)
        if text:
            self.conversation.answered(asked, text)
        if shown:
            _say_end(answer)
        return answer


def _show(text: str, *, thought: bool = False) -> None:
    """Exactly what came; at a terminal what would move its cursor or change its colours is written out."""
    stream = sys.stderr if thought else sys.stdout
    if text:
        stream.write("\n".join(map(harmless, text.split("\n"))) if stream.isatty() else text)
        stream.flush()


def _say_end(answer: Answer) -> None:
    if not answer.whole:
        render.note("stopped")
    elif answer.finish == "length":
        render.note("cut off: its tokens are used up (--max-tokens, or the server's --max-model-len)")


def _several_lines() -> str:
    """Lines until one that is a dot; Ctrl-C forgets them."""
    lines = []
    try:
        while (line := input(MORE)) != END:
            lines.append(line)
    except EOFError:
        pass
    except KeyboardInterrupt:
        render.out("")
        return ""
    return "\n".join(lines).strip()


def _edit_lines() -> None:
    """Arrow keys and the lines before, where Python has them; bytes that are no text end no chat."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    if sys.platform == "win32":
        return  # its console edits lines itself
    with contextlib.suppress(ImportError):  # a Python may be built without
        import readline

        readline.set_auto_history(True)
