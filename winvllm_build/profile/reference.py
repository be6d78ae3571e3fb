"""The reference of profile keys, written from the model so that it cannot fall behind it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import Enum
from typing import Any, Final

from pydantic.fields import FieldInfo

from winvllm_build.profile.model import SECTIONS, TABLES, Profile, fields
from winvllm_build.profile.problem import KeyPath
from winvllm_build.profile.values import OWNED_VARIABLES
from winvllm_build.profile.variables import FALSE, PROFILE_VARIABLE, TRUE, described, well_known_of

HEAD: Final = """# Profiles

<!-- Written by scripts/generate_profile_docs.py from winvllm_build/profile/model.py; edit the model. -->

A profile says what to build, for which cards and with what. It is a TOML file; every key is optional:

```toml
description = "my card"
inherit = "sm89"

[cuda]
home = 'C:/Program Files/NVIDIA GPU Computing Toolkit/CUDA/v13.0'

[build]
max_jobs = 4
```

## Where values come from

A later place wins; `winvllm-build profile show NAME` prints the place of every value.

1. the defaults below
2. the shipped profile (`winvllm-build profile list`)
3. the user's `config.toml`, then the user's `profiles/NAME.toml` (`winvllm-build profile path` prints the
   folder) or a file that is named by its path
4. the project's `winvllm-build.toml`, in the current folder or the nearest one above it
5. environment variables: first those of vLLM's own build, then `WINVLLM_*`
6. the command line

`inherit` puts the files of another profile below one's own, in the same place; the inherited profile may not
inherit again. When no profile is named, `{profile_variable}` names it, else `inherit` of the project's file,
else that of `config.toml`.

`CUDA_PATH`, which an installer writes for the whole machine, is no value of a profile: it is one of the
places where a toolkit is looked for while `cuda.home` is auto, and it is passed over when that toolkit does
not fit. `CUDA_HOME` sets `cuda.home`, so that a toolkit which does not fit is an error.

A variable's text is read as its key wants it: {true} and {false} for a switch, `8.6;12.0` for a list. An
empty variable counts as unset. In a file a relative folder starts at the file, elsewhere at the current
folder; `~` is the home folder.

No value may hold a newline, NUL or another control character, and none that becomes an element of a CMake
list may hold a `;`. Everything that is wrong is reported at once, with its file and line, variable or option.
"""


def render() -> str:
    """The whole page in Markdown."""
    head = HEAD.format(
        profile_variable=PROFILE_VARIABLE, true=", ".join(sorted(TRUE)), false=", ".join(sorted(FALSE))
    )
    tables = {"": None, **{name: model.__doc__ for name, model in SECTIONS.items()}}
    lines = [line for name, about in tables.items() for line in _section(name, about)]
    return "\n".join([head, *lines, *_environment()])


def _section(name: str, about: str | None) -> Iterator[str]:
    """A heading and a table of the keys directly in the TOML table `name`; empty for the top of the file."""
    yield f"## [{name}]" if name else "## Top of the file"
    yield ""
    if about:
        yield f"{about}\n"
    yield "| key | type | default | meaning | variable |"
    yield "|---|---|---|---|---|"
    for key, info in fields().items():
        if (key[:-1] == (name,) if name else len(key) == 1) and key != ("environment",):
            yield _row(key, info)
    yield ""


def _row(key: KeyPath, info: FieldInfo) -> str:
    variables = [f"`{v}`" for v in (described(key), well_known_of(key)) if v]
    cells = (f"`{key[-1]}`", _type(key), _default(info), info.description or "", ", ".join(variables))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _type(key: KeyPath) -> str:
    if key in TABLES:
        return "table of texts"
    schema: Any = Profile.model_json_schema()
    for part in key:
        node = schema["properties"][part] if "properties" in schema else {}
        schema = Profile.model_json_schema()["$defs"][_referred(node)] if _referred(node) else node
    return " or ".join(dict.fromkeys(_words(schema)))


def _referred(node: dict[str, Any]) -> str:
    return str(node.get("$ref", "")).rpartition("/")[2]


def _words(schema: dict[str, Any]) -> Iterator[str]:
    names = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    if "anyOf" in schema:
        for option in schema["anyOf"]:
            yield from _words(option)
    elif "enum" in schema:
        yield ", ".join(f"`{value}`" for value in schema["enum"])
    elif "const" in schema:
        yield f"`{schema['const']}`"
    elif schema.get("type") == "array":
        yield "list of texts"
    elif schema.get("type") in names:
        yield names[schema["type"]]


def _default(info: FieldInfo) -> str:
    value = info.get_default(call_default_factory=True)
    if value is None or value in ("", {}):
        return ""
    plain = value.value if isinstance(value, Enum) else value
    return f"`{json.dumps(plain)}`"


def _environment() -> Iterator[str]:
    yield "## [environment]"
    yield ""
    yield f"{fields()[('environment',)].description}\n"
    yield f"Each entry can also be set by `{described(('environment',))}`. Refused names:\n"
    yield "| variable | instead |"
    yield "|---|---|"
    for name, instead in OWNED_VARIABLES.items():
        yield f"| `{name}` | {instead} |"
    yield "| `*_SRC_DIR` | name the folder in source.dependencies |"
    yield ""
