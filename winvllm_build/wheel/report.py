"""What a check of a wheel saw, as values."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from winvllm_build.wheel.binary import Binary
from winvllm_build.wheel.finding import Finding, Severity
from winvllm_build.wheel.libraries import Origin, origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """One library of the wheel.

    Attributes:
        name: its member.
        size: in bytes.
        machine: format and machine, `ELF x86_64`.
        code: device code.
        needed: the libraries that it asks for, by who brings them; None for nobody known.
        glibc: the newest release of glibc that it needs, as text; empty on Windows.
    """

    name: str
    size: int
    machine: str
    code: frozenset[str]
    needed: dict[str, str | None]
    glibc: str

    @classmethod
    def of(cls, name: str, size: int, read: Binary, near: AbstractSet[str]) -> Library:
        brought: dict[str, Origin | None] = {one: origin(one, read.format, near) for one in read.needed}
        return cls(
            name=name, size=size, machine=f"{read.format.value} {read.machine}", code=read.code,
            needed={one: kind.value if kind else None for one, kind in brought.items()},
            glibc=".".join(map(str, read.glibc)) if read.glibc else "",
        )  # fmt: skip

    def as_data(self) -> dict[str, Any]:
        return {
            "code": sorted(self.code), "glibc": self.glibc or None, "machine": self.machine,
            "name": self.name, "needed": self.needed, "size": self.size,
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The end of a check.

    Attributes:
        file: the wheel.
        version: as its name says it.
        tags: as its name says them.
        archs: the architectures it should have code for.
        size: of the file in bytes.
        unpacked: of all members in bytes.
        members: their number.
        longest: the longest name in it; Windows adds the folder it is installed to.
        compiled: Python files that were compiled.
        libraries: what it has to load.
        provenance: whether it says how it was made.
        patches: patched files that were compared.
        findings: all of them.
    """

    file: Path
    version: str
    tags: tuple[str, ...]
    archs: tuple[str, ...]
    size: int
    unpacked: int
    members: int
    longest: str
    compiled: int
    libraries: tuple[Library, ...]
    provenance: bool
    patches: int
    findings: tuple[Finding, ...]

    @property
    def problems(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if one.severity is Severity.PROBLEM)

    def as_data(self) -> dict[str, Any]:
        return {
            "architectures": list(self.archs),
            "file": str(self.file),
            "findings": [finding.as_data() for finding in self.findings],
            "libraries": [library.as_data() for library in self.libraries],
            "longest_name": self.longest,
            "members": self.members,
            "ok": not self.problems,
            "patched_files_compared": self.patches,
            "provenance": self.provenance,
            "python_files_compiled": self.compiled,
            "size": self.size,
            "tags": list(self.tags),
            "unpacked": self.unpacked,
            "version": self.version,
        }
