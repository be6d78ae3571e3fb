"""From a name to a profile: the files, the environment and the command line, laid over each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from winvllm_build.profile import files, variables
from winvllm_build.profile.files import FileStack, ProfileRoots, ProfileSummary
from winvllm_build.profile.layers import Checked, check, merge, nested
from winvllm_build.profile.model import Profile
from winvllm_build.profile.problem import InvalidProfileError, LayerKind, Origin, dotted

__all__ = [
    "ProfileRoots",
    "ProfileSummary",
    "ResolvedProfile",
    "available",
    "resolve",
    "schema",
]

FIX: Final = "correct the places above; `winvllm-build profile schema` lists every key"
available = files.available


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedProfile:
    """A profile with the origin of each of its values.

    Attributes:
        name: the profile that was asked for.
        profile: the values.
        origins: dotted key to where its value was written.
        notes: what a user may not expect, such as a variable that replaces a value of a file.
    """

    name: str
    profile: Profile
    origins: Mapping[str, Origin]
    notes: tuple[str, ...] = ()


def schema() -> dict[str, Any]:
    """The JSON schema of a profile file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Profile.model_json_schema()}


def resolve(
    name: str | None,
    *,
    roots: ProfileRoots,
    environment: Mapping[str, str],
    overrides: Mapping[str, object],
) -> ResolvedProfile:
    """The profile of that name, and over it the project's, the environment's and the command line's values.

    Args:
        name: the profile or the path of its file; None for `WINVLLM_PROFILE`, else what the project's or
            the user's file inherits.
        roots: where files are looked for.
        environment: the variables to read, usually `os.environ`.
        overrides: values of the command line by dotted key, as text or typed; None means not given.

    Raises:
        InvalidProfileError: with every problem of every layer.
    """
    variable = environment.get(variables.PROFILE_VARIABLE, "").strip()
    stack = files.stack(name, variable=variable, roots=roots)
    (well_known, own), stray = variables.environment_layers(environment)
    options, unknown = variables.command_line_layer(overrides)
    checked = [check(layer) for layer in (*stack.layers, well_known, own, options)]
    problems = [*stack.problems, *(p for layer in checked for p in layer.problems), *stray, *unknown]
    if problems:
        raise InvalidProfileError(problems, fix=FIX)
    values, origins = merge(checked)
    _say_inherited(stack, values, origins)
    count = len(stack.layers)
    return ResolvedProfile(
        name=stack.name,
        profile=Profile.model_validate(nested(values)),
        origins=MappingProxyType({dotted(key): origin for key, origin in origins.items()}),
        notes=tuple(_replacements(checked[:count], checked[count])),
    )


def _say_inherited(
    stack: FileStack, values: dict[tuple[str, ...], Any], origins: dict[tuple[str, ...], Origin]
) -> None:
    """Let `inherit` tell what was inherited, not what a file would take if no profile were named."""
    parent, origin = stack.inherited or (None, Origin(layer=LayerKind.DEFAULT))
    values[("inherit",)], origins[("inherit",)] = parent, origin


def _replacements(below: Sequence[Checked], well_known: Checked) -> Iterator[str]:
    """Where a variable of vLLM's own build replaces a value that a file sets."""
    values, origins = merge(below)
    for key, value in well_known.values.items():
        if origins[key].layer is not LayerKind.DEFAULT and values[key] != value:
            yield f"{well_known.origins[key]} replaces {dotted(key)} of {origins[key]}"
