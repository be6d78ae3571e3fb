"""Text from elsewhere, safe for any terminal and page: what moves or turns writing is written out."""

from __future__ import annotations

import re
from typing import Final

CONTROL: Final = re.compile("[\0-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""What moves a terminal's cursor or turns its writing around; a tab stays."""
CARET: Final = 64
CARET_END: Final = 0x20
DELETE: Final = "\x7f"


def harmless(text: str) -> str:
    """`text` with `^[` for an escape, `^M` for a carriage return, `<U+202E>` for what turns text around."""
    return CONTROL.sub(lambda match: _written_out(match[0]), text)


def readable(path: str) -> str:
    """A path for people: bytes that are no UTF-8, and what turns writing around, are written out."""
    return harmless(path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


def _written_out(character: str) -> str:
    code = ord(character)
    if code < CARET_END:
        return f"^{chr(code + CARET)}"
    return "^?" if character == DELETE else f"<U+{code:04X}>"
