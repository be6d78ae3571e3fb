"""Rust's conditions: `cfg(all(unix, not(target_os = "macos")))` on one target or another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from winvllm_build.audit.config.ternary import Answer, every, negated, some

TOKEN: Final = re.compile(r'\s*(?:(?P<name>[A-Za-z_]\w*)|"(?P<text>[^"]*)"|(?P<mark>[(),=]))')
COMMON: Final = {"target_arch": ("x86_64",), "target_pointer_width": ("64",), "target_endian": ("little",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A target. Of what is not named here nothing is known: features, debug_assertions, a flag of its own.

    Attributes:
        flags: names with their truth.
        values: names with the values that they have.
    """

    flags: Mapping[str, bool] = field(default_factory=dict)
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


WINDOWS: Final = World(
    flags={"windows": True, "unix": False, "test": False},
    values=COMMON | {"target_os": ("windows",), "target_family": ("windows",), "target_env": ("msvc",)},
)
LINUX: Final = World(
    flags={"windows": False, "unix": True, "test": False},
    values=COMMON | {"target_os": ("linux",), "target_family": ("unix",), "target_env": ("gnu",)},
)


def evaluate(expression: str, world: World) -> Answer:
    """What stands between the parentheses of `cfg(...)`; None where the target does not settle it.

    Raises:
        ValueError: it is no such expression.
    """
    reader = _Reader(expression)
    answer = reader.predicate(world)
    if not reader.at_end:
        raise ValueError(f"{expression!r} is no condition of Rust")
    return answer


class _Reader:
    """Names, `name = "value"`, and `all`, `any` and `not` of predicates."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at == len(self._tokens)

    def predicate(self, world: World) -> Answer:
        kind, name = self._next()
        if kind != "name":
            raise ValueError(f"{self._text!r} is no condition of Rust")
        match self._peek():
            case "(":
                self._next()
                return _joined(name, list(self._arguments(world)))
            case "=":
                self._next()
                _, value = self._next()
                known = world.values.get(name)
                return None if known is None else value in known
            case _:
                return name == "true" if name in ("true", "false") else world.flags.get(name)

    def _arguments(self, world: World) -> Iterator[Answer]:
        while self._peek() != ")":
            yield self.predicate(world)
            if self._peek() == ",":
                self._next()
        self._next()

    def _peek(self) -> str:
        return self._tokens[self._at][1] if not self.at_end and self._tokens[self._at][0] == "mark" else ""

    def _next(self) -> tuple[str, str]:
        if self.at_end:
            raise ValueError(f"{self._text!r} is no condition of Rust")
        self._at += 1
        return self._tokens[self._at - 1]


def _joined(name: str, answers: list[Answer]) -> Answer:
    match name:
        case "all":
            return every(answers)
        case "any":
            return some(answers)
        case "not" if len(answers) == 1:
            return negated(answers[0])
        case _:
            return None  # `version("1.80")`, `target_has_atomic(...)`: of the toolchain, not of the target


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at, end = 0, len(text.rstrip())
    while at < end:
        found = TOKEN.match(text, at)
        if found is None:
            raise ValueError(f"{text!r} is no condition of Rust")
        at = found.end()
        kind = found.lastgroup or ""
        yield kind, found[kind]
