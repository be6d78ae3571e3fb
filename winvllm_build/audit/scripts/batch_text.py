"""What cmd.exe makes of a batch file: commands, blocks, quotes and carets, read without running it.

After Microsoft's reference of `cmd`, `if` and `for`. Variables are not filled in: a quote or parenthesis that
comes from one is not seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

BLANKS: Final = " \t,;="
OPERATORS: Final = ("&&", "||", "&", "|")
COMPARISONS: Final = frozenset({"equ", "neq", "lss", "leq", "gtr", "geq"})
UNARY: Final = frozenset({"errorlevel", "exist", "defined", "cmdextversion"})


class Trouble(Enum):
    """How parentheses go wrong."""

    TEXT_AFTER = "text follows the ) that ends the block"
    TEXT_PAREN = "the ( before it is text, so this ) ends the block"
    NO_BLOCK = "this ) ends no block"
    NO_END = "the block that begins here has no end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command.

    Attributes:
        line: where it begins, from 1.
        words: as written, quotes and carets kept; what a redirection names is no word.
        depth: how many blocks it lies in.
        before: the operator in front of it on the same line, or nothing.
        bare: the text outside quotes, carets kept.
    """

    line: int
    words: tuple[str, ...]
    depth: int
    before: str
    bare: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What a file holds: its commands, and (line, trouble) for parentheses that go wrong."""

    commands: tuple[Command, ...]
    troubles: tuple[tuple[int, Trouble], ...]


def logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Each line with its number; lines that end in a caret are joined with the next."""
    start, held = 0, ""
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        start = start or number
        carets = len(line) - len(line.rstrip("^"))
        if carets % 2:
            held += line[:-1]
            continue
        yield start, held + line
        start, held = 0, ""
    if start:
        yield start, held


def read(text: str) -> Batch:
    reader = _Reader()
    for number, line in logical_lines(text):
        reader.line(number, line)
    return reader.end()


@dataclass(slots=True)
class _Word:
    text: str = ""
    bare: str = ""


