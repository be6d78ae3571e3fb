"""What is piped into a command: waited for where it is asked for, read as the letters that it means."""

from __future__ import annotations

import codecs
import os
import stat
import sys
import threading
from typing import Final

from winvllm_build.cli import render
from winvllm_build.errors import UsageError

PATIENCE_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 0.2
BLOCK: Final = 65536
MARKS: Final = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def text(*, wanted: bool | None, needed: bool) -> str:
    """What is piped in; empty at a terminal, and where nothing comes and nothing has to.

    Args:
        wanted: read it to its end, or never; None looks whether it is a file, or something comes soon.
        needed: there is nothing to do without it.

    Raises:
        UsageError: it is no text.
    """
    if wanted is False or sys.stdin is None or (sys.stdin.isatty() and not wanted):
        return ""
    reader = _Reader(sys.stdin.fileno())
    reader.start()
    if not (wanted or needed or _ends_by_itself(reader.number)) and not reader.begun.wait(PATIENCE_SECONDS):
        render.note("nothing comes through the pipe, which is left alone: --stdin waits for it")
        return ""
    while reader.is_alive():
        reader.join(LOOK_SECONDS)  # in short turns, between which Ctrl-C is heard on every system
    return decoded(bytes(reader.content), sys.stdin.encoding).strip()


def decoded(content: bytes, otherwise: str) -> str:
    """Text as it was meant: by its mark, as UTF-8, or in an encoding that is then told.

    Args:
        content: all of it.
        otherwise: that of the system's programs; on Windows its code page.

    Raises:
        UsageError: it is in none of these.
    """
    marked = next((name for mark, name in MARKS.items() if content.startswith(mark)), "utf-8")
    for name in (marked, otherwise):
        try:
            found = content.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
        if name != marked:
            render.note(
                f"what is piped in is no UTF-8, and read as {name}; PYTHONIOENCODING=NAME names another"
            )
        return found
    raise UsageError(
        f"what is piped in is neither UTF-8 nor {otherwise}",
        fix="save it as UTF-8, or name its encoding: PYTHONIOENCODING=cp1252",
    )


def _ends_by_itself(number: int) -> bool:
    return stat.S_ISREG(os.fstat(number).st_mode)


class _Reader(threading.Thread):
    """Reads a descriptor to its end, around Python's own buffers: their lock would outlive the main thread.

    Attributes:
        begun: something came, or the end.
    """

    def __init__(self, number: int) -> None:
        super().__init__(daemon=True)
        self.number = number
        self.content = bytearray()
        self.begun = threading.Event()

    def run(self) -> None:
        try:
            while block := os.read(self.number, BLOCK):
                self.content += block
                self.begun.set()
        except OSError:  # a closed pipe is an end, too
            pass
        self.begun.set()
