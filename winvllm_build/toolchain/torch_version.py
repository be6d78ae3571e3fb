"""Which torch a package folder holds, from its version.py; torch is not imported."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Final

VERSION_FILE: Final = "version.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchVersion:
    """What torch's version.py assigns."""

    version: str
    cuda: str | None
    hip: str | None


def parse_version_file(text: str) -> TorchVersion | None:
    """The values in a torch/version.py, without importing it."""
    values: dict[str, object] = {}
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):
        return None
    for node in body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
            values[target.id] = value.value
    version, cuda, hip = (values.get(name) for name in ("__version__", "cuda", "hip"))
    if not isinstance(version, str):
        return None
    return TorchVersion(
        version=version,
        cuda=cuda if isinstance(cuda, str) else None,
        hip=hip if isinstance(hip, str) else None,
    )


def read_version(package: Path) -> TorchVersion | None:
    try:
        return parse_version_file((package / VERSION_FILE).read_text("utf-8", "replace"))
    except OSError:
        return None
