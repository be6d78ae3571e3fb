"""The environment of sccache's server and of the compilers that ask it, as values."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.build.cache.backend import Backend

IDLE_SECONDS: Final = 3600
"""How long a server outlives a build that was killed. Longer than any one compile: sccache counts a server
with one long compile under way as idle."""
NO_FILE: Final = "no-configuration"
"""Instead of the user's own sccache configuration, which could name another place."""
PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a build's own server listens: a socket in a private folder, or a port of loopback (Windows)."""

    socket: Path | None = None
    port: int | None = None

    def variables(self) -> dict[str, str]:
        if self.socket is not None:
            return {"SCCACHE_SERVER_UDS": str(self.socket)}
        return {"SCCACHE_SERVER_PORT": str(self.port)}


def for_server(
    base: Mapping[str, str],
    backend: Backend,
    address: Address,
    *,
    private: Path,
    roots: Iterable[Path],
    real: Mapping[str, str],
) -> dict[str, str]:
    """The server's whole environment; the only one that holds credentials.

    Args:
        base: the environment of the compilers.
        backend: where results are kept.
        address: where to listen.
        private: a folder of this run alone.
        roots: folders that differ between builds and machines, such as the tree and the build folder.
        real: this process's environment; how to reach the network is taken from it.
    """
    proxies = {n: v for n, v in real.items() if n.upper() in PROXIES and v}
    return {
        **without_sccache(base),
        **proxies,
        **address.variables(),
        **backend.settings,
        **backend.credentials,
        "SCCACHE_BASEDIRS": os.pathsep.join(dict.fromkeys(str(root) for root in roots)),
        "SCCACHE_IDLE_TIMEOUT": str(IDLE_SECONDS),
        "SCCACHE_LOG": "error",
        "SCCACHE_NO_DAEMON": "1",
        "SCCACHE_START_SERVER": "1",
        "SCCACHE_CONF": str(private / NO_FILE),
        "RUST_BACKTRACE": "0",  # it would hide why the server ended
    }


def for_client(address: Address, *, private: Path) -> dict[str, str]:
    """What a compile that goes through the cache has besides its own environment; no credentials.

    A client whose server vanished starts one of its own: its results go where nobody misses them.
    """
    return {
        **address.variables(),
        "SCCACHE_CONF": str(private / NO_FILE),
        "SCCACHE_DIR": str(private / "stray"),
        "SCCACHE_IDLE_TIMEOUT": "60",
        "SCCACHE_IGNORE_SERVER_IO_ERROR": "1",
    }


def without_sccache(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without what would configure another sccache."""
    return {name: value for name, value in environment.items() if not name.upper().startswith("SCCACHE_")}
