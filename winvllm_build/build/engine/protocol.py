"""What the gate and its launcher say to each other; `data/launcher.py` has the other half."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from typing import Final

VARIABLE: Final = "WINVLLM_GATE"
VERSION: Final = b"1"
NOT_STARTED: Final = "winvllm-build: not started, since another edge failed"
"""All that an edge prints which ninja had begun and admission had not."""
LONGEST: Final = 1 << 28
"""Bytes of a message; a compiler's output is in one."""


class BrokenLineError(Exception):
    """The other end is gone, or does not speak this protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A launcher wants to run a command.

    Attributes:
        pid: the launcher.
        group: its process group, 0 where there is none or it is not its own.
        folder: where the command runs.
        command: its words.
    """

    pid: int
    group: int
    folder: str
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A command ended: exit code (below 0 the signal), CPU seconds, peak bytes, what it printed."""

    code: int
    cpu: float
    memory: int
    text: bytes


def read_ask(line: socket.socket, token: bytes) -> Ask:
    """The first message of a launcher.

    Raises:
        BrokenLineError: it is none of ours.
    """
    body = _message(line, limit=1 << 22)
    given, version, pid, folder, *command = [*body.split(b"\0"), b"", b"", b"", b""]
    if given != token or version != VERSION or not pid.isdigit():
        raise BrokenLineError
    return Ask(
        pid=int(pid),
        group=_group(int(pid)),
        folder=os.fsdecode(folder),
        command=tuple(os.fsdecode(word) for word in command[:-4]),
    )


def _group(pid: int) -> int:
    """The group that ninja gave a launcher and its compilers; 0 if it is that of ninja itself."""
    if sys.platform == "win32":
        return 0
    try:
        group = os.getpgid(pid)
        return group if group not in {os.getsid(pid), os.getpgrp()} else 0
    except OSError:
        return 0


def read_report(line: socket.socket) -> Report:
    """What became of the command.

    Raises:
        BrokenLineError: the launcher died.
    """
    words = _message(line, limit=LONGEST).split(b"\0", 4)
    if len(words) != 5 or words[0] != b"ended":  # noqa: PLR2004 - verb, code, cpu, memory, text
        raise BrokenLineError
    try:
        return Report(code=int(words[1]), cpu=float(words[2]), memory=int(words[3]), text=words[4])
    except ValueError as error:
        raise BrokenLineError from error


def send_run(line: socket.socket, prefix: tuple[str, ...]) -> None:
    """Let the command run, `prefix` before it.

    Raises:
        BrokenLineError: the launcher died.
    """
    _send(line, b"run", *(os.fsencode(word) for word in prefix))


def send_end(line: socket.socket, code: int, text: bytes = b"") -> None:
    """Nothing more to run: print what was printed and `text`, leave with `code`.

    Raises:
        BrokenLineError: the launcher died.
    """
    _send(line, b"end", str(code).encode(), text)


def is_closed(line: socket.socket) -> bool:
    """Whether a launcher that has nothing to say is gone."""
    before = line.gettimeout()
    line.settimeout(0)
    try:
        return line.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        line.settimeout(before)


def _send(line: socket.socket, *words: bytes) -> None:
    body = b"\0".join(words)
    try:
        line.sendall(len(body).to_bytes(4, "big") + body)
    except OSError as error:
        raise BrokenLineError from error


def _message(line: socket.socket, *, limit: int) -> bytes:
    size = int.from_bytes(_exactly(line, 4), "big")
    if size > limit:
        raise BrokenLineError
    return _exactly(line, size)


def _exactly(line: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        try:
            block = line.recv(min(size - len(found), 1 << 16))
        except OSError as error:
            raise BrokenLineError from error
        if not block:
            raise BrokenLineError
        found += block
    return bytes(found)
