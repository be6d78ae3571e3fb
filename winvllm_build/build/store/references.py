"""Which finished edges a build used: a file of lines for each build folder, beside the store."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from winvllm_build.workspace import write_atomic


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """The record that an output of a build came from."""

    tag: str
    key: str
    variant: str


class References:
    """The records one build uses, by output; lines appended one by one, the last for an output counts."""

    def __init__(self, path: Path, tag: str) -> None:
        self.path = path
        self._tag = tag
        self._held = read(path)
        self._lines = len(self._held)
        self._handle: int | None = None

    def note(self, output: str, key: str, variant: str) -> None:
        """Say that an output came from a record.

        Raises:
            OSError: the store cannot be written.
        """
        new = Reference(tag=self._tag, key=key, variant=variant)
        if self._held.get(output) == new:
            return
        self._held[output] = new
        if self._handle is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
            self._handle = os.open(self.path, flags, 0o644)
            os.write(self._handle, b"\n")
        os.write(self._handle, _line(output, new))
        self._lines += 1

    def close(self) -> None:
        """Drop the lines that later ones replaced."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
            if self._lines > len(self._held):
                write_atomic(
                    self.path, b"".join(_line(name, held) for name, held in sorted(self._held.items()))
                )


def read(path: Path) -> dict[str, Reference]:
    """The references of a build; lines that a killed run left half written do not count."""
    found: dict[str, Reference] = {}
    try:
        content = path.read_bytes()
    except OSError:
        return found
    for line in content.splitlines():
        try:
            output, tag, key, variant = json.loads(line)
            found[str(output)] = Reference(tag=str(tag), key=str(key), variant=str(variant))
        except (ValueError, TypeError):
            continue
    return found


def _line(output: str, reference: Reference) -> bytes:
    return json.dumps([output, reference.tag, reference.key, reference.variant]).encode() + b"\n"
