"""A conversation: what was said, what is sent next, and the words that are commands."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from winvllm_build.errors import UsageError
from winvllm_build.suggest import did_you_mean
from winvllm_build.workspace import storage_errors, write_atomic

HALVES: Final = re.compile("[\ud800-\udfff]")


class Command(Enum):
    """What begins with a slash."""

    CLEAR = "/clear"
    SYSTEM = "/system"
    SAVE = "/save"
    SAVE_OVER = "/save!"
    RETRY = "/retry"
    MULTILINE = "/multi"
    HELP = "/help"
    EXIT = "/exit"


ALSO = {"/quit": Command.EXIT, "/bye": Command.EXIT, "/?": Command.HELP, "/reset": Command.CLEAR}
HELP = """\
/clear            forget what was said (the system prompt stays)
/system TEXT      say how it should answer; without a text: show it
/retry            ask the last question again
/multi            several lines until a line with a dot alone
/save FILE        the conversation as JSON, or as Markdown for a name that ends in .md
/save! FILE       the same over a file that this chat did not write
/exit             end; so does Ctrl-D (Ctrl-Z and Enter on Windows)
Ctrl-C stops an answer; at the prompt, twice, it ends the chat. A message that begins with / is written //."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a line means.

    Attributes:
        command: none for a message.
        text: the message, or what follows the command.
    """

    command: Command | None
    text: str


def read(line: str) -> Line:
    """The meaning of a line.

    Raises:
        UsageError: there is no such command.
    """
    text = line.strip()
    if text.startswith("//") or not text.startswith("/"):
        return Line(command=None, text=text.removeprefix("/") if text.startswith("//") else text)
    word, _, rest = text.partition(" ")
    known = {command.value: command for command in Command} | ALSO
    if word.lower() not in known:
        hint = did_you_mean(word, known)
        raise UsageError(f"no command {word}{hint}", fix="/help lists them; // begins a message with /")
    return Line(command=known[word.lower()], text=rest.strip())


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question that waits for its answer.

    Attributes:
        before: how many of the turns come before it; those after it give way to its answer.
    """

    text: str
    before: int


@dataclass(slots=True)
class Conversation:
    """The messages so far.

    Attributes:
        system: the prompt before all others; empty for none.
        turns: questions and answers in turn; a model is not shown a question without an answer.
        unanswered: the last question, while it has none.
        written: what this chat saved.
    """

    system: str = ""
    turns: list[dict[str, str]] = field(default_factory=list)
    unanswered: str | None = None
    written: set[Path] = field(default_factory=set)

    def ask(self, text: str) -> Asked:
        """A new question."""
        self.unanswered = text
        return Asked(text=text, before=len(self.turns))

    def again(self) -> Asked:
        """The last question, answered or not; an answer that it has stands until another has come.

        Raises:
            UsageError: there is none.
        """
        if self.unanswered is not None:
            return self.ask(self.unanswered)
        if not self.turns:
            raise UsageError("nothing was asked yet", fix="ask something first")
        return Asked(text=self.turns[-2]["content"], before=len(self.turns) - 2)

    def messages(self, asked: Asked) -> list[Mapping[str, str]]:
        """All that goes with a question."""
        question = {"role": "user", "content": asked.text}
        return _readable([*self._system(), *self.turns[: asked.before], question])

    def answered(self, asked: Asked, answer: str) -> None:
        self.unanswered = None
        self.turns[asked.before :] = [
            {"role": "user", "content": asked.text},
            {"role": "assistant", "content": answer},
        ]

    def clear(self) -> None:
        self.turns.clear()
        self.unanswered = None

    def save(self, name: str, model: str, *, over: bool) -> None:
        """Write it down.

        Args:
            name: a file; `~` is the user's folder.
            model: who answered.
            over: even if there is such a file that this chat did not write.

        Raises:
            UsageError: that is no place for a file, or the place of another.
            StorageError: it cannot be written.
        """
        file = _place(name)
        with storage_errors(str(file)):
            if not file.parent.is_dir():
                raise UsageError(f"the folder of {name} does not exist", fix=f"mkdir {file.parent}")
            if file.is_dir():
                raise UsageError(f"{name} is a folder", fix=f"/save {name}/chat.md")
            if not over and file not in self.written and os.path.lexists(file):
                raise UsageError(
                    f"{name} exists already", fix=f"another name, or /save! {name} to replace it"
                )
            write_atomic(file, self._text(file, model).encode())
        self.written.add(file)

    def _system(self) -> list[dict[str, str]]:
        return [{"role": "system", "content": self.system}] if self.system else []

    def _text(self, file: Path, model: str) -> str:
        messages = _readable([*self._system(), *self.turns])
        if file.suffix.lower() == ".md":
            return "".join(f"## {turn['role']}\n\n{turn['content']}\n\n" for turn in messages)
        return json.dumps({"model": model, "messages": messages}, ensure_ascii=False, indent=2) + "\n"


def _readable(messages: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """As UTF-8 can hold them: half of a pair, or what Python made of a byte that is no UTF-8, is U+FFFD."""
    return [
        {name: HALVES.sub("\N{REPLACEMENT CHARACTER}", text) for name, text in message.items()}
        for message in messages
    ]


def _place(name: str) -> Path:
    """The file of that name.

    Raises:
        UsageError: no file can have it.
    """
    if "\0" in name:
        raise UsageError("the name of a file has no NUL", fix="/save chat.md")
    try:
        return Path(name).expanduser().absolute()
    except RuntimeError as error:  # ~name of nobody
        raise UsageError(f"{name}: {error}", fix="/save chat.md") from error
