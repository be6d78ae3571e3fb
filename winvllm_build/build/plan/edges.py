"""Every compile and link edge of a configured build, as CMake and ninja really have them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Final

from winvllm_build import process
from winvllm_build.build.engine.edge import Edge, Language, work_key
from winvllm_build.build.plan import setting as settings
from winvllm_build.build.plan import words
from winvllm_build.build.plan.setting import Setting
from winvllm_build.errors import ConfigureError

TARGET: Final = re.compile(r"(?:^|/)CMakeFiles/(?P<name>[^/]+)\.dir/")
OBJECT: Final = frozenset({".o", ".obj"})
LIBRARY: Final = frozenset({".so", ".pyd", ".dll", ".dylib", ".a", ".lib", ".exe"})
GENCODE: Final = re.compile(r"^(?:-gencode|--generate-code)(?:=(?P<value>.*))?$")
CODE: Final = re.compile(r"code=\[?([\w,]+)\]?")
ARCH: Final = re.compile(r"^(?:-arch|--gpu-architecture)(?:=(?P<value>.*))?$")

PREFIX_MAP: Final = "-ffile-prefix-map="
"""Names every folder in every command, so that objects hold none of them."""


def read(build: Path, targets: Sequence[str] = (), *, setting: Setting | None = None) -> tuple[Edge, ...]:
    """The edges that make `targets` from nothing, in ninja's order; a link comes after its objects.

    Args:
        build: a configured build folder.
        targets: names or output paths, as ninja knows them; empty for the default target.
        setting: what `setting.read` says of the folder, if the caller has it.

    Raises:
        ConfigureError: the folder is not configured, or its graph cannot be read.
    """
    here = setting or settings.read(build)
    everything = _ask(here, "-t", "compdb")
    expanded = _ask(here, "-t", "compdb", "-x")
    try:
        plain, entries = json.loads(everything), json.loads(expanded)
    except ValueError as error:
        raise _unreadable(build, str(error)) from error
    wanted = set(_ask(here, "-t", "commands", *targets).splitlines())
    chosen = [full for full, entry in zip(entries, plain, strict=True) if entry["command"] in wanted]
    return tuple(of(chosen, here))


def of(entries: Iterable[Mapping[str, Any]], setting: Setting) -> Iterator[Edge]:
    """The edges of a compilation database; entries that neither compile nor link are left out.

    Args:
        entries: `command`, `file` and `output` of each, as `ninja -t compdb` prints them.
        setting: the folder they are from.
    """
    for entry in entries:
        output = _relative(str(entry["output"]), setting)
        arguments = words.without_launchers(
            words.split(str(entry["command"]), windows=setting.windows),
            setting.launchers,
            windows=setting.windows,
        )
        suffix = PurePosixPath(output).suffix.lower()
        if not arguments or suffix not in OBJECT | LIBRARY:
            continue
        link = suffix in LIBRARY
        yield Edge(
            output=output,
            target=_target(output, arguments),
            language=Language.LINK if link else _language(arguments[0], setting),
            source="" if link else setting.roots.named(_slashed(str(entry["file"]), setting)),
            gencodes=() if link else gencodes(arguments),
            arguments=arguments,
            key=work_key(tuple(_key_words(arguments, setting)), setting.roots, setting.compiler),
        )


def gencodes(arguments: Sequence[str]) -> tuple[str, ...]:
    """The device codes a compile command asks for, sorted; the same code asked for twice is there twice."""
    found: list[str] = []
    following = [*arguments[1:], ""]
    for word, after in zip(arguments, following, strict=True):
        if match := GENCODE.match(word):
            value = (match["value"] or after).replace('"', "")
            found += [code for group in CODE.findall(value) for code in group.split(",")]
        elif match := ARCH.match(word):
            found.append(match["value"] or after)
    return tuple(sorted(found))


def _target(output: str, arguments: Sequence[str]) -> str:
    """The CMake target: in an object's own path, or in that of the first object that is linked."""
    for text in (output, *arguments):
        if match := TARGET.search(text.replace("\\", "/")):
            return match["name"]
    return PurePosixPath(output).name.split(".")[0]


def _language(program: str, setting: Setting) -> Language:
    stem = PurePosixPath(_slashed(program, setting)).stem.lower()
    is_cuda = program == setting.cuda_compiler or stem == "nvcc"
    return Language.CUDA if is_cuda else Language.CXX


def _key_words(arguments: Sequence[str], setting: Setting) -> Iterator[str]:
    """The command with folders named; a folder behind a link is mapped under both of its paths, here once."""
    before = ""
    for argument in arguments:
        named = setting.roots.named(_slashed(argument, setting))
        if named != before or PREFIX_MAP not in named:
            yield named
        before = named


def _slashed(text: str, setting: Setting) -> str:
    return text.replace("\\", "/") if setting.windows else text


def _relative(output: str, setting: Setting) -> str:
    return _slashed(output, setting).removeprefix(f"{setting.folder.as_posix()}/")


def _ask(setting: Setting, *arguments: str) -> str:
    done = process.capture([setting.ninja, "-C", setting.folder, *arguments])
    if done.code != 0:
        raise _unreadable(setting.folder, done.error_text or done.text.strip())
    return done.text


def _unreadable(build: Path, why: str) -> ConfigureError:
    return ConfigureError(
        f"ninja cannot read the graph in {build}: {why}", fix="run the build again with --fresh"
    )
