"""Layers of values: each is checked on its own, then the later ones win."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from winvllm_build.profile.model import FOLDERS, SECTIONS, TABLES, Profile, keys
from winvllm_build.profile.problem import KeyPath, LayerKind, Origin, Problem, dotted
from winvllm_build.suggest import did_you_mean

PLAIN_WORDS = {
    "string_type": "expected a text in quotes",
    "string_unicode": "expected a text that can be written as UTF-8",
    "int_type": "expected a whole number",
    "bool_type": "expected true or false",
    "tuple_type": "expected a list",
    "dict_type": "expected a table",
    "mapping_type": "expected a table",
    "model_type": "expected a table",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """Values as they were written.

    Attributes:
        origin: the layer as a whole.
        table: the values, nested as in the file.
        origins: where each key was written; a key that is not listed stands where its nearest parent does.
        folder: where relative paths start, None to leave them as they are.
    """

    origin: Origin
    table: Mapping[str, Any]
    origins: Mapping[KeyPath, Origin] = field(default_factory=dict)
    folder: Path | None = None

    def origin_of(self, key: KeyPath) -> Origin:
        for end in range(len(key), 0, -1):
            if key[:end] in self.origins:
                return self.origins[key[:end]]
        return self.origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """The sound values of a layer by key, and its problems."""

    values: Mapping[KeyPath, Any]
    origins: Mapping[KeyPath, Origin]
    problems: tuple[Problem, ...]


def check(layer: Layer) -> Checked:
    """Validate one layer by itself, so that a value which a later layer hides is checked too."""
    try:
        partial = Profile.model_validate(dict(layer.table))
    except ValidationError as error:
        problems = _problems(error.errors(include_url=False), layer)
        return Checked(values={}, origins={}, problems=problems)
    values = {key: _placed(key, value, layer.folder) for key, value in _written(partial, ())}
    return Checked(values=values, origins={key: layer.origin_of(key) for key in values}, problems=())


def merge(layers: Sequence[Checked]) -> tuple[dict[KeyPath, Any], dict[KeyPath, Origin]]:
    """The winning value and origin of every key: that of the last layer which has it, else the default."""
    values: dict[KeyPath, Any] = dict(_defaults())
    origins = {key: Origin(layer=LayerKind.DEFAULT) for key in values}
    for layer in layers:
        values.update(layer.values)
        origins.update(layer.origins)
    return values, origins


def nested(values: Mapping[KeyPath, Any]) -> dict[str, Any]:
    """The values as the tables of a profile."""
    root: dict[str, Any] = {}
    for key, value in values.items():
        table = root
        for part in key[:-1]:
            table = table.setdefault(part, {})
        table[key[-1]] = value
    return root


def _defaults() -> Iterable[tuple[KeyPath, Any]]:
    default = Profile()
    for key in keys():
        if key not in TABLES:
            owner = getattr(default, key[0]) if len(key) > 1 else default
            yield key, getattr(owner, key[-1])


def _written(model: BaseModel, above: KeyPath) -> Iterable[tuple[KeyPath, Any]]:
    """The values that were given, not those that defaulted."""
    for name in model.model_fields_set:
        key, value = (*above, name), getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _written(value, key)
        elif key in TABLES:
            yield from (((*key, entry), content) for entry, content in value.items())
        else:
            yield key, value


def _placed(key: KeyPath, value: Any, folder: Path | None) -> Any:  # noqa: ANN401 - any value of a profile
    """A path made absolute; what is no path stays."""
    if not isinstance(value, str) or not (key in FOLDERS or key[:-1] in FOLDERS) or value in {"", "auto"}:
        return value
    bare_name = key == ("python", "executable") and not re.search(r"[/\\]", value)
    if bare_name or is_address(value) or PureWindowsPath(value).is_absolute():
        return value
    path = Path(value)
    if path.parts[:1] == ("~",):
        path = path.expanduser()
    return str(path if folder is None else folder / path)


def is_address(location: str) -> bool:
    """Whether a source location is a URL, or `host:path` as git and ssh write it."""
    return bool(re.match(r"[A-Za-z][A-Za-z0-9+.-]+://|[\w.-]+@[\w.-]+:", location))


def _problems(errors: Iterable[ErrorDetails], layer: Layer) -> tuple[Problem, ...]:
    found = []
    for error in errors:
        key = tuple(str(part) for part in error["loc"] if isinstance(part, str) and part != "[key]")
        found.append(Problem(origin=layer.origin_of(key), key=dotted(key), message=_explained(error, key)))
    return tuple(found)


def _explained(error: ErrorDetails, key: KeyPath) -> str:
    kind, value = error["type"], error["input"]
    if kind == "extra_forbidden":
        return f"unknown key{_nearest_key(key)}"
    if kind == "value_error":
        return error["msg"].removeprefix("Value error, ")
    plain = PLAIN_WORDS.get(kind) or _plain_limit(error)
    return f"{plain}, not {_shown(value)}"


def _plain_limit(error: ErrorDetails) -> str:
    """Pydantic's own words for a limit: `Input should be greater than or equal to 1`."""
    return (
        error["msg"].replace("Input should", "the value should").replace("String should", "the text should")
    )


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, str):
        return f'the text "{value}"'
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _nearest_key(key: KeyPath) -> str:
    """A hint for an unknown key: a sibling, or the same key in another table."""
    siblings = [known[-1] for known in keys() if known[:-1] == key[:-1]]
    if len(key) == 1:
        siblings += list(SECTIONS)
    elsewhere = [dotted(known) for known in keys() if known[-1] == key[-1]]
    if elsewhere:
        return f'; did you mean "{elsewhere[0]}"?'
    return did_you_mean(key[-1], siblings) or did_you_mean(key[-1], [known[-1] for known in keys()])
