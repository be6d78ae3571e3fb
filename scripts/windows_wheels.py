"""Write audit/data/windows_wheels.toml: `python scripts/windows_wheels.py [NAME[==VERSION]...]`.

The package index is asked for the packages and versions that the file names already, and for those given:
what vLLM's requirements for CUDA name, and what of the common ones is compiled.
"""

from __future__ import annotations

import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from email.parser import BytesParser
from pathlib import Path

from packaging.requirements import Requirement
from packaging.tags import Tag
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from winvllm_build.audit.config.wheels import ENVIRONMENTS, FILE, Kind, read
from winvllm_build.errors import WinvllmError
from winvllm_build.index import Artifact, Index, PlatformTag
from winvllm_build.workspace import Workspace

HEAD = """\
# What the package index has for Windows; `python scripts/windows_wheels.py` writes it.
# windows: wheels for win_amd64 or for any platform. linux: wheels, but none of those. source: no wheel.
# lacks: versions that have wheels but none for Windows, of a package that has them for others.
# needs: by version, what it asks for on Windows and cannot get there.
"""


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


def needs(index: Index, name: str, version: Version) -> list[str]:
    """The requirements of a package, on Windows, that publish nothing for it."""
    found = []
    for line in _requires(index, name, str(version)):
        asked = Requirement(line)
        if asked.marker is not None and not asked.marker.evaluate({**ENVIRONMENTS["windows"], "extra": ""}):
            continue
        other = kinds(index.files(asked.name))
        fitting = [kind for version, kind in other.items() if asked.specifier.contains(version)]
        if fitting and all(kind is Kind.LINUX for kind in fitting):
            found.append(canonicalize_name(asked.name))
    return sorted(set(found))


def entry(index: Index, name: str, versions: Iterable[str]) -> str:
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
        str(version): needs(index, name, version)
        for version in sorted({*map(Version, versions), newest})
        if found.get(version) is Kind.WINDOWS
    }
    if any(wanted.values()):
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


def main() -> None:
    asked: dict[str, set[str]] = {}
    if FILE.is_file():
        asked = {name: set(known.needs) for name, known in read().items()}
    for word in sys.argv[1:]:
        name, _, version = word.partition("==")
        asked.setdefault(canonicalize_name(name), set()).update({version} - {""})
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
