"""What two tags want of the machine and of other packages, and what changed in that."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from winvllm_build.intake.expectations import PROJECT
from winvllm_build.intake.facts import TagFacts

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
FOLDED: Final = {"build.txt": "build", "build/cuda.txt": "build", "build/rust.txt": "build for Rust"}
"""Files that were renamed: the requirements to build are one list through all tags."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that both tags say, or one of them; empty is said by nobody."""

    what: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequirementChange:
    """One package of one list; `old` and `new` are its whole lines, empty where it is not there."""

    group: str
    name: str
    old: str
    new: str


def machine(old: TagFacts, new: TagFacts) -> tuple[Difference, ...]:
    """Python, torch, CUDA, standards and Rust: only what differs."""
    before, after = _said(old), _said(new)
    return tuple(
        Difference(what=what, old=before.get(what, ""), new=after.get(what, ""))
        for what in dict.fromkeys([*before, *after])
        if before.get(what, "") != after.get(what, "")
    )


def archs(old: TagFacts, new: TagFacts) -> tuple[Difference, ...]:
    """The supported architectures, for each range of toolkits."""
    before = {one.condition: " ".join(one.archs) for one in old.cmake.archs}
    after = {one.condition: " ".join(one.archs) for one in new.cmake.archs}
    return tuple(
        Difference(what=_toolkit(condition), old=before.get(condition, ""), new=after.get(condition, ""))
        for condition in dict.fromkeys([*after, *before])
        if before.get(condition) != after.get(condition)
    )


def extensions(old: TagFacts, new: TagFacts) -> tuple[Difference, ...]:
    """The extension modules of setup.py."""
    before = {one.module: _how(one.optional, one.conditions) for one in old.extensions}
    after = {one.module: _how(one.optional, one.conditions) for one in new.extensions}
    return tuple(
        Difference(what=module, old=before.get(module, ""), new=after.get(module, ""))
        for module in dict.fromkeys([*after, *before])
        if before.get(module) != after.get(module)
    )


def requirements(old: TagFacts, new: TagFacts) -> tuple[RequirementChange, ...]:
    """The packages that building and running for CUDA asks for; what two lists mirror is said once."""
    before, after = _groups(old), _groups(new)
    found: list[RequirementChange] = []
    for group in dict.fromkeys([*after, *before]):
        had, has = before.get(group, {}), after.get(group, {})
        found += [
            RequirementChange(group=group, name=name, old=had.get(name, ""), new=has.get(name, ""))
            for name in sorted({*had, *has})
            if _normal(had.get(name, "")) != _normal(has.get(name, ""))
        ]
    project = {(one.name, _normal(one.old), _normal(one.new)) for one in found if one.group == PROJECT}
    return tuple(
        one
        for one in found
        if one.group == PROJECT or (one.name, _normal(one.old), _normal(one.new)) not in project
    )


def _said(facts: TagFacts) -> dict[str, str]:
    expect, rust = facts.expect, facts.rust
    said = {"Python": expect.python, "torch": expect.torch}
    said |= {name: version for name, version in expect.pinned.items() if name != "torch"}
    said |= {"upstream's CUDA": expect.main_cuda}
    said |= {f"{language} standard": number for language, number in facts.cmake.standards.items()}
    if rust is not None:
        said |= {
            "Rust": f"workspace {rust.workspace}, {rust.members} crates of its own",
            "Rust toolchain": rust.channel,
            "crates in the lock": str(rust.crates),
            "crates from git": " ".join(rust.from_git),
            "protoc": "needed" if rust.needs_protoc else "not needed",
            "OpenSSL": "built with the crates" if rust.builds_openssl else "not built",
        }
    return said


def _groups(facts: TagFacts) -> dict[str, dict[str, str]]:
    groups = {PROJECT: _by_name(facts.expect.build_requires)}
    for path, lines in facts.expect.requirements.items():
        name = posixpath.relpath(path, "requirements")
        groups.setdefault(FOLDED.get(name, name.removesuffix(".txt")), {}).update(_by_name(lines))
    return groups


def _by_name(lines: Iterable[str]) -> dict[str, str]:
    """The lines by package; a package with several (for several platforms) is one."""
    found: dict[str, str] = {}
    for line in lines:
        match = NAME.match(line)
        name = canonicalize_name(match[0]) if match else line
        found[name] = f"{found[name]} | {line}" if name in found else line
    return found


def _normal(line: str) -> str:
    """A line as its meaning: blanks and order of specifiers do not count."""
    try:
        return " | ".join(sorted(str(Requirement(part)) for part in line.split(" | ") if part))
    except InvalidRequirement:
        return line


def _toolkit(condition: str) -> str:
    """`CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL 13.0` is `CUDA >= 13.0`."""
    found = re.search(r"CMAKE_CUDA_COMPILER_VERSION VERSION_GREATER_EQUAL ([\d.]+)", condition)
    return f"CUDA >= {found[1]}" if found else condition or "any CUDA"


def _how(optional: bool, conditions: Iterable[str]) -> str:  # noqa: FBT001 - one word of two
    return " and ".join(["optional" if optional else "required", *conditions])
