"""Sizes and times as people read them."""

from __future__ import annotations


def size(count: int) -> str:
    """`517 B`, `35 kB`, `48.2 MB`."""
    if count < 1000:  # noqa: PLR2004 - SI steps
        return f"{count} B"
    if count < 1_000_000:  # noqa: PLR2004 - SI steps
        return f"{count / 1e3:.0f} kB"
    return f"{count / 1e6:.1f} MB"


def memory_size(count: float) -> str:
    """`300 kB`, `430 MB`, `5.5 GB`, `128 GB`."""
    if count < 1e6:  # noqa: PLR2004 - SI steps
        return size(round(count))
    if count < 1e9:  # noqa: PLR2004 - SI steps
        return f"{count / 1e6:.0f} MB"
    return f"{count / 1e9:.1f} GB" if count < 1e11 else f"{count / 1e9:.0f} GB"  # noqa: PLR2004 - three digits


def duration(seconds: float) -> str:
    """`0.4 s`, `42 s`, `3 min 07 s`, `2 h 05 min`."""
    if seconds < 10:  # noqa: PLR2004 - below ten a tenth matters
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:  # noqa: PLR2004 - seconds in a minute
        return f"{whole} s"
    if whole < 3600:  # noqa: PLR2004 - seconds in an hour
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
