"""The order of build statements: of the edges that are ready Ninja starts the first in its manifest."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.workspace import write_atomic

BUILD: Final = re.compile(r"^build (?P<output>(?:\$.|[^\s:|$])+)[^\n]*: (?P<rule>\w+)")
COMPILES: Final = re.compile(r"^(CUDA|CXX|C)_COMPILER__")


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A stretch of lines; `output` is what a compile statement makes, empty for everything else."""

    output: str
    text: str


def pieces(manifest: str) -> Iterator[Piece]:
    """Compile statements with their bindings, and what lies between them; joined they are the manifest."""
    held: list[str] = []
    output = ""
    for line in manifest.splitlines(keepends=True):
        inside = bool(output) and line.startswith((" ", "\t"))
        if inside:
            held.append(line)
            continue
        statement = BUILD.match(line)
        begins = statement is not None and COMPILES.match(statement["rule"]) is not None
        if held and (begins or output):
            yield Piece(output=output, text="".join(held))
            held, output = [], ""
        held.append(line)
        if begins and statement is not None:
            output = unescaped(statement["output"])
    if held:
        yield Piece(output=output, text="".join(held))


def unescaped(name: str) -> str:
    """A path as ninja names it elsewhere, from how a manifest writes it: CMake has backslashes on Windows."""
    return re.sub(r"\$(.)", r"\1", name).replace("\\", "/")


def ordered(manifest: str, outputs: Sequence[str]) -> str:
    """The manifest, its compile statements in each other's places: first those of `outputs`, in order."""
    found = list(pieces(manifest))
    rank = {output: at for at, output in enumerate(outputs)}
    compiles = [piece for piece in found if piece.output]
    first = iter(sorted(compiles, key=lambda piece: rank.get(piece.output, len(rank))))
    return "".join(next(first).text if piece.output else piece.text for piece in found)


def reorder(build: Path, outputs: Sequence[str]) -> bool:
    """Put the edges that make `outputs` first, in that order; whether anything moved.

    The time of the file stays, or Ninja would run CMake again; CMake writes its own order whenever it runs.

    Raises:
        StorageError: the manifest cannot be written.
    """
    file = build / "build.ninja"
    before = file.read_bytes()
    text = before.decode("utf-8", "surrogateescape")
    after = ordered(text, outputs).encode("utf-8", "surrogateescape")
    if after == before:
        return False
    kept = file.stat()
    write_atomic(file, after)
    os.utime(file, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    return True
