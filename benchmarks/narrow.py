"""The layer fast-compile in a patched tree: what decides how a source comes out."""

from __future__ import annotations

import hashlib
import posixpath
import re
from pathlib import Path
from typing import Final

LIST: Final = "cmake/narrow_torch.cmake"
LISTS_BEGIN: Final = "set(_TENSOR"
GENERATED: Final = re.compile(r"/sm80_kernel_\w+\.cu$")
GENERATOR: Final = ("generate_kernels.py", "kernel.h", "marlin_template.h")
SELECTOR: Final = "kernel_selector.h"
"""Written by the generator, beside it."""
INCLUDED: Final = re.compile(rb'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)


def headers(text: str) -> str:
    """Digest of what the layer's CMake file writes into its folders; not of who gets which."""
    return hashlib.sha256(text.partition(LISTS_BEGIN)[0].encode()).hexdigest()


def files_of(tree: Path, source: str) -> tuple[str, ...]:
    """A source and what of the tree it includes, conditions left aside.

    For what is generated what it is made of: it is not in the tree before a configure.
    """
    folder = posixpath.dirname(source)
    generated = GENERATED.search(source) is not None
    waiting = [f"{folder}/{name}" for name in GENERATOR] if generated else [source]
    found: dict[str, None] = {}
    while waiting:
        path = waiting.pop()
        if path in found or not (tree / path).is_file():
            continue
        found[path] = None
        for match in INCLUDED.findall((tree / path).read_bytes()):
            name = match.decode().replace(SELECTOR, GENERATOR[0])
            waiting.append(posixpath.normpath(posixpath.join(posixpath.dirname(path), name)))
            waiting.append(posixpath.join("csrc", name))
    return tuple(sorted(found))


def inputs(tree: Path, source: str) -> str:
    """Digest of those files, names and contents."""
    digest = hashlib.sha256()
    for path in files_of(tree, source):
        content = hashlib.sha256((tree / path).read_bytes()).hexdigest()
        digest.update(f"{path} {content}\n".encode())
    return digest.hexdigest()
