"""Who gets to a module: by importing it at the start, inside a function, or not at all."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any, Final

from winvllm_build.audit.hit import Reach
from winvllm_build.audit.python.imports import Edge

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE: Final = Path(__file__).parents[1] / "data" / "reach.toml"


@cache
def _data() -> Mapping[str, Any]:
    return tomllib.loads(FILE.read_text("utf-8"))


def is_build(path: str) -> bool:
    """Read while building: setup.py, the generators of kernels, helpers of CMake."""
    return any(fnmatchcase(path, glob) for glob in _data()["build"])


def is_corner(path: str) -> bool:
    """A benchmark, another platform, an optional connector, unless the start imports it all the same."""
    return any(fnmatchcase(path, glob) for glob in _data()["corner"])


def reaches(paths: Mapping[str, str], edges: Mapping[str, Sequence[Edge]]) -> dict[str, Reach]:
    """The reach of each module.

    Args:
        paths: the path of each module by its name.
        edges: what each module names.
    """
    roots = [name for name in paths if any(fnmatchcase(name, glob) for glob in _data()["start"])]
    start = _closed(roots, paths, edges, late=False)
    used = _closed(start, paths, edges, late=True)
    return {name: _reach(name, path, start, used) for name, path in paths.items()}


def _reach(name: str, path: str, start: set[str], used: set[str]) -> Reach:
    if is_build(path):
        return Reach.BUILD
    if name in start:
        return Reach.START
    return Reach.USE if name in used and not is_corner(path) else Reach.CORNER


def _closed(
    roots: Iterable[str], paths: Mapping[str, str], edges: Mapping[str, Sequence[Edge]], *, late: bool
) -> set[str]:
    """What is reached from the roots; with `late`, by calls too, but not through corners."""
    seen: set[str] = set()
    waiting = [part for root in roots for part in _with_packages(root, paths)]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for edge in edges.get(name, ()):
            if edge.late and not late:
                continue
            waiting += [
                part
                for part in _with_packages(edge.target, paths)
                if part not in seen and not (late and is_corner(paths[part]))
            ]
    return seen


def _with_packages(target: str, paths: Mapping[str, str]) -> Iterator[str]:
    """`a.b.c` imports `a`, `a.b` and `a.b.c`; what is no module (a class) is left out."""
    parts = target.split(".")
    for length in range(1, len(parts) + 1):
        name = ".".join(parts[:length])
        if name in paths:
            yield name
