"""Sizes as people write them."""

from __future__ import annotations

import re
from typing import Final

from winvllm_build.errors import UsageError

UNITS: Final = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
BINARY: Final = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
SIZE: Final = re.compile(r"\s*(?P<number>\d+(\.\d+)?)\s*(?P<unit>[kmgt]?)(?P<binary>i?)b?\s*", re.IGNORECASE)


def parse(text: str) -> int:
    """Bytes of `500MB`, `20 GB` or `1GiB`.

    Raises:
        UsageError: it is no size.
    """
    match = SIZE.fullmatch(text)
    if match is None or (match["binary"] and not match["unit"]):
        raise UsageError(f"{text!r} is no size", fix="write it as 500MB or 20GB")
    units = BINARY if match["binary"] else UNITS
    return int(float(match["number"]) * units[match["unit"].lower()])
