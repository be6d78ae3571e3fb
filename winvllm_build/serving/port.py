"""The address that a server will listen on, tried before anything is loaded."""

from __future__ import annotations

import contextlib
import errno
import socket
import sys
from typing import Final

from winvllm_build.errors import UsageError

HIGHEST: Final = 65535
EVERY: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - to tell it, not to bind it
"""Addresses that mean all of a machine's, with the one that a client on it names."""
IN_USE: Final = frozenset({errno.EADDRINUSE, 10048})
FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM, 10013})
NOT_HERE: Final = frozenset({errno.EADDRNOTAVAIL, 10049})
"""The second number of each is Windows'."""
LOOKED_AT: Final = 50


def free(host: str, port: int) -> int:
    """The port, or with 0 one that the system picks.

    Raises:
        UsageError: nothing can listen there; it says why, and by whom a port is taken.
    """
    if not 0 <= port <= HIGHEST:
        raise UsageError(f"--port {port} is no port", fix=f"--port, from 1 to {HIGHEST}; 0 picks one")
    try:
        return _bound(host, port)
    except socket.gaierror as error:
        raise UsageError(
            f'--host "{host}" is no address: {error.strerror}', fix="--host 127.0.0.1"
        ) from error
    except UnicodeError as error:
        raise UsageError(f'--host "{host}" is no address', fix="--host 127.0.0.1") from error
    except OSError as error:
        raise _refusal(host, port, error) from error


def client_host(host: str) -> str:
    """The host as a client on this machine writes it into an address."""
    named = EVERY.get(host, host)
    return f"[{named}]" if ":" in named else named


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    return host in {"localhost", "::1"} or host.startswith("127.")


def _bound(host: str, port: int) -> int:
    family, kind, number, _, address = socket.getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    with socket.socket(family, kind, number) as tried:
        if sys.platform == "win32":  # elsewhere two could listen on one port there
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:  # as servers do, for what a server before it left in TIME_WAIT
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tried.bind(address)
        tried.listen(1)
        found: int = tried.getsockname()[1]
        return found


def _refusal(host: str, port: int, error: OSError) -> UsageError:
    number = getattr(error, "winerror", None) or error.errno
    if number in IN_USE:
        other = _next_free(host, port)
        return UsageError(
            f"port {port} of {host} is taken{_by_whom(port)}",
            fix=f"--port {other}, or end that program" if other else "--port 0 picks a free one",
        )
    if number in FORBIDDEN:
        hint = "netsh interface ipv4 show excludedportrange protocol=tcp lists those that Windows keeps"
        return UsageError(
            f"the system does not give out port {port}",
            fix=f"--port 8100{f'; {hint}' if sys.platform == 'win32' else ''}",
        )
    if number in NOT_HERE:
        return UsageError(
            f"--host {host} is no address of this machine", fix="--host 127.0.0.1, or 0.0.0.0 for all"
        )
    return UsageError(
        f"nothing can listen on {host}:{port}: {error.strerror}", fix="--host 127.0.0.1 --port 8100"
    )


def _by_whom(port: int) -> str:
    """The program that listens there, where the system tells."""
    import psutil  # noqa: PLC0415 - only a taken port needs it

    with contextlib.suppress(psutil.Error, OSError):
        for one in psutil.net_connections("tcp"):
            if one.laddr and one.laddr.port == port and one.status == psutil.CONN_LISTEN and one.pid:
                return f" by {psutil.Process(one.pid).name()} (process {one.pid})"
    return ""


def _next_free(host: str, port: int) -> int | None:
    for other in range(port + 1, min(port + LOOKED_AT, HIGHEST) + 1):
        with contextlib.suppress(OSError):
            return _bound(host, other)
    return None