@dataclass(slots=True)
class _Reader:
    """Reads line by line; blocks stay open from one line to the next."""

    commands: list[Command] = field(default_factory=list)
    troubles: list[tuple[int, Trouble]] = field(default_factory=list)
    opened: list[tuple[int, str]] = field(default_factory=list)
    number: int = 0
    words: list[str] = field(default_factory=list)
    bare: str = ""
    before: str = ""
    word: _Word = field(default_factory=_Word)
    target: bool = False
    text_paren: bool = False
    ended: bool = False

    def line(self, number: int, line: str) -> None:
        self.number, self.before, self.ended = number, "", False
        at, quoted = 0, False
        if not (self.opened and self.opened[-1][1] == "set") and line.lstrip(BLANKS + "@").startswith(":"):
            return
        while at < len(line):
            char = line[at]
            if quoted or char == '"':
                quoted = quoted != (char == '"')
                self._text(char, bare=False)
                at += 1
            elif char == "^":
                self._text(line[at : at + 2])
                at += 2
            else:
                at += self._special(line, at)
            if self.words and self.words[0].lower() == "rem":
                break
        self._finish_word()
        if not (self.opened and self.opened[-1][1] == "set"):
            self._finish_command()

    def end(self) -> Batch:
        self._finish_command()
        self.troubles.extend((number, Trouble.NO_END) for number, _ in self.opened)
        return Batch(commands=tuple(self.commands), troubles=tuple(sorted(self.troubles, key=_place)))

    def _special(self, line: str, at: int) -> int:
        """Read what is neither quoted nor behind a caret; how many characters that took."""
        operator = next((one for one in OPERATORS if line.startswith(one, at)), "")
        if operator:
            self._finish_word()
            if self.opened and self.opened[-1][1] == "set":
                return len(operator)
            self._finish_command(operator)
            self.ended = False
            return len(operator)
        char = line[at]
        if char in "<>":
            self._redirection()
        elif char == "(":
            self._opening()
        elif char == ")":
            self._closing()
        elif (
            char in BLANKS and not (char == "=" and line[at : at + 2] == "==") and not self._in_pair(line, at)
        ):
            self._finish_word()
        elif not (char == "@" and not self.words and not self.word.text):
            self._text(char)
        return 1

    def _in_pair(self, line: str, at: int) -> bool:
        """Whether this is the second sign of `==`."""
        return line[at] == "=" and at > 0 and line[at - 1] == "="

    def _text(self, text: str, *, bare: bool = True) -> None:
        self.word.text += text
        self.word.bare += text if bare else " "

    def _after_block(self, word: str) -> None:
        """Only `else` may follow a block on its line."""
        if self.ended and word.lower() != "else":
            self.troubles.append((self.number, Trouble.TEXT_AFTER))
        self.ended = False

    def _redirection(self) -> None:
        if self.word.text.isdigit():
            self.word = _Word()
        self._finish_word()
        self.target = True

    def _opening(self) -> None:
        if self.word.text.lower() in ("do", "else"):
            self._finish_word()
        if not self.word.text and self._awaits_set():
            self.opened.append((self.number, "set"))
        elif not self.word.text and self._awaits_command():
            self._finish_command()
            self.opened.append((self.number, "block"))
        else:
            self.text_paren = bool(self.opened) and self.word.text.lower() != "echo"
            self._text("(")

    def _closing(self) -> None:
        if not self.opened:
            if not self.words and not self.word.text:
                self.troubles.append((self.number, Trouble.NO_BLOCK))
            self._text(")")
            return
        self._finish_word()
        if self.opened[-1][1] == "block":
            if self.text_paren:
                self.troubles.append((self.number, Trouble.TEXT_PAREN))
            self._finish_command()
            self.ended = True
        self.opened.pop()

    def _finish_word(self) -> None:
        if self.word.text and not self.target:
            self._after_block(self.word.text)
            self.words.append(self.word.text)
        self.bare += self.word.bare + " "
        self.target = self.target and not self.word.text
        self.word = _Word()

    def _finish_command(self, operator: str = "") -> None:
        self._finish_word()
        if self.words:
            self.commands.append(
                Command(
                    line=self.number, words=tuple(self.words), depth=len(self.opened), before=self.before,
                    bare=self.bare,
                )
            )  # fmt: skip
        self.words, self.bare, self.text_paren, self.target = [], "", False, False
        self.before = operator

    def _awaits_set(self) -> bool:
        return len(self.words) > 1 and self.words[0].lower() == "for" and self.words[-1].lower() == "in"

    def _awaits_command(self) -> bool:
        words = [word.lower() for word in self.words]
        return not words or words == ["else"] or inner(words) == []


def inner(words: list[str]) -> list[str] | None:
    """The words (lower case) behind `if CONDITION`, `for ... do` and `else`; None where one is incomplete."""
    while words and words[0] in ("if", "for", "else"):
        rest = {"if": _behind_if, "for": _behind_do}.get(words[0], lambda one: one[1:])(words)
        if rest is None:
            return None
        words = rest
        if not words:
            return []
    return words


def _behind_do(words: list[str]) -> list[str] | None:
    return words[words.index("do") + 1 :] if "do" in words else None


def _behind_if(words: list[str]) -> list[str] | None:
    rest = words[1:]
    while rest and rest[0] in ("/i", "not"):
        rest = rest[1:]
    if not rest:
        return None
    if rest[0] in UNARY:
        taken = 2
    elif len(rest) > 1 and rest[1] in COMPARISONS:
        taken = 3
    elif "==" in rest[0] and not rest[0].endswith("=="):
        taken = 1
    elif rest[0].endswith("==") or (len(rest) > 1 and rest[1].startswith("==") and rest[1] != "=="):
        taken = 2
    else:
        taken = 3
    return rest[taken:] if len(rest) >= taken else None


def _place(entry: tuple[int, Trouble]) -> int:
    return entry[0]
