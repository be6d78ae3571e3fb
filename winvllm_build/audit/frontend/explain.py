"""Which hazards of the catalogue explain an error: by the words of the front end and the line it is about."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from winvllm_build.audit.frontend.messages import Message
from winvllm_build.audit.hazard import rank

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TABLE: Final = Path(__file__).parent.parent / "data" / "frontend.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """What a hazard looks like: the message, and where that alone says too little, the line of the file."""

    hazard: str
    message: re.Pattern[str]
    source: re.Pattern[str]

    def fits(self, message: Message) -> bool:
        return bool(self.message.search(message.text) and self.source.search(message.source))


@cache
def signs() -> tuple[Sign, ...]:
    """`frontend.toml`."""
    table = tomllib.loads(TABLE.read_text("utf-8"))
    return tuple(
        Sign(
            hazard=entry["hazard"],
            message=re.compile(entry["message"]),
            source=re.compile(entry.get("source", "")),
        )
        for entry in table["sign"]
    )


def hazards(messages: Iterable[Message]) -> tuple[str, ...]:
    """The hazards that explain these errors; what follows from an earlier error has none."""
    found = {sign.hazard for message in messages for sign in signs() if sign.fits(message)}
    return tuple(sorted(found, key=rank))
