"""A profile as a TOML file, each value with its reason above it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping

from winvllm_build.runtime.setting import Setting

WIDTH = 108


def toml(head: Iterable[str], description: str, values: Mapping[str, Setting[object]]) -> str:
    """The file's text.

    Args:
        head: lines of the comment at the top.
        description: the profile's own.
        values: by dotted key; those of one table stand together, in this order.
    """
    lines = [line for text in head for line in _comment(text)]
    lines += [f"description = {_value(description)}"]
    table = ""
    for key, setting in values.items():
        section, _, name = key.rpartition(".")
        if section != table:
            lines += ["", f"[{section}]"]
            table = section
        lines += [*_comment(setting.reason), f"{name} = {_value(setting.value)}"]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> list[str]:
    """A comment; what came from outside can end no line."""
    plain = " ".join(text.split())
    safe = "".join(letter if letter.isprintable() else "?" for letter in plain)
    return [f"# {line}" for line in textwrap.wrap(safe, WIDTH - 2, break_on_hyphens=False)]


def _value(value: object) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
