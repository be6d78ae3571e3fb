"""What a tag expects of the machine: Python, torch, CUDA, language standards, requirements."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement

from winvllm_build.errors import SourceError
from winvllm_build.intake.checkout import Checkout

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT: Final = "pyproject.toml"
ENVIRONMENT: Final = "vllm/envs.py"
MAIN_CUDA: Final = "VLLM_MAIN_CUDA_VERSION"
TORCH: Final = ("torch", "torchvision", "torchaudio")
REQUIREMENT_FILES: Final = re.compile(r"requirements/(?:common|cuda|build|build/(?:cuda|rust))\.txt")
"""Those of a CUDA build; the others are other devices', tests and documentation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """Read from the tag's own files.

    Attributes:
        python: `requires-python`.
        torch: the exact version that building takes.
        main_cuda: the CUDA release of upstream's own wheels; empty where the tag names none.
        build_requires: `[build-system]`'s requirements, as they stand.
        requirements: the lines of each requirements file of a CUDA build, comments left out.
    """

    python: str
    torch: str
    main_cuda: str
    build_requires: tuple[str, ...]
    requirements: Mapping[str, tuple[str, ...]]

    @property
    def pinned(self) -> Mapping[str, str]:
        """The exact versions of torch and what has to fit it, from the requirements for CUDA."""
        found: dict[str, str] = {}
        for line in self.requirements.get("requirements/cuda.txt", ()):
            requirement = _requirement(line)
            if requirement is not None and requirement.name in TORCH:
                found[requirement.name] = _exact(requirement)
        return found


def read(checkout: Checkout) -> Expectations:
    """Read the expectations.

    Raises:
        SourceError: pyproject.toml is missing or does not look like vLLM's.
    """
    files = [path for path in checkout.entries if REQUIREMENT_FILES.fullmatch(path)]
    checkout.fetch([PROJECT, ENVIRONMENT, *files])
    try:
        project: dict[str, Any] = tomllib.loads(checkout.text(PROJECT))
        requires = tuple(str(line) for line in project["build-system"]["requires"])
        python = str(project["project"]["requires-python"])
    except (KeyError, TypeError, tomllib.TOMLDecodeError) as error:
        raise SourceError(f"{PROJECT} of {checkout.name} does not look like vLLM's: {error}") from error
    requirements = {path: _lines(checkout.text(path)) for path in sorted(files)}
    return Expectations(
        python=python, torch=_torch(checkout, requires), main_cuda=_main_cuda(checkout),
        build_requires=requires, requirements=requirements,
    )  # fmt: skip


def _torch(checkout: Checkout, requires: tuple[str, ...]) -> str:
    for line in requires:
        requirement = _requirement(line)
        if requirement is not None and requirement.name == "torch" and (exact := _exact(requirement)):
            return exact
    raise SourceError(f"{PROJECT} of {checkout.name} pins no torch==VERSION in [build-system] requires")


def _main_cuda(checkout: Checkout) -> str:
    """`VLLM_MAIN_CUDA_VERSION: str = "13.0"`; the other place is a function that only this one feeds."""
    text = checkout.optional_text(ENVIRONMENT)
    for node in ast.walk(ast.parse(text)) if text is not None else ():
        match node:
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=str(value))):
                if name == MAIN_CUDA:
                    return value
            case _:
                pass
    return ""


def _lines(text: str) -> tuple[str, ...]:
    """The requirements of a file: no comments, no options, white space as one blank."""
    stripped = (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.replace("\\\n", " ").splitlines())
    return tuple(re.sub(r"\s+", " ", line) for line in stripped if line and not line.startswith("-"))


def _requirement(line: str) -> Requirement | None:
    try:
        return Requirement(line)
    except InvalidRequirement:
        return None


def _exact(requirement: Requirement) -> str:
    return next((x.version for x in requirement.specifier if x.operator == "=="), "")
