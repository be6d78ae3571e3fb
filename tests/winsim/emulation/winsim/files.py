"""Files as Windows opens them: text is cp1252 unless said otherwise, and there is no /proc."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

from winsim.view import Asked

NO_SUCH_PLACES = ("/proc", "/sys", "/dev", "/etc")


def is_missing(path: object) -> bool:
    if not isinstance(path, (str, os.PathLike)):
        return False
    text = os.fspath(path)
    return isinstance(text, str) and any(
        text == place or text.startswith(f"{place}/") for place in NO_SUCH_PLACES
    )


def make_open(asked: Asked) -> Callable[..., Any]:
    def windows_open(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        if is_missing(file):
            asked.add(("open", str(file)))
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", os.fspath(file))
        if "b" not in mode and len(rest) < 2 and named.get("encoding") is None:
            named["encoding"] = "cp1252"
        return open(file, mode, *rest, **named)

    return windows_open


def exists(path: Any) -> bool:
    return not is_missing(path) and os.path.exists(path)


def isfile(path: Any) -> bool:
    return not is_missing(path) and os.path.isfile(path)


def isdir(path: Any) -> bool:
    return not is_missing(path) and os.path.isdir(path)


def rename(source: Any, target: Any) -> None:
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "Cannot create a file when that file already exists", target)
    os.rename(source, target)
