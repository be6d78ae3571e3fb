"""What upstream's CMake made of the tree, read through CMake's file API (codemodel v2)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from winvllm_build.errors import ConfigureError

QUERY: Final = Path(".cmake", "api", "v1", "query", "codemodel-v2")
REPLY: Final = Path(".cmake", "api", "v1", "reply")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A CMake target; `kind` is CMake's word (MODULE_LIBRARY, UTILITY, ...), artifacts are build-relative."""

    name: str
    kind: str
    artifacts: tuple[str, ...]

    @property
    def is_extension(self) -> bool:
        return self.kind == "MODULE_LIBRARY"


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeModel:
    """All targets by name, and the install components."""

    targets: dict[str, Target]
    components: frozenset[str]

    def extensions(self) -> tuple[Target, ...]:
        return tuple(t for _, t in sorted(self.targets.items()) if t.is_extension)


def ask(build: Path) -> None:
    """Leave the query, so that the next configure answers it."""
    query = build / QUERY
    query.parent.mkdir(parents=True, exist_ok=True)
    query.touch()


def read(build: Path) -> CodeModel:
    """The answer of the last configure.

    Raises:
        ConfigureError: there is none, or it cannot be read.
    """
    try:
        index = max((build / REPLY).glob("index-*.json"))
        reply = json.loads(index.read_bytes())["reply"]["codemodel-v2"]["jsonFile"]
        configuration = _load(build, reply)["configurations"][0]
        targets = [_target(_load(build, t["jsonFile"])) for t in configuration["targets"]]
        components = {
            installer["component"]
            for folder in configuration["directories"]
            for installer in _load(build, folder["jsonFile"]).get("installers", [])
            if "component" in installer
        }
    except (ValueError, KeyError, IndexError, OSError) as error:
        raise ConfigureError(
            f"CMake left no readable codemodel in {build}: {error}", fix="run the build again with --fresh"
        ) from error
    return CodeModel(targets={t.name: t for t in targets}, components=frozenset(components))


def _load(build: Path, name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((build / REPLY / name).read_bytes())
    return loaded


def _target(raw: dict[str, Any]) -> Target:
    return Target(
        name=raw["name"],
        kind=raw["type"],
        artifacts=tuple(a["path"] for a in raw.get("artifacts", [])),
    )
