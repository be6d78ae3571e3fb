"""The port, taken before minutes are spent on loading a model."""

from __future__ import annotations

import socket
import sys

from .errors import StartError

BACKLOG = 2048
"""As uvicorn's."""


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens: who comes before the model is there waits for it.

    Bound alone, it would not keep others from binding the same address (Linux).

    Raises:
        StartError: the address is no address of this machine, or the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError) as error:
        raise StartError(f"{host}: {error}", fix="--host 127.0.0.1, or 0.0.0.0 for every address") from error
    sock = socket.socket(family, kind, protocol)
    try:
        if sys.platform == "win32":  # there, SO_REUSEADDR takes a port that another program uses
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise StartError(
            f"{host}:{port} cannot be used: {error.strerror or error}", fix="--port N with a free one, or 0"
        ) from error
    return sock


def place(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
