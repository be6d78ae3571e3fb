"""The files a profile is made of: which exist, which one is meant, and what they hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import platformdirs

from winvllm_build.profile import tomlfile
from winvllm_build.profile.layers import Layer
from winvllm_build.profile.problem import LayerKind, Origin, Problem
from winvllm_build.profile.values import dependency_key
from winvllm_build.profile.variables import PROFILE_VARIABLE
from winvllm_build.suggest import did_you_mean

PROJECT_FILE: Final = "winvllm-build.toml"
USER_FILE: Final = "config.toml"
UNNAMED: Final = "default"
"""The profile that is taken when nothing names one: the defaults under the user's and the project's files."""
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileRoots:
    """Where profiles are looked for.

    Attributes:
        shipped: the folder of the profiles that come with the tool.
        user: the user's configuration folder; it holds `config.toml` and `profiles/NAME.toml`.
        project: the project's `winvllm-build.toml`, if there is one.
    """

    shipped: Path
    user: Path
    project: Path | None = None

    @property
    def user_profiles(self) -> Path:
        return self.user / "profiles"

    @property
    def user_file(self) -> Path:
        return self.user / USER_FILE

    @property
    def profile_folders(self) -> tuple[tuple[LayerKind, Path], ...]:
        return (LayerKind.SHIPPED, self.shipped), (LayerKind.USER, self.user_profiles)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSummary:
    """One profile that can be named."""

    name: str
    description: str
    path: Path
    layer: LayerKind


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStack:
    """The files of one resolution.

    Attributes:
        name: the profile they make.
        layers: lowest first.
        inherited: the value of `inherit` that counted and where it is written: in the project's or the
            user's file where that named the profile, else in the profile itself.
        problems: what is wrong with files and names.
    """

    name: str
    layers: tuple[Layer, ...]
    inherited: tuple[str, Origin] | None
    problems: tuple[Problem, ...]


def user_folder() -> Path:
    """The platform's configuration folder for this tool."""
    return platformdirs.user_config_path("winvllm-build", appauthor=False)


def find_project(start: Path) -> Path | None:
    """The nearest `winvllm-build.toml` in `start` or a folder above it."""
    start = start.absolute()
    return next((p for folder in (start, *start.parents) if (p := folder / PROJECT_FILE).is_file()), None)


def available(roots: ProfileRoots) -> list[ProfileSummary]:
    """Every profile that can be named; a user's file stands for the shipped one it refines."""
    found: dict[str, ProfileSummary] = {}
    for layer, folder in roots.profile_folders:
        for name, path in _named_files(folder).items():
            read = tomlfile.read(path, Origin(layer=layer, source=str(path)))
            if isinstance(read, Problem):
                description = f"unusable: {read.message}"
            else:
                below = found[name].description if name in found else ""
                description = str(read.table.get("description", below))
            found[name] = ProfileSummary(name=name, description=description, path=path, layer=layer)
    return sorted(found.values(), key=lambda summary: (summary.layer.rank, summary.name))


def file_layer(path: Path, kind: LayerKind) -> Layer | Problem:
    """The values of one file, or why it cannot be read."""
    origin = Origin(layer=kind, source=str(path))
    read = tomlfile.read(path, origin)
    if isinstance(read, Problem):
        return read
    origins = {key: origin.at(line) for key, line in read.lines.items()}
    for key, line in read.lines.items():
        if key[:-1] == ("source", "dependencies"):
            origins[("source", "dependencies", dependency_key(key[-1]))] = origin.at(line)
    return Layer(origin=origin, table=read.table, origins=origins, folder=path.absolute().parent)


def stack(asked: str | None, *, variable: str | None, roots: ProfileRoots) -> FileStack:
    """The files of the profile that is meant.

    Args:
        asked: the name, or the path of a TOML file, given on the command line.
        variable: the value of `WINVLLM_PROFILE`.
        roots: where files are looked for.
    """
    problems: list[Problem] = []
    user = _sound(_optional(roots.user_file, LayerKind.USER), problems)
    project = _sound(_optional(roots.project, LayerKind.PROJECT), problems)
    name, origin = _meant(asked, variable, [*project, *user])
    by_file = name in {asked, variable} and is_file_name(name)
    read = [file_layer(Path(name), LayerKind.USER)] if by_file else _layers_of(name, roots)
    own = _sound(read, problems)
    if not own and name != UNNAMED and not problems:
        problems.append(_no_such_profile(name, origin, roots))
    parent = next(_inherited(reversed(own)), None)
    base = _sound(_layers_of(parent[0], roots), problems) if parent else []
    if parent:
        problems += _chain_problems(name, parent, base, roots)
    layers = sorted([*user, *base, *own, *project], key=lambda layer: layer.origin.layer.rank)
    return FileStack(
        name=name,
        layers=tuple(layers),
        inherited=parent if origin is None or origin.layer is LayerKind.ENVIRONMENT else (name, origin),
        problems=tuple(problems),
    )


def _meant(asked: str | None, variable: str | None, files: list[Layer]) -> tuple[str, Origin | None]:
    """The profile's name and, unless it stands on the command line, where that name is written."""
    if asked:
        return asked, None
    if variable:
        return variable, Origin(layer=LayerKind.ENVIRONMENT, source=PROFILE_VARIABLE)
    return next(_inherited(files), (UNNAMED, None))


def _chain_problems(
    name: str, parent: tuple[str, Origin], base: list[Layer], roots: ProfileRoots
) -> Iterator[Problem]:
    parent_name, origin = parent
    if parent_name == name:
        yield Problem(origin=origin, key="inherit", message=f'a cycle: "{name}" inherits itself')
        return
    if not base:
        yield _no_such_profile(parent_name, origin, roots)
    for further, _ in _inherited(base):
        chain = f"{name} -> {parent_name} -> {further}"
        message = (
            f"a cycle: {chain}" if further == name else f"one level is allowed, this is a chain: {chain}"
        )
        yield Problem(origin=origin, key="inherit", message=message)


def _inherited(layers: list[Layer] | Iterator[Layer]) -> Iterator[tuple[str, Origin]]:
    for layer in layers:
        name = layer.table.get("inherit")
        if isinstance(name, str) and name:
            yield name, layer.origin_of(("inherit",))


def _layers_of(name: str, roots: ProfileRoots) -> list[Layer | Problem]:
    """The shipped and the user's file of a name; a name is looked up, never joined to a path."""
    files = ((kind, _named_files(folder).get(name)) for kind, folder in roots.profile_folders)
    return [file_layer(path, kind) for kind, path in files if path]


def is_file_name(asked: str) -> bool:
    """Whether a profile is asked for by the path of its file."""
    return asked.lower().endswith(".toml") or "/" in asked or "\\" in asked


def _named_files(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob("*.toml")) if NAME.fullmatch(path.stem)}


def _optional(path: Path | None, kind: LayerKind) -> list[Layer | Problem]:
    return [file_layer(path, kind)] if path and path.exists() else []


def _sound(read: list[Layer | Problem], problems: list[Problem]) -> list[Layer]:
    problems += [entry for entry in read if isinstance(entry, Problem)]
    return [entry for entry in read if isinstance(entry, Layer)]


def _no_such_profile(name: str, origin: Origin | None, roots: ProfileRoots) -> Problem:
    known = {known for _, folder in roots.profile_folders for known in _named_files(folder)}
    hint = did_you_mean(name, known) or f"; there are {', '.join(sorted(known)) or 'none'}"
    key = "inherit" if origin and origin.line else ""
    return Problem(origin=origin, key=key, message=f'there is no profile named "{name}"{hint}')
