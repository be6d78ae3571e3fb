"""The kinds of value a profile holds, each refusing what could not reach a compiler unharmed."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Annotated, Final, Literal, TypeVar

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import AfterValidator, BeforeValidator

from winvllm_build import arch
from winvllm_build.suggest import did_you_mean

UNSAFE_CATEGORIES: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories that end a line, end a C string or cannot be encoded."""
TAG: Final = re.compile(r"v\d+\.\d+(\.\d+)*[0-9A-Za-z.+-]*")
TARGET: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
LAYER: Final = re.compile(r"[a-z0-9][a-z0-9_-]*")
ENDPOINT: Final = re.compile(r"(rediss?|https?)://[A-Za-z0-9.\-\[\]:]+(/[A-Za-z0-9._/-]*)?")
INDEX_ADDRESS: Final = re.compile(r"(https?://[A-Za-z0-9.\-\[\]:]+|file://)(/[A-Za-z0-9._/:%+-]*)?")
CACHE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")
ACTED_ON: Final = re.compile(r"[$`%;&|<>()^!]")
VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

OWNED_VARIABLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "CC": "it follows CXX of the real environment",
        "CL": "it changes every compiler call unseen; use CXXFLAGS",
        "CMAKE_ARGS": "only setup.py reads it, and the tool calls CMake itself; use CXXFLAGS or CUDAFLAGS",
        "CMAKE_BUILD_PARALLEL_LEVEL": "set build.max_jobs",
        "CMAKE_BUILD_TYPE": "set build.type",
        "CMAKE_GENERATOR": "the tool drives Ninja",
        "CUDACXX": "set cuda.home",
        "CUDAHOSTCXX": "it is the compiler that is found",
        "CUDA_HOME": "set cuda.home",
        "CUDA_PATH": "set cuda.home",
        "CXX": "set it in the real environment, where the compiler is looked for",
        "FETCHCONTENT_BASE_DIR": "the tool keeps one folder per tag",
        "INCLUDE": "it comes from the compiler that is found",
        "LIB": "it comes from the compiler that is found",
        "LIBPATH": "it comes from the compiler that is found",
        "MAX_JOBS": "set build.max_jobs",
        "NVCC_THREADS": "set cuda.nvcc_threads",
        "PATH": "the tool composes it from cuda.home, python.executable and the compiler",
        "PYTHONHOME": "set python.executable",
        "PYTHONPATH": "set python.executable",
        "SETUPTOOLS_SCM_PRETEND_VERSION": "the tool composes the wheel's version",
        "SETUPTOOLS_SCM_PRETEND_VERSION_FOR_VLLM": "the tool composes the wheel's version",
        "TORCH_CUDA_ARCH_LIST": "set cuda.arch_list",
        "VLLM_PYTHON_EXECUTABLE": "set python.executable",
        "VLLM_TARGET_DEVICE": "it is always cuda",
        "VLLM_VERSION_OVERRIDE": "the tool composes the wheel's version",
    }
)
"""Variables the tool sets itself or does not read, with the key to set instead."""
CREDENTIAL: Final = re.compile(r"(^|_)(TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|ACCESS_KEY|API_KEY)(_|$)")
"""Names of variables whose values are nobody's business."""
DEPENDENCY_FOLDER: Final = re.compile(r"\w+_SRC_DIR")
"""By such variables upstream's CMake takes the folder of a vendored dependency."""


def safe_text(value: str) -> str:
    """The value itself.

    Raises:
        ValueError: it holds a newline, NUL or another character that no command line carries.
    """
    for position, character in enumerate(value):
        if unicodedata.category(character) in UNSAFE_CATEGORIES:
            name = {"\n": "a newline", "\0": "a NUL", "\r": "a carriage return", "\t": "a tab"}.get(character)
            shown = name or f"the control character U+{ord(character):04X}"
            raise ValueError(f"holds {shown} at character {position + 1}; remove it")
    return value


def cmake_text(value: str) -> str:
    """Safe text that CMake reads as one element.

    Raises:
        ValueError: it is unsafe, holds a `;` or reads as an option.
    """
    if ";" in safe_text(value):
        raise ValueError('holds a ";", which separates list elements in CMake; remove it')
    if value.startswith("-"):
        raise ValueError('starts with a "-", which programs read as an option')
    return value


def split_list(value: object) -> object:
    """A list as a tuple; one string is split at `;` or `,`."""
    if isinstance(value, str):
        return tuple(part.strip() for part in re.split(r"[;,]", value) if part.strip())
    return tuple(value) if isinstance(value, list) else value


Chosen = TypeVar("Chosen", bound=Enum)


