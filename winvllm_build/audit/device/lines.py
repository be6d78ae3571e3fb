"""Both sides of a patch with equal line numbers, so that `__LINE__` says the same in what did not change."""

from __future__ import annotations

from difflib import SequenceMatcher


def aligned(before: bytes, after: bytes) -> tuple[bytes, bytes]:
    """The two texts with empty lines where the other one has more; the tokens stay as they are.

    Inside a continued line the added lines are continued too.
    """
    old, new = _lines(before), _lines(after)
    left: list[bytes] = []
    right: list[bytes] = []
    for _, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        left += old[a:b]
        right += new[c:d]
        _fill(left, len(right))
        _fill(right, len(left))
    return b"".join(left), b"".join(right)


def _lines(text: bytes) -> list[bytes]:
    lines = text.replace(b"\r\n", b"\n").splitlines(keepends=True)
    if lines and not lines[-1].endswith(b"\n"):
        lines[-1] += b"\n"
    return lines


def _fill(lines: list[bytes], count: int) -> None:
    continued = bool(lines) and lines[-1].endswith(b"\\\n")
    lines += [b"\\\n" if continued else b"\n"] * (count - len(lines))
