"""Variables of CMake files that are read but never run: every value with the conditions it stands under."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from winvllm_build.intake.cmake_text import Argument, Quoting

MOST: Final = 64
"""Alternatives of one text; more come from a list inside a word, which no file means."""
PIECE: Final = re.compile(r"\\(.)|\$(?P<kind>ENV|CACHE)?\{|\}|[^\\$}]+|[\\$]", re.DOTALL)
ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", ";": "\\;"}
ARCH: Final = re.compile(r"\d+\.\d[af]?(?:\+PTX)?")
OWN: Final = re.compile(r".*_(?:SOURCE|BINARY)_DIR|CMAKE_.*")
"""Names that stay as they are written: what they hold is decided on the machine that builds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One branch of one `if` that no file decides.

    Attributes:
        text: what stands in the `if`.
        clause: which `if` or `elseif` of the run it is.
        holds: False behind it, in the `else`.
        archs: the CUDA architectures that its variables can have.
    """

    text: str
    clause: int
    holds: bool = True
    archs: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text if self.holds else f"not ({self.text})"


Conditions = tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One element of a list, or one possible text, and when it is there."""

    text: str
    conditions: Conditions = ()


def both(one: Conditions, other: Conditions) -> Conditions | None:
    """Both together, each once; None where they exclude each other."""
    known = {condition.clause: condition.holds for condition in one}
    added = [condition for condition in other if condition.clause not in known]
    clash = any(known.get(condition.clause, condition.holds) is not condition.holds for condition in other)
    return None if clash else (*one, *added)


def is_other(conditions: Conditions) -> bool:
    """Whether they are those of an `elseif` or `else`."""
    return any(not condition.holds for condition in conditions)


class Variables:
    """The variables at one point of a run."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._values: dict[str, list[Item]] = {name: [Item(text=text)] for name, text in known.items()}
        self._archs: dict[str, tuple[str, ...]] = {}
        self.unset_names: set[str] = set()
        """What only an environment variable sets."""

    def items(self, name: str) -> tuple[Item, ...] | None:
        """What a variable can be; None where no file says."""
        found = self._values.get(name)
        return None if found is None else tuple(found)

    def text(self, name: str) -> str | None:
        """The one text a variable has whatever the conditions; None where that is not known."""
        found = self._values.get(name)
        if found is None:
            return None
        sure = [item for item in found if not item.conditions]
        return ";".join(item.text for item in sure) if len(sure) == len(found) else None

    def set(self, name: str, items: Iterable[Item], under: Conditions) -> None:
        """`items` instead of what held here; what holds in other branches stays."""
        if OWN.fullmatch(name) or (name in self._archs and is_other(under)):
            return
        kept = [item for item in self._values.get(name, []) if item.conditions[: len(under)] != under]
        given = list(items) or [Item(text="")]
        self._values[name] = kept + [item for item in _under(given, under) if item.text or under]
        self._archs.pop(name, None)

    def append(self, name: str, items: Iterable[Item], under: Conditions, *, first: bool = False) -> None:
        present = self._values.get(name, [])
        added = list(_under(items, under))
        self._values[name] = added + present if first else present + added

    def remove(self, name: str, texts: Iterable[str], under: Conditions) -> None:
        gone = set(texts)
        self._values[name] = [
            item
            for item in self._values.get(name, [])
            if item.text not in gone or item.conditions[: len(under)] != under
        ]

    def forget(self, name: str) -> None:
        self._values.pop(name, None)

    def set_archs(self, name: str, archs: Iterable[str], under: Conditions) -> None:
        """Remember which architectures a variable was made from; in an `else` those of the `if` as well."""
        before = self._archs.get(name, ()) if is_other(under) else ()
        self._archs[name] = tuple(dict.fromkeys([*before, *archs]))
        self.forget(name)

    def archs(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(arch for name in names for arch in self._archs.get(name, ())))

    def elements(self, arguments: Iterable[Argument], under: Conditions = ()) -> tuple[Item, ...]:
        """The arguments as the elements of one list, each under its own conditions and `under`."""
        found: list[Item] = []
        for argument in arguments:
            for item in self._element(argument):
                merged = both(under, item.conditions)
                if merged is not None:
                    split = [piece for piece in _split(item.text) if piece or argument.text == ""]
                    found += [Item(text=piece, conditions=merged) for piece in split]
        return tuple(found)

    def texts(self, argument: Argument, under: Conditions = ()) -> tuple[str, ...]:
        """Every text one argument can be where `under` holds."""
        items = self._element(argument)
        return tuple(dict.fromkeys(i.text for i in items if both(under, i.conditions) is not None))

    def _element(self, argument: Argument) -> tuple[Item, ...]:
        if argument.quoting in (Quoting.BRACKET, Quoting.PAREN):
            return (Item(text=argument.text),)
        whole = re.fullmatch(r"\$\{([A-Za-z0-9/_.+-]+)\}", argument.text)
        if whole is not None and (found := self.items(whole[1])) is not None:
            return found
        return tuple(_Expansion(self, argument.text).run())


class _Expansion:
    """One text with references, read from the left."""

    def __init__(self, variables: Variables, text: str) -> None:
        self._variables = variables
        self._pieces = list(PIECE.finditer(text))
        self._at = 0

    def run(self, *, inside: bool = False) -> list[Item]:
        found = [Item(text="")]
        while self._at < len(self._pieces):
            piece = self._pieces[self._at]
            self._at += 1
            if inside and piece[0] == "}":
                return found
            if piece[0].startswith("$") and piece[0].endswith("{"):
                found = _product(found, self._reference(piece["kind"]))
            elif piece[1] is not None:
                found = _product(found, [Item(text=ESCAPES.get(piece[1], piece[1]))])
            else:
                found = _product(found, [Item(text=piece[0])])
        return found

    def _reference(self, kind: str | None) -> list[Item]:
        found: list[Item] = []
        for name in self.run(inside=True):
            if kind == "ENV":
                found.append(replace(name, text=""))
                continue
            values = self._variables.items(name.text)
            if values is None:
                found.append(replace(name, text="" if name.text in self._variables.unset_names else
                                     f"${{{name.text}}}"))  # fmt: skip
            else:
                found += _product([replace(name, text="")], list(values)) or [replace(name, text="")]
        return found


def _product(before: list[Item], after: list[Item]) -> list[Item]:
    made = []
    for one in before:
        for other in after:
            conditions = both(one.conditions, other.conditions)
            if conditions is not None:
                made.append(Item(text=one.text + other.text, conditions=conditions))
    return made[:MOST]


def _under(items: Iterable[Item], under: Conditions) -> Iterable[Item]:
    for item in items:
        merged = both(under, item.conditions)
        if merged is not None:
            yield replace(item, conditions=merged)


def _split(text: str) -> list[str]:
    """The elements of a list; a semicolon behind a backslash is part of one."""
    return [piece.replace("\\;", ";") for piece in re.split(r"(?<!\\);", text)]
