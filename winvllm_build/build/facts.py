"""What a tag says of itself, read from the checkout and never from a table in code."""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from winvllm_build.errors import SourceError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclass(frozen=True, slots=True, kw_only=True)
class TagFacts:
    """Facts of one vLLM tree.

    Attributes:
        requires_python: `requires-python` of pyproject.toml.
        build_requires: the `[build-system]` requirements.
        torch: the exact version of torch pinned there.
        extensions: dotted module names of `CMakeExtension(...)` in setup.py, whatever the device.
        supported_archs: every architecture named in a CUDA_SUPPORTED_ARCHS line of CMakeLists.txt.
        cuda: CUDA releases the patch set is made for; no file of the tag says it.
    """

    requires_python: SpecifierSet
    build_requires: tuple[Requirement, ...]
    torch: str
    extensions: tuple[str, ...]
    supported_archs: frozenset[str]
    cuda: SpecifierSet = field(default_factory=SpecifierSet)


def read(tree: Path) -> TagFacts:
    """Read the facts of a tree.

    Raises:
        SourceError: a file is missing or does not look like vLLM's.
    """
    try:
        project = tomllib.loads((tree / "pyproject.toml").read_text("utf-8"))
        setup = (tree / "setup.py").read_text("utf-8")
        lists = (tree / "CMakeLists.txt").read_text("utf-8")
        requires = tuple(Requirement(line) for line in project["build-system"]["requires"])
        python = SpecifierSet(project["project"]["requires-python"])
    except (OSError, KeyError, ValueError) as error:
        raise SourceError(f"{tree} does not look like a vLLM tree: {error}") from error
    return TagFacts(
        requires_python=python,
        build_requires=requires,
        torch=_torch_pin(requires, tree),
        extensions=_extensions(setup),
        supported_archs=supported_archs(lists),
    )


def _torch_pin(requires: tuple[Requirement, ...], tree: Path) -> str:
    for requirement in requires:
        if requirement.name == "torch":
            for specifier in requirement.specifier:
                if specifier.operator == "==":
                    return specifier.version
    raise SourceError(f"{tree / 'pyproject.toml'} pins no torch==VERSION in [build-system] requires")


def _extensions(setup: str) -> tuple[str, ...]:
    found: list[str] = []
    for node in ast.walk(ast.parse(setup)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "CMakeExtension"
        ):
            names = [k.value for k in node.keywords if k.arg == "name"]
            found += [n.value for n in names if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return tuple(dict.fromkeys(found))


def supported_archs(lists: str) -> frozenset[str]:
    """Every architecture that a CMakeLists.txt of vLLM supports with one CUDA release or another."""
    quoted = re.findall(r'set\(CUDA_SUPPORTED_ARCHS\s+"([^"]*)"\)', lists)
    return frozenset(arch for line in quoted for arch in line.split(";") if arch)
