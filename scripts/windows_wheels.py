"""Write audit/data/windows_wheels.toml: `python scripts/windows_wheels.py [REQUIREMENT|FILE...]`.

The package index is asked for the packages and versions that the data has already, and for those given: a
requirement like `torch==2.9.1`, or a list like vLLM's requirements/cuda.txt; run it with that of a new tag.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.tags import Tag
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from winvllm_build.artifact import Artifact
from winvllm_build.audit.config.wheels import ENVIRONMENTS, FILE, Kind, read
from winvllm_build.errors import WinvllmError
from winvllm_build.index import Index, PlatformTag
from winvllm_build.workspace import Workspace

HEAD = """\
# What the package index has for Windows; `python scripts/windows_wheels.py` writes it.
# windows: wheels for win_amd64 or for any platform. linux: wheels, but none of those. source: no wheel.
# lacks: versions that have wheels but none for Windows, of a package that has them for others.
# needs: by version, what it asks for on Windows, with these extras, and cannot get there.
"""


@dataclass(kw_only=True)
class Asked:
    """What is asked of one package, besides its newest version."""

    versions: set[str] = field(default_factory=set)
    extras: set[str] = field(default_factory=set)


def kinds(files: Iterable[Artifact]) -> Mapping[Version, Kind]:
    """What each released version has."""
    found: dict[Version, list[Artifact]] = defaultdict(list)
    for file in files:
        try:
            version = Version(file.version)
        except InvalidVersion:
            continue
        if not version.is_prerelease:
            found[version].append(file)
    return {version: kind(found[version]) for version in sorted(found)}


def kind(files: Iterable[Artifact]) -> Kind:
    wheels = [file for file in files if file.is_wheel]
    if not wheels:
        return Kind.SOURCE
    tags = {tag for wheel in wheels for tag in _tags(wheel.filename)}
    usable = any(tag.platform in ("win_amd64", "any") for tag in tags)
    return Kind.WINDOWS if usable else Kind.LINUX


def needs(index: Index, name: str, version: Version, extras: Iterable[str]) -> list[str]:
    """The requirements of a package, on Windows, that publish nothing for it."""
    worlds = [{**ENVIRONMENTS["windows"], "extra": extra} for extra in ("", *extras)]
    found = []
    try:
        lines = _requires(index, name, str(version))
    except WinvllmError as error:
        print(f"  not known what {name} {version} needs: {error}")
        return []
    for line in lines:
        asked = Requirement(line)
        if asked.marker is not None and not any(map(asked.marker.evaluate, worlds)):
            continue
        other = kinds(index.files(asked.name))
        fitting = [kind for version, kind in other.items() if asked.specifier.contains(version)]
        if fitting and all(kind is Kind.LINUX for kind in fitting):
            found.append(canonicalize_name(asked.name))
    return sorted(set(found))


def entry(index: Index, name: str, asked: Asked) -> str:
    found = kinds(index.files(name))
    lines = [f"[{name}]"]
    if not found:
        return "\n".join([*lines, 'kind = "absent"', ""])
    newest, last = max(found), found[max(found)]
    overall = Kind.WINDOWS if Kind.WINDOWS in found.values() else last
    lines += [f'kind = "{overall.value}"', f'newest = "{newest}"']
    lacks = [str(version) for version, kind in found.items() if kind is Kind.LINUX]
    if overall is Kind.WINDOWS and lacks:
        lines.append(f"lacks = {_listed(lacks)}")
    wanted = {
        str(version): needs(index, name, version, sorted(asked.extras))
        for version in sorted({*map(Version, asked.versions), newest})
        if found.get(version) is Kind.WINDOWS
    }
    if asked.extras:
        lines.append(f"extras = {_listed(sorted(asked.extras))}")
    if any(wanted.values()) or asked.versions:
        told = ", ".join(f'"{version}" = {_listed(names)}' for version, names in wanted.items())
        lines.append(f"needs = {{ {told} }}")
    return "\n".join([*lines, ""])


def _listed(texts: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{text}"' for text in texts) + "]"


def _requires(index: Index, name: str, version: str) -> list[str]:
    platform, python = PlatformTag.LINUX_X86_64, "3.12"
    with tempfile.TemporaryDirectory() as scratch:
        record = index.record_sha256(name, version, platform=platform, python=python)
        into = index.members(
            name, version, wanted=lambda member: member.endswith(".dist-info/METADATA"), record_sha256=record,
            into=Path(scratch) / "metadata", platform=platform, python=python,
        )  # fmt: skip
        metadata = next(into.rglob("METADATA")).read_bytes()
    return BytesParser().parsebytes(metadata, headersonly=True).get_all("Requires-Dist") or []


def _tags(filename: str) -> frozenset[Tag]:
    return parse_wheel_filename(filename)[3]


def _lines(words: Iterable[str]) -> Iterator[Requirement]:
    for word in words:
        rows = Path(word).read_text("utf-8").split("\n") if Path(word).is_file() else [word]
        for row in rows:
            try:
                yield Requirement(re.sub(r"(?:^|\s+)#.*", "", row).strip())
            except InvalidRequirement:
                continue


def asked_for(words: Iterable[str]) -> dict[str, Asked]:
    """What the data has, and what requirements and lists of them name."""
    known = read() if FILE.is_file() else {}
    found = {name: Asked(versions=set(one.needs), extras=set(one.extras)) for name, one in known.items()}
    for line in _lines(words):
        one = found.setdefault(canonicalize_name(line.name), Asked())
        one.extras |= line.extras
        one.versions |= {pin.version for pin in line.specifier if pin.operator == "=="}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("asked", nargs="*", metavar="REQUIREMENT|FILE")
    asked = asked_for(parser.parse_args().asked)
    with tempfile.TemporaryDirectory() as scratch:
        index = Index(Workspace(root=Path(scratch)), on_event=print)
        entries = []
        for name in sorted(asked):
            print(name)
            try:
                entries.append(entry(index, name, asked[name]))
            except WinvllmError as error:
                sys.exit(f"{name}: {error}")
    FILE.write_bytes((HEAD + "\n" + "\n".join(entries)).encode())
    print(f"wrote {FILE}")


if __name__ == "__main__":
    main()
