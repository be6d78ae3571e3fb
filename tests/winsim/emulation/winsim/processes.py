"""Processes and signals of Windows: spawn only, terminate only."""

from __future__ import annotations

import multiprocessing
import multiprocessing.context
import os
import signal
import subprocess
from typing import Any

SPAWN = multiprocessing.get_context("spawn")
SIGBREAK = signal.SIGTTIN
"""21, as on Windows."""
ALLOWED = {
    signal.SIGABRT,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGINT,
    signal.SIGSEGV,
    signal.SIGTERM,
    SIGBREAK,
}


def get_context(method: str | None = None) -> multiprocessing.context.BaseContext:
    if method not in {None, "spawn"}:
        raise ValueError(f"cannot find context for {method!r}")
    return SPAWN


def set_start_method(method: str | None, force: object = None) -> None:  # noqa: ARG001 - as the real one
    get_context(method)


def start_method(*_: object, **__: object) -> str:
    return "spawn"


def start_methods() -> list[str]:
    return ["spawn"]


MULTIPROCESSING: dict[str, object] = {
    **{
        name: getattr(SPAWN, name)
        for name in dir(SPAWN)
        if not name.startswith("_") and hasattr(multiprocessing, name)
    },
    "get_all_start_methods": start_methods,
    "get_context": get_context,
    "get_start_method": start_method,
    "set_start_method": set_start_method,
}


def set_handler(number: int, handler: Any) -> Any:
    if number not in ALLOWED:
        raise ValueError("invalid signal value")
    return signal.signal(number, handler)


SIGNAL: dict[str, object] = {
    "CTRL_BREAK_EVENT": 1,
    "CTRL_C_EVENT": 0,
    "SIGBREAK": SIGBREAK,
    "signal": set_handler,
}


def kill(process: int, number: int) -> None:
    """Any signal ends the process at once; 0 and 1 are console events, for the leader of a group."""
    if number in {0, 1}:
        raise OSError(22, "The parameter is incorrect")
    os.kill(process, signal.SIGKILL)


class Popen(subprocess.Popen[Any]):
    def __init__(self, *args: Any, **named: Any) -> None:
        if named.get("preexec_fn") is not None:
            raise ValueError("preexec_fn is not supported on Windows platforms")
        named.pop("creationflags", None)
        super().__init__(*args, **named)


def run(*args: Any, **named: Any) -> subprocess.CompletedProcess[Any]:
    if named.get("preexec_fn") is not None:
        raise ValueError("preexec_fn is not supported on Windows platforms")
    named.pop("creationflags", None)
    return subprocess.run(*args, **named)  # noqa: PLW1510 - the caller says it


SUBPROCESS: dict[str, object] = {
    "CREATE_NEW_PROCESS_GROUP": 0x200,
    "CREATE_NO_WINDOW": 0x8000000,
    "DETACHED_PROCESS": 0x8,
    "Popen": Popen,
    "run": run,
}
