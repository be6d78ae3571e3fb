"""ZeroMQ of Windows: no ipc transport, and only sockets can be polled."""

from __future__ import annotations

import errno
import os
import stat
from typing import Any

import zmq
import zmq.asyncio


def _refuse_ipc(address: object) -> None:
    text = address.decode() if isinstance(address, bytes) else str(address)
    if text.startswith("ipc:"):
        raise zmq.ZMQError(errno.EPROTONOSUPPORT, "Protocol not supported")


class Socket(zmq.Socket):
    def bind(self, addr: Any) -> Any:
        _refuse_ipc(addr)
        return super().bind(addr)

    def connect(self, addr: Any) -> Any:
        _refuse_ipc(addr)
        return super().connect(addr)


class AsyncSocket(zmq.asyncio.Socket):
    def bind(self, addr: Any) -> Any:
        _refuse_ipc(addr)
        return super().bind(addr)

    def connect(self, addr: Any) -> Any:
        _refuse_ipc(addr)
        return super().connect(addr)


class Context(zmq.Context):
    _socket_class = Socket


class AsyncContext(zmq.asyncio.Context):
    _socket_class = AsyncSocket


def _refuse_handles(socket: object) -> None:
    number = socket if isinstance(socket, int) else None
    if number is not None and not stat.S_ISSOCK(os.fstat(number).st_mode):
        raise zmq.ZMQError(errno.ENOTSOCK, "Socket operation on non-socket")


class Poller(zmq.Poller):
    def register(self, socket: Any, flags: int = zmq.POLLIN | zmq.POLLOUT) -> None:
        _refuse_handles(socket)
        super().register(socket, flags)


class AsyncPoller(zmq.asyncio.Poller):
    def register(self, socket: Any, flags: int = zmq.POLLIN | zmq.POLLOUT) -> None:
        _refuse_handles(socket)
        super().register(socket, flags)


CHANGED: dict[str, object] = {"Context": Context, "Poller": Poller, "Socket": Socket}
ASYNC_CHANGED: dict[str, object] = {"Context": AsyncContext, "Poller": AsyncPoller, "Socket": AsyncSocket}
