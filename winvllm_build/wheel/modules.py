"""Whether Python finds a compiled module by its file's name, and can import it by that."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from packaging.tags import Tag

from winvllm_build.wheel.binary import Binary
from winvllm_build.wheel.finding import Finding, Subject, problem
from winvllm_build.wheel.metadata import STABLE, FileName

SUFFIXES: Final = frozenset({".pyd", ".so"})


def is_module(name: str) -> bool:
    return PurePosixPath(name).suffix in SUFFIXES


def stem(name: str) -> str:
    """The module's own name: `_C` of `vllm/_C.abi3.so`."""
    return PurePosixPath(name).name.split(".")[0]


def findings(name: str, read: Binary, said: FileName | None) -> Iterator[Finding]:
    """Why Python does not import a module of a wheel.

    Args:
        name: the member.
        read: the same, as the loader sees it.
        said: the wheel's name.
    """
    if stem(name) not in read.modules:
        what = f"has no PyInit_{stem(name)}: Python cannot import it by its name"
        yield problem(Subject.EXTENSIONS, what, name)
    between = ".".join(PurePosixPath(name).name.split(".")[1:-1])
    if said is not None and not any(finds(between, tag) for tag in said.tags):
        tags = ", ".join(sorted(map(str, said.tags)))
        what = f"is called .{between}{PurePosixPath(name).suffix}: no Python that takes {tags} looks for that"
        yield problem(Subject.EXTENSIONS, what, name)


def finds(between: str, tag: Tag) -> bool:
    """Whether a Python that installs `tag` looks for a module with this between its name and suffix.

    As importlib.machinery.EXTENSION_SUFFIXES says of CPython: `.cp312-win_amd64.pyd` and `.pyd` on Windows,
    `.cpython-312-x86_64-linux-gnu.so`, `.abi3.so` (not where Python is free-threaded) and `.so` on Linux.
    """
    if not between:
        return True
    windows = tag.platform.startswith("win")
    if between == STABLE:
        return not windows and not tag.abi.endswith("t")
    if tag.abi == STABLE:
        return False
    release = (tag.abi if tag.abi.startswith("cp") else tag.interpreter).removeprefix("cp")
    if windows:
        return between == f"cp{release}-{tag.platform}"
    return f"{between}-".startswith(f"cpython-{release}-")
