"""The crates of a tree: which of them the build makes, and which files of theirs are only for tests."""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from winvllm_build.audit.config.rust_cfg import World
from winvllm_build.audit.files import Files
from winvllm_build.audit.hit import Blind

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MANIFEST: Final = "Cargo.toml"
BUILT: Final = re.compile(r"[\"']([\w/.-]+/Cargo\.toml)[\"']")
TABLES: Final = ("dependencies", "build-dependencies")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """One line of a manifest; `condition` is the `cfg` of its table, empty for every target."""

    crate: str
    features: tuple[str, ...]
    condition: str
    for_tests: bool
    optional: bool
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Crate:
    """One manifest with a package."""

    folder: str
    name: str
    dependencies: tuple[Dependency, ...]
    features: Mapping[str, tuple[str, ...]]

    @property
    def manifest(self) -> str:
        return posixpath.join(self.folder, MANIFEST)


class Crates:
    """Reads every manifest of a tree."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self.blind: list[Blind] = []
        manifests = [path for path in files.names if posixpath.basename(path) == MANIFEST]
        files.fetch(manifests)
        self._content = {path: self._toml(path) for path in manifests}
        self.crates = tuple(self._crates())
        builders = [path for path in ("setup.py", *files.below("tools")) if path.endswith(".py")]
        files.fetch(builders)
        self._builders = "\n".join(files.text(path) or "" for path in builders)
        self._built = self._reached()

    def is_built(self, path: str) -> bool:
        """Whether a file belongs to a crate that the build makes; where none is named, all are."""
        folder = self._folder(path)
        below = path[len(folder) + 1 :] if folder else path
        return folder in self._built and not below.startswith(("tests/", "benches/", "examples/"))

    def world(self, path: str, target: World) -> World:
        """A target with the features that the build gives a file's crate."""
        folder = self._folder(path)
        crate = next((crate for crate in self.crates if crate.folder == folder), None)
        if crate is None:
            return target
        return replace(target, values={**target.values, "feature": self._features(crate)})

    def _features(self, crate: Crate) -> tuple[str, ...]:
        """Those that setup.py names, the default ones, what built crates ask for; and what these bring."""
        waiting = [name for name in crate.features if name == "default" or f'"{name}"' in self._builders]
        for other in self.crates:
            if other.folder in self._built:
                asked = (one for one in other.dependencies if one.crate == crate.name and not one.for_tests)
                waiting += [feature for one in asked for feature in one.features]
        found: list[str] = []
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.append(name)
                waiting += crate.features.get(name, ())
        return tuple(found)

    def _folder(self, path: str) -> str:
        folders = [crate.folder for crate in self.crates if path.startswith(f"{crate.folder}/")]
        return max(folders, key=len, default="")

    def _crates(self) -> Iterator[Crate]:
        shared: dict[str, Any] = {}
        for content in self._content.values():
            shared |= _table(_table(content, "workspace"), "dependencies")
        for path, content in self._content.items():
            if "package" in content:
                yield Crate(
                    folder=posixpath.dirname(path), name=str(_table(content, "package").get("name")),
                    dependencies=tuple(_dependencies(content, shared)),
                    features={name: _texts(more) for name, more in _table(content, "features").items()},
                )  # fmt: skip

    def _reached(self) -> frozenset[str]:
        """The folders of the crates that setup.py or its helper builds, and of those that they need."""
        named = {match[1] for match in BUILT.finditer(self._builders)}
        by_name = {crate.name: crate for crate in self.crates}
        waiting = [crate for crate in self.crates if crate.manifest in named] or list(self.crates)
        found: set[str] = set() if self.crates else {""}
        while waiting:
            crate = waiting.pop()
            if crate.folder in found:
                continue
            found.add(crate.folder)
            waiting += [
                by_name[one.crate] for one in crate.dependencies if one.crate in by_name and not one.for_tests
            ]
        return frozenset(found)

    def _toml(self, path: str) -> Mapping[str, Any]:
        try:
            return tomllib.loads(self._files.text(path) or "")
        except tomllib.TOMLDecodeError as error:
            self.blind.append(Blind(path=path, why=f"not TOML: {error}"))
            return {}


def _dependencies(content: Mapping[str, Any], shared: Mapping[str, Any]) -> Iterator[Dependency]:
    yield from _tables(content, "", shared)
    for target, tables in _table(content, "target").items():
        condition = re.fullmatch(r"cfg\((.*)\)", str(target), re.DOTALL)
        yield from _tables(tables, condition[1] if condition else "", shared)


def _tables(tables: object, condition: str, shared: Mapping[str, Any]) -> Iterator[Dependency]:
    for table in (*TABLES, "dev-dependencies"):
        for key, entry in _table(tables, table).items():
            given = _entry(entry)
            common = _entry(shared.get(key, {})) if given.get("workspace") else {}
            yield Dependency(
                crate=str(given.get("package") or common.get("package") or key), key=key, condition=condition,
                features=(*_texts(common.get("features")), *_texts(given.get("features"))),
                for_tests=table == "dev-dependencies", optional=bool(given.get("optional")),
            )  # fmt: skip


def _entry(entry: object) -> Mapping[str, Any]:
    return entry if isinstance(entry, dict) else {}


def _table(content: object, name: str) -> Mapping[str, Any]:
    return _entry(_entry(content).get(name))


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
