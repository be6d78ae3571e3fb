"""A conversation: what was said, what is sent next, and the words that are commands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from winvllm_build.errors import UsageError
from winvllm_build.suggest import did_you_mean
from winvllm_build.workspace import storage_errors, write_atomic


class Command(Enum):
    """What begins with a slash."""

    CLEAR = "/clear"
    SYSTEM = "/system"
    SAVE = "/save"
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


@dataclass(slots=True)
class Conversation:
    """The messages so far.

    Attributes:
        system: the prompt before all others; empty for none.
        turns: questions and answers in turn.
    """

    system: str = ""
    turns: list[dict[str, str]] = field(default_factory=list)

    def asking(self, question: str) -> list[Mapping[str, str]]:
        """All messages that go with a question; it counts as said once it is answered."""
        before = [{"role": "system", "content": self.system}] if self.system else []
        return [*before, *self.turns, {"role": "user", "content": question}]

    def answered(self, question: str, answer: str) -> None:
        """Keep both; a model is not shown a question without an answer."""
        self.turns += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]

    def last_question(self) -> str:
        """Taken back together with its answer, to be asked again.

        Raises:
            UsageError: there is none.
        """
        if not self.turns:
            raise UsageError("nothing was asked yet", fix="ask something first")
        question = self.turns[-2]["content"]
        del self.turns[-2:]
        return question

    def clear(self) -> None:
        self.turns.clear()

    def save(self, file: Path, model: str) -> None:
        """Write it down.

        Raises:
            UsageError: its folder does not exist.
            StorageError: it cannot be written.
        """
        if not file.absolute().parent.is_dir():
            raise UsageError(f"the folder of {file} does not exist", fix=f"mkdir {file.parent}")
        messages = [*([{"role": "system", "content": self.system}] if self.system else []), *self.turns]
        if file.suffix.lower() == ".md":
            text = "".join(f"## {turn['role']}\n\n{turn['content']}\n\n" for turn in messages)
        else:
            text = json.dumps({"model": model, "messages": messages}, ensure_ascii=False, indent=2) + "\n"
        with storage_errors(str(file)):
            write_atomic(file, text.encode("utf-8", "surrogatepass"))