def choice_of(kind: type[Chosen]) -> Callable[[object], Chosen]:
    """A reader of one enum value, written exactly."""
    values = [str(member.value) for member in kind]

    def read(value: object) -> Chosen:
        if isinstance(value, kind):
            return value
        if isinstance(value, str) and value in values:
            return kind(value)
        shown = f'"{value}"' if isinstance(value, str) else repr(value)
        hint = did_you_mean(value, values) if isinstance(value, str) else ""
        raise ValueError(f"expected one of {', '.join(values)}, not {shown}{hint}")

    return read


def auto_or_count(value: object) -> object:
    """`"auto"` or a whole number from 1."""
    if value == "auto" or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise ValueError(f'expected "auto" or a whole number from 1, not {_shown(value)}{_near_auto(value)}')


def auto_or_size(value: object) -> object:
    """`"auto"` or a size in GiB above 0."""
    if value == "auto":
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf"):
        return float(value)
    raise ValueError(f'expected "auto" or a number of GiB above 0, not {_shown(value)}{_near_auto(value)}')


def auto_or_share(value: object) -> object:
    """`"auto"` or a share above 0, 1 at most."""
    if value == "auto":
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= 1:
        return float(value)
    raise ValueError(f'expected "auto" or a share such as 0.85, not {_shown(value)}{_near_auto(value)}')


def auto_or_switch(value: object) -> object:
    """`"auto"`, true or false."""
    if value == "auto" or isinstance(value, bool):
        return value
    raise ValueError(f'expected "auto", true or false, not {_shown(value)}{_near_auto(value)}')


def index_address(value: str) -> str:
    """The address of a package index; it stands in commands that are shown, so no credential may be in it."""
    safe_text(value)
    if "@" in value.partition("://")[2].partition("/")[0]:
        raise ValueError("holds a user or password; name those in pip's own settings (pip config)")
    if not INDEX_ADDRESS.fullmatch(value):
        raise ValueError(f'"{value}" is not the address of an index; it starts with https:// or file:///')
    return value


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _near_auto(value: object) -> str:
    if isinstance(value, str) and value.strip().isdecimal():
        return f"; write {value.strip()} without quotes"
    return did_you_mean(value, ["auto"]) if isinstance(value, str) else ""


def endpoint(value: str) -> str:
    """The address of a cache server; whoever reads a profile must not learn a password from it."""
    cmake_text(value)
    if "@" in value.partition("://")[2].partition("/")[0]:
        raise ValueError("holds a user or password; name those in the environment (docs/ci.md says which)")
    if not ENDPOINT.fullmatch(value):
        raise ValueError('is not an address; write it like "redis://cache.example:6379"')
    return value


def cache_name(value: str) -> str:
    """The name of a bucket or region, or the prefix of keys."""
    if CACHE_NAME.fullmatch(value):
        return value
    raise ValueError(f'"{value}" may hold letters, digits and . _ - / only')


def tag(value: str) -> str:
    """A vLLM tag; it becomes a folder name, so nothing else is let through."""
    if TAG.fullmatch(value):
        return value
    hint = f'; did you mean "v{value}"?' if TAG.fullmatch(f"v{value}") else ', written like "v0.14.1"'
    raise ValueError(f'"{value}" is not a vLLM tag{hint}')


def target(value: str) -> str:
    """The name of a CMake target."""
    if TARGET.fullmatch(value):
        return value
    raise ValueError(f'"{value}" is not the name of a build target; write it like "_moe_C"')


def layer(value: str) -> str:
    """The name of a layer of patches."""
    if LAYER.fullmatch(value):
        return value
    raise ValueError(f'"{value}" is not the name of a layer; it is lower-case letters, digits, - and _')


def source_pattern(value: str) -> str:
    """A shell pattern of source files inside vLLM's tree."""
    cmake_text(value)
    if "\\" in value:
        raise ValueError(f'"{value}" has a backslash; write "{value.replace(chr(92), "/")}"')
    parts = PurePosixPath(value).parts
    if not parts or value.startswith("/") or ".." in parts or ":" in parts[0]:
        raise ValueError(f'"{value}" must lie inside vLLM\'s tree, like "csrc/attention/*.cu"')
    return value


def specifier(value: str) -> str:
    """A version specifier of the packaging standard, such as `>=12.6,<14`."""
    try:
        SpecifierSet(safe_text(value))
    except InvalidSpecifier:
        hint = (
            f'; did you mean "=={value}.*"?' if re.fullmatch(r"\d+(\.\d+)*", value) else ', like ">=12.6,<14"'
        )
        raise ValueError(f'"{value}" is not a version specifier{hint}') from None
    return value


def auto_or_specifier(value: str) -> str:
    """`"auto"` or a version specifier."""
    return value if value == "auto" else specifier(value)


def empty_is_unset(value: object) -> object:
    """An empty text takes back what a lower layer set."""
    return None if value == "" else value


