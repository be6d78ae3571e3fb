"""The modules of Rust crates that a condition leaves out on Windows: tests, above all."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from winvllm_build.audit.config.rust_cfg import World, evaluate

MODULE: Final = re.compile(
    r"^[ \t]*(?:pub(?:\([^)\n]*\))?[ \t]+)?mod[ \t]+(?P<name>\w+)[ \t]*;", re.MULTILINE
)
CFG: Final = re.compile(r"#\[\s*cfg\s*\((?P<inside>.*)\)\s*\]")
PATH: Final = re.compile(r"#\[\s*path\s*=\s*\"(?P<path>[^\"]+)\"\s*\]")
ROOTS: Final = frozenset({"lib.rs", "main.rs", "mod.rs"})


def left_out(texts: Mapping[str, str], world: Callable[[str], World]) -> frozenset[str]:
    """The files whose modules a condition leaves out.

    Args:
        texts: the Rust files by their path.
        world: the target that a file is compiled for, with the features of its crate.
    """
    declared: dict[str, list[tuple[str, bool]]] = {}
    for path, text in texts.items():
        if "mod " not in text:
            continue
        for match in MODULE.finditer(text):
            attributes = _attributes(text, match.start())
            held = all(_holds(found["inside"], world(path)) for found in CFG.finditer(attributes))
            for child in _children(path, match["name"], attributes):
                if child in texts:
                    declared.setdefault(child, []).append((path, held))
    gone: set[str] = set()
    for _ in range(8):
        more = {
            child
            for child, parents in declared.items()
            if all(not held or parent in gone for parent, held in parents)
        }
        if more == gone:
            break
        gone = more
    return frozenset(gone)


def _attributes(text: str, end: int) -> str:
    """The lines right before a place that are attributes."""
    begun = end
    while begun and text[text.rfind("\n", 0, begun - 1) + 1 : begun].strip().startswith("#["):
        begun = text.rfind("\n", 0, begun - 1) + 1
    return text[begun:end]


def _holds(condition: str, world: World) -> bool:
    try:
        return evaluate(condition, world) is not False
    except ValueError:
        return True


def _children(path: str, name: str, attributes: str) -> Iterable[str]:
    folder, base = posixpath.split(path)
    given = PATH.search(attributes)
    if given is not None:
        return (posixpath.normpath(posixpath.join(folder, given["path"])),)
    below = folder if base in ROOTS else posixpath.join(folder, base.removesuffix(".rs"))
    return posixpath.join(below, f"{name}.rs"), posixpath.join(below, name, "mod.rs")
