"""Where a value comes from, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

from typing_extensions import assert_never

from winvllm_build.errors import ProfileError

KeyPath: TypeAlias = tuple[str, ...]
"""A key by its parts: `("cuda", "arch_list")`."""


class LayerKind(Enum):
    """The layers, lowest first: a value of a later one wins."""

    DEFAULT = "default"
    SHIPPED = "shipped"
    USER = "user"
    PROJECT = "project"
    ENVIRONMENT = "environment"
    COMMAND_LINE = "command line"

    @property
    def rank(self) -> int:
        return list(LayerKind).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where one value was written.

    Attributes:
        layer: the layer it belongs to.
        source: a file, an environment variable or a key given on the command line; empty for a default.
        line: the line in the file, from 1.
    """

    layer: LayerKind
    source: str = ""
    line: int | None = None

    def at(self, line: int | None) -> Origin:
        return replace(self, line=line)

    def __str__(self) -> str:
        match self.layer:
            case LayerKind.DEFAULT:
                return "default"
            case LayerKind.SHIPPED | LayerKind.USER | LayerKind.PROJECT:
                return self.source if self.line is None else f"{self.source}:{self.line}"
            case LayerKind.ENVIRONMENT:
                return f"environment variable {self.source}"
            case LayerKind.COMMAND_LINE:
                return f"command line ({self.source})"
        assert_never(self.layer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong, where it was written and under which key."""

    message: str
    origin: Origin | None = None
    key: str = ""

    def __str__(self) -> str:
        parts = (str(self.origin or ""), self.key, self.message)
        return _printable(": ".join(part for part in parts if part))


class InvalidProfileError(ProfileError):
    """A profile with all its problems."""

    def __init__(self, problems: Iterable[Problem], *, fix: str) -> None:
        self.problems: Sequence[Problem] = tuple(dict.fromkeys(problems))
        count = len(self.problems)
        head = "the profile has a problem" if count == 1 else f"the profile has {count} problems"
        super().__init__("\n".join([f"{head}:", *(f"  {problem}" for problem in self.problems)]), fix=fix)


def dotted(key: KeyPath) -> str:
    return ".".join(key)


def _printable(text: str) -> str:
    """The text on one line, whatever a value holds."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
