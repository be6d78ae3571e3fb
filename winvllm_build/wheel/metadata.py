"""Name, version, tags and requirements of a wheel, and whether they agree and hold on Windows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.parser import BytesParser
from pathlib import Path
from typing import Final

from packaging.markers import Marker
from packaging.metadata import ExceptionGroup, Metadata
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.tags import Tag, parse_tag
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from winvllm_build.errors import WheelError
from winvllm_build.wheel.finding import Finding, Subject, problem
from winvllm_build.wheel.opened import OpenWheel

WINDOWS: Final[Mapping[str, str]] = {
    "implementation_name": "cpython", "os_name": "nt", "platform_machine": "AMD64",
    "platform_python_implementation": "CPython", "platform_system": "Windows", "sys_platform": "win32",
}  # fmt: skip
"""What Python on 64-bit Windows says of itself; only there the machine is AMD64, everywhere else x86_64."""

MINORS: Final = range(8, 15)
"""Of the Pythons whose markers are evaluated, from 3.8 on."""
STABLE: Final = "abi3"

REFUSED: Final = ".refused"
"""What stands behind the name of a wheel that its own check refused: no installer takes such a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileName:
    """What a wheel's file name says."""

    name: str
    version: Version
    tags: frozenset[Tag]

    @property
    def platforms(self) -> tuple[str, ...]:
        return tuple(sorted({tag.platform for tag in self.tags}))

    @property
    def abi(self) -> str:
        return next(iter(sorted(tag.abi for tag in self.tags)))

    @property
    def for_windows(self) -> bool:
        return any(platform.startswith("win") for platform in self.platforms)

    @property
    def release(self) -> str:
        """The one Python that it is for, `312` or `313t`; empty for every one."""
        if self.abi == STABLE:
            return ""
        written = self.abi if self.abi.startswith("cp") else min(tag.interpreter for tag in self.tags)
        return written.removeprefix("cp") if written.startswith("cp3") else ""

    def pythons(self, required: SpecifierSet) -> tuple[str, ...]:
        """The Pythons that it can be installed with, `3.12`."""
        known = (f"3.{minor}" for minor in MINORS)
        fit = [one for one in known if required.contains(f"{one}.99", prereleases=True)]
        return tuple(one for one in fit if self.release.rstrip("t") in ("", one.replace(".", "")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """METADATA and WHEEL as read; what could not be read is empty or None.

    Attributes:
        folder: the dist-info folder, `vllm-0.33.0.dist-info`.
        requires: the requirements.
        python: `Requires-Python`.
        findings: what is wrong with either.
    """

    folder: str
    requires: tuple[Requirement, ...]
    python: SpecifierSet
    findings: tuple[Finding, ...]


def read_name(file: Path) -> FileName | None:
    """What a file name says, None if it is no wheel's."""
    try:
        name, version, _, tags = parse_wheel_filename(file.name.removesuffix(REFUSED))
    except InvalidWheelFilename:
        return None
    return FileName(name=name, version=version, tags=tags)


def refuse_refused(file: Path) -> None:
    """Only a check looks at a wheel that was refused.

    Raises:
        WheelError: it is one.
    """
    if file.name.endswith(REFUSED):
        raise WheelError(
            f"{file} was kept aside because its own check refuses it; no installer takes it",
            fix=f"winvllm-build wheel check {file} says why; build it again",
        )


def read(wheel: OpenWheel, said: FileName | None) -> Described:
    """Read METADATA and WHEEL and hold them against the file's name."""
    folders = sorted({name.split("/")[0] for name in wheel.names if ".dist-info/" in name})
    if len(folders) != 1 or not folders[0].endswith(".dist-info"):
        what = f"a wheel has one dist-info folder, this has {', '.join(folders) or 'none'}"
        return Described(
            folder="", requires=(), python=SpecifierSet(), findings=(problem(Subject.METADATA, what),)
        )
    folder = folders[0]
    found: list[Finding] = []
    metadata = _metadata(wheel.read(f"{folder}/METADATA"), f"{folder}/METADATA", found)
    if said is None:
        found.append(
            problem(Subject.TAGS, "the file's name is no wheel's: NAME-VERSION-PYTHON-ABI-PLATFORM.whl")
        )
    else:
        found += _names(folder, metadata, said)
        found += _tags(wheel.read(f"{folder}/WHEEL"), f"{folder}/WHEEL", said)
    requires = tuple(metadata.requires_dist or ()) if metadata else ()
    python = (metadata.requires_python if metadata else None) or SpecifierSet()
    if said is not None and said.for_windows:
        found += only_elsewhere(requires, f"{folder}/METADATA", said.pythons(python))
    return Described(folder=folder, requires=requires, python=python, findings=tuple(found))


def only_elsewhere(requires: Sequence[Requirement], member: str, pythons: Sequence[str]) -> Iterator[Finding]:
    """Requirements that another system gets and Windows does not, because it calls the same machine AMD64.

    Args:
        requires: the requirements.
        member: where they stand.
        pythons: the Pythons that may read them, `3.12`: a marker can name one.
    """
    for requirement in requires:
        marker = requirement.marker
        if marker is None or "platform_machine" not in str(marker):
            continue
        if any(_left_out(marker, python) for python in pythons):
            yield problem(
                Subject.METADATA,
                f"requires {requirement.name} for x86_64; Windows says AMD64, and it would be left out there",
                member,
            )


def _left_out(marker: Marker, python: str) -> bool:
    windows = {**WINDOWS, "extra": "", "python_version": python, "python_full_version": f"{python}.0"}
    elsewhere = {**windows, "platform_machine": "x86_64"}
    return marker.evaluate(elsewhere) and not marker.evaluate(windows)


def _metadata(content: bytes | None, member: str, found: list[Finding]) -> Metadata | None:
    if content is None:
        found.append(problem(Subject.METADATA, "is not there", member))
        return None
    try:
        return Metadata.from_email(content, validate=True)
    except ExceptionGroup as group:
        found += [problem(Subject.METADATA, str(error), member) for error in group.exceptions]
    except ValueError as error:
        found.append(problem(Subject.METADATA, str(error), member))
    return None


def _names(folder: str, metadata: Metadata | None, said: FileName) -> Iterator[Finding]:
    name, _, version = folder.removesuffix(".dist-info").rpartition("-")
    if canonicalize_name(name) != said.name or version != str(said.version):
        yield problem(Subject.METADATA, f"the folder {folder} is not that of {said.name} {said.version}")
    if metadata is not None and canonicalize_name(metadata.name) != said.name:
        yield problem(Subject.METADATA, f"METADATA is of {metadata.name}, the file of {said.name}")
    if metadata is not None and metadata.version != said.version:
        yield problem(Subject.METADATA, f"METADATA has version {metadata.version}, the file {said.version}")


def _tags(content: bytes | None, member: str, said: FileName) -> Iterator[Finding]:
    if content is None:
        yield problem(Subject.TAGS, "is not there", member)
        return
    fields = BytesParser().parsebytes(content)
    written = frozenset(tag for line in fields.get_all("Tag", []) for tag in parse_tag(line))
    if written != said.tags:
        yield problem(Subject.TAGS, f"says {_words(written)}, the file's name {_words(said.tags)}", member)
    if str(fields.get("Root-Is-Purelib", "")).strip().lower() != "false":
        yield problem(Subject.TAGS, "says Root-Is-Purelib of a wheel for one platform", member)
    if not str(fields.get("Wheel-Version", "")).startswith("1."):
        yield problem(Subject.TAGS, f"has Wheel-Version {fields.get('Wheel-Version')}, not 1.x", member)


def _words(tags: frozenset[Tag]) -> str:
    return ", ".join(sorted(str(tag) for tag in tags)) or "nothing"
