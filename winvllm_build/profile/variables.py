"""Profile values from environment variables and from the command line, both of which carry only text."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final, get_args, get_origin

from winvllm_build.errors import UsageError
from winvllm_build.profile.layers import Layer, nested
from winvllm_build.profile.model import FILE_ONLY, TABLES, fields, keys
from winvllm_build.profile.problem import KeyPath, LayerKind, Origin, Problem, dotted
from winvllm_build.profile.values import dependency_key
from winvllm_build.suggest import did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PREFIX: Final = "WINVLLM_"
SEPARATOR: Final = "__"
PROFILE_VARIABLE: Final = "WINVLLM_PROFILE"
WELL_KNOWN: Final[Mapping[str, KeyPath]] = MappingProxyType(
    {
        "CUDA_HOME": ("cuda", "home"),
        "TORCH_CUDA_ARCH_LIST": ("cuda", "arch_list"),
        "MAX_JOBS": ("build", "max_jobs"),
        "NVCC_THREADS": ("cuda", "nvcc_threads"),
        "CMAKE_BUILD_TYPE": ("build", "type"),
    }
)
"""Variables that vLLM's own build honours; not CUDA_PATH, which an installer sets for the whole machine."""
TRUE: Final = frozenset({"1", "true", "yes", "on"})
FALSE: Final = frozenset({"0", "false", "no", "off"})


def variable_of(key: KeyPath) -> str:
    """`WINVLLM_CUDA__ARCH_LIST` of `cuda.arch_list`."""
    return PREFIX + SEPARATOR.join(part.upper() for part in key)


def settable() -> tuple[KeyPath, ...]:
    """The keys that a variable or option may set."""
    return tuple(key for key in keys() if key not in FILE_ONLY)


def environment_layers(environment: Mapping[str, str]) -> tuple[tuple[Layer, Layer], tuple[Problem, ...]]:
    """The well-known variables and, above them, this tool's own; empty variables count as unset."""
    given = {name: value for name, value in environment.items() if value.strip()}
    known = {WELL_KNOWN[name]: (given[name], name) for name in WELL_KNOWN if name in given}
    own: dict[KeyPath, tuple[Any, str]] = {}
    problems: list[Problem] = []
    for name, value in sorted(given.items()):
        key = _key_of_variable(name)
        if key is not None:
            own[key] = (value, name)
        elif problem := _stray_variable(name):
            problems.append(problem)
    return (_layer(known, LayerKind.ENVIRONMENT), _layer(own, LayerKind.ENVIRONMENT)), tuple(problems)


def command_line_layer(overrides: Mapping[str, object]) -> tuple[Layer, tuple[Problem, ...]]:
    """The options of a command line by dotted key; None stands for an option that was not given."""
    values: dict[KeyPath, tuple[Any, str]] = {}
    problems: list[Problem] = []
    for name, value in overrides.items():
        key = _key_of_setting(name)
        if value is None:
            continue
        if key is None:
            origin = Origin(layer=LayerKind.COMMAND_LINE, source=name)
            problems.append(Problem(origin=origin, message=_unknown_setting(name)))
        elif key in TABLES and isinstance(value, Mapping):
            values |= {(*key, str(entry)): (content, name) for entry, content in value.items()}
        else:
            values[key] = (value, name)
    return _layer(values, LayerKind.COMMAND_LINE), tuple(problems)


def _key_of_setting(name: str) -> KeyPath | None:
    for key in settable():
        if name == dotted(key):
            return key
        start = dotted(key) + "."
        if key in TABLES and name.startswith(start) and len(name) > len(start):
            return (*key, name[len(start) :])
    return None


def _unknown_setting(name: str) -> str:
    if tuple(name.split(".")) in FILE_ONLY:
        return "stands in a file only; name the profile on the command line instead"
    return "unknown key" + did_you_mean(name, [dotted(key) for key in settable()])


def parse_setting(text: str) -> tuple[str, str]:
    """The key and value of `KEY=VALUE` as a `--set` option takes it.

    Raises:
        UsageError: there is no `=`, or nothing before it.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f'"{text}" is not KEY=VALUE', fix="--set build.max_jobs=4")
    return key.strip(), value


def from_text(key: KeyPath, text: str) -> object:
    """A text as the type its key wants, or unchanged where it does not read as one."""
    info = fields().get(key)
    annotation = info.annotation if info else str
    kinds = get_args(annotation) or (annotation,)
    word = text.strip()
    if bool in kinds:
        lowered = word.lower()
        return True if lowered in TRUE else False if lowered in FALSE else text
    if get_origin(annotation) is tuple and word.startswith("["):
        return _list_of(word)
    if (int in kinds or float in kinds) and re.fullmatch(r"[+-]?\d+", word):
        return int(word)
    if float in kinds and re.fullmatch(r"[+-]?\d*\.\d+", word):
        return float(word)
    return text


def _list_of(word: str) -> object:
    """A list as a profile writes it; a pattern such as `[a-c]*.cu` is none."""
    try:
        return tomllib.loads(f"list = {word}")["list"]
    except tomllib.TOMLDecodeError:
        return word


def _layer(values: Mapping[KeyPath, tuple[Any, str]], kind: LayerKind) -> Layer:
    typed = {key: from_text(key, raw) if isinstance(raw, str) else raw for key, (raw, _) in values.items()}
    return Layer(
        origin=Origin(layer=kind),
        table=nested(typed),
        origins={key: Origin(layer=kind, source=name) for key, (_, name) in values.items()},
    )


def _key_of_variable(name: str) -> KeyPath | None:
    exact = {variable_of(key): key for key in settable() if key not in TABLES}
    if name in exact:
        return exact[name]
    for table in TABLES:
        start = variable_of(table) + SEPARATOR
        if name.startswith(start) and len(name) > len(start):
            entry = name[len(start) :]
            return (*table, entry if table == ("environment",) else dependency_key(entry))
    return None


def _stray_variable(name: str) -> Problem | None:
    """A variable that looks as if it were meant for a profile; this tool's other variables are let be."""
    known = list(_known_variables())
    squashed = {re.sub("_+", "_", variable): variable for variable in known}
    single = re.sub("_+", "_", name)
    if not name.startswith(PREFIX) or (SEPARATOR not in name and single not in squashed):
        return None
    hint = f'; did you mean "{squashed[single]}"?' if single in squashed else did_you_mean(name, known)
    origin = Origin(layer=LayerKind.ENVIRONMENT, source=name)
    return Problem(origin=origin, message=f"sets no key of a profile{hint}")


def _known_variables() -> Iterator[str]:
    for key in settable():
        yield variable_of(key) + (f"{SEPARATOR}NAME" if key in TABLES else "")


def described(key: KeyPath) -> str:
    """The variable that sets a key, as the reference shows it; empty where none does."""
    if key in FILE_ONLY:
        return ""
    return f"{variable_of(key)}{SEPARATOR}NAME" if key in TABLES else variable_of(key)


def well_known_of(key: KeyPath) -> str:
    """The variable of vLLM's own build that sets a key, or nothing."""
    return next((name for name, sets in WELL_KNOWN.items() if sets == key), "")
