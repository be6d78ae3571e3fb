"""TCP of Windows: an option that only Windows has."""

from __future__ import annotations

import socket
from typing import Any

SO_EXCLUSIVEADDRUSE = ~socket.SO_REUSEADDR


class Socket(socket.socket):
    def setsockopt(self, level: int, name: int, *rest: Any) -> None:
        if (level, name) != (socket.SOL_SOCKET, SO_EXCLUSIVEADDRUSE):
            super().setsockopt(level, name, *rest)


CHANGED: dict[str, object] = {"SO_EXCLUSIVEADDRUSE": SO_EXCLUSIVEADDRUSE, "socket": Socket}
