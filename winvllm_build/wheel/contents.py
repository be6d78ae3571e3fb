"""What has to be in a wheel, whatever else is: upstream's files, what was compiled, what starts vLLM."""

from __future__ import annotations

import configparser
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from winvllm_build.wheel import modules, provenance
from winvllm_build.wheel.finding import Finding, Subject, advice, problem
from winvllm_build.wheel.provenance import Provenance

PACKAGE: Final = "vllm"
ALWAYS: Final = ("vllm/__init__.py", "vllm/_version.py")
"""Without the first there is no package, without the second no version; setup.py writes that one."""
SCRIPTS: Final = ("console_scripts", "gui_scripts")
ENTRY_POINTS: Final = "entry_points.txt"
SHOWN: Final = 5
"""Lost files that are named one by one: a wheel without its package data lacks hundreds."""


def of_package(names: AbstractSet[str]) -> Iterator[Finding]:
    """What each wheel of vLLM has."""
    for name in ALWAYS:
        if name not in names:
            yield problem(Subject.EXTENSIONS, "is not there; every wheel of vLLM has it", name)


def of_build(made: Provenance, names: AbstractSet[str]) -> Iterator[Finding]:
    """What the build of a wheel put in."""
    for name in made.extensions:
        if name not in names:
            yield problem(Subject.EXTENSIONS, "is not there; it was compiled for this wheel", name)
    for name in made.copied:
        if name not in names:
            yield problem(Subject.EXTENSIONS, "is not there; upstream's install step put it in", name)
    lost = sorted(set(made.packed) - names)
    for name in lost[:SHOWN]:
        yield problem(Subject.EXTENSIONS, "is not there; the tree had it when it was packed", name)
    if len(lost) > SHOWN:
        what = f"{len(lost)} of {len(made.packed)} files of the tree are not there; the first are named"
        yield problem(Subject.EXTENSIONS, what)
    partial = sorted(target for target, intended in made.left_out.items() if not intended)
    if partial:
        what = f"the wheel is partial: it lacks {', '.join(partial)}"
        yield advice(Subject.EXTENSIONS, what, fix="winvllm-build build says at its end why each is left out")
    for name in sorted(names):
        if modules.is_module(name) and name not in made.extensions:
            yield problem(Subject.EXTENSIONS, f"is there; {provenance.FILE} does not know it", name)


def of_request(targets: Sequence[str], names: AbstractSet[str]) -> Iterator[Finding]:
    """Extensions that were asked for by name."""
    there = {modules.stem(name) for name in names if modules.is_module(name)}
    for target in targets:
        if target not in there:
            yield problem(Subject.EXTENSIONS, f"no extension {target} is in the wheel")


def of_commands(
    content: bytes | None, member: str, names: AbstractSet[str], *, wanted: str | None
) -> Iterator[Finding]:
    """Whether the commands that an installer makes can start.

    Args:
        content: the entry points; None where there are none.
        member: where they stand.
        names: of all members.
        wanted: a command that has to be among them.
    """
    try:
        scripts = _scripts(content or b"")
    except (configparser.Error, UnicodeDecodeError) as error:
        yield problem(Subject.METADATA, f"cannot be read: {str(error).splitlines()[0]}", member)
        return
    if wanted is not None and wanted not in scripts:
        yield problem(Subject.METADATA, f"makes no command {wanted}", member)
    imported = {
        f"{name.rpartition('/')[0]}/{modules.stem(name)}"
        for name in names
        if modules.is_module(name) or name.endswith(".py")
    }
    for command, target in scripts.items():
        path = target.split(":")[0].strip().replace(".", "/")
        ours = any(name.startswith(f"{path.split('/')[0]}/") for name in names)
        if ours and not {path, f"{path}/__init__"} & imported:
            yield problem(Subject.METADATA, f"the command {command} is {target}, which is not there", member)


def _scripts(content: bytes) -> Mapping[str, str]:
    """Commands and what they call, as the specification of entry points reads the file."""
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # case counts in commands
    parser.read_string(content.decode("utf-8"))
    return {
        name: value for part in SCRIPTS if parser.has_section(part) for name, value in parser[part].items()
    }