def dependency_key(name: str) -> str:
    """A dependency's name as it is compared: lower case, `-` for `_`."""
    return re.sub(r"[-_.]+", "-", name).lower()


def dependency_name(name: str) -> str:
    """The comparable form of a dependency's name."""
    if not TARGET.fullmatch(name):
        raise ValueError("is not the name of a dependency; write it like cutlass")
    return dependency_key(name)


def variable_name(name: str) -> str:
    """The name of an environment variable that is the user's to set."""
    if not VARIABLE.fullmatch(name):
        raise ValueError(f"{name!r} is not a valid variable name")
    if name.upper() in OWNED_VARIABLES:
        raise ValueError(f"the tool sets {name} itself: {OWNED_VARIABLES[name.upper()]}")
    if DEPENDENCY_FOLDER.fullmatch(name.upper()):
        raise ValueError(f"the tool sets {name} itself: name the folder in source.dependencies")
    if name.upper().startswith("SCCACHE_"):
        raise ValueError(f"the tool sets {name} itself: set the keys of [cache]")
    if CREDENTIAL.search(name.upper()):
        raise ValueError(
            f"{name} reads like a credential, and a profile holds none; leave it in the environment"
        )
    if name.upper().startswith("WINVLLM_"):
        raise ValueError(f"{name} configures this tool; set it in the real environment")
    return name


def apart_on_windows(variables: Mapping[str, str]) -> Mapping[str, str]:
    """The variables.

    Raises:
        ValueError: two names differ in case only.
    """
    seen: dict[str, str] = {}
    for name in variables:
        if name.upper() in seen:
            raise ValueError(f"{seen[name.upper()]} and {name} are one variable on Windows")
        seen[name.upper()] = name
    return variables


def flags_are_words(variables: Mapping[str, str]) -> Mapping[str, str]:
    """The variables.

    Raises:
        ValueError: one of compiler flags holds what a shell, cmd or CMake acts on.
    """
    for name, value in variables.items():
        found = ACTED_ON.search(value) if name.upper().endswith("FLAGS") else None
        if found:
            raise ValueError(
                f"{name} holds {found[0]} at character {found.start() + 1}: flags are part of command lines, "
                "where a shell acts on it; remove it"
            )
    return variables


Text = Annotated[str, AfterValidator(safe_text)]
CMakeText = Annotated[str, AfterValidator(cmake_text)]
OptionalCMakeText = Annotated[CMakeText | None, BeforeValidator(empty_is_unset)]
Tag = Annotated[str, AfterValidator(tag)]
ArchList = Annotated[tuple[str, ...], BeforeValidator(arch.parsed, json_schema_input_type=list[str] | str)]
TargetNames = Annotated[
    tuple[Annotated[str, AfterValidator(target)], ...],
    BeforeValidator(split_list, json_schema_input_type=list[str] | str),
]
LayerNames = Annotated[
    tuple[Annotated[str, AfterValidator(layer)], ...],
    BeforeValidator(split_list, json_schema_input_type=list[str] | str),
]
SourcePatterns = Annotated[
    tuple[Annotated[str, AfterValidator(source_pattern)], ...],
    BeforeValidator(split_list, json_schema_input_type=list[str] | str),
]
OptionalEndpoint = Annotated[Annotated[str, AfterValidator(endpoint)] | None, BeforeValidator(empty_is_unset)]
OptionalCacheName = Annotated[
    Annotated[str, AfterValidator(cache_name)] | None, BeforeValidator(empty_is_unset)
]
Specifier = Annotated[str, AfterValidator(specifier)]
AutoOrSpecifier = Annotated[str, AfterValidator(auto_or_specifier)]
AutoOrCount = Annotated[
    int | Literal["auto"], BeforeValidator(auto_or_count, json_schema_input_type=int | Literal["auto"])
]
AutoOrSize = Annotated[
    float | Literal["auto"], BeforeValidator(auto_or_size, json_schema_input_type=float | Literal["auto"])
]
AutoOrShare = Annotated[
    float | Literal["auto"], BeforeValidator(auto_or_share, json_schema_input_type=float | Literal["auto"])
]
AutoOrSwitch = Annotated[
    bool | Literal["auto"], BeforeValidator(auto_or_switch, json_schema_input_type=bool | Literal["auto"])
]
IndexAddresses = Annotated[
    tuple[Annotated[str, AfterValidator(index_address)], ...],
    BeforeValidator(split_list, json_schema_input_type=list[str] | str),
]
DependencyFolders = Mapping[Annotated[str, AfterValidator(dependency_name)], CMakeText]
Variables = Annotated[
    Mapping[Annotated[str, AfterValidator(variable_name)], Text],
    AfterValidator(apart_on_windows),
    AfterValidator(flags_are_words),
]
