"""What is known of the tools and the tag, and what was found wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from winvllm_build.profile.problem import InvalidProfileError, Origin, Problem


class Severity(Enum):
    """What a finding does to the build."""

    REFUSED = "refused"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolkitFacts:
    """What is known of the tools and the tag; None or empty: not known, and then not checked.

    Attributes:
        cuda_home: the toolkit's folder as it was given.
        home_is_toolkit: whether that folder holds an nvcc (see `cuda_home.holds_nvcc`).
        cuda_version: the release of its nvcc, such as `13.0`.
        listed_archs: what `nvcc --list-gpu-arch` lists, as `8.6`.
        torch_version: torch's version, a local part included.
        python_version: the version of the target interpreter.
        tag_python: `requires-python` of the tag.
        tag_torch: the torch release the tag pins.
        tag_archs: the architectures the tag's CMakeLists.txt supports.
        patched_tags: the tags that have a patch set.
    """

    cuda_home: str | None = None
    home_is_toolkit: bool | None = None
    cuda_version: Version | None = None
    listed_archs: tuple[str, ...] = ()
    torch_version: Version | None = None
    python_version: Version | None = None
    tag_python: SpecifierSet | None = None
    tag_torch: str | None = None
    tag_archs: frozenset[str] = frozenset()
    patched_tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One combination, under the key that has to change.

    Attributes:
        fix: the edit that repairs it; empty for a note.
    """

    key: str
    message: str
    fix: str = ""
    severity: Severity = Severity.REFUSED


def require(findings: Iterable[Finding], origins: Mapping[str, Origin]) -> tuple[Finding, ...]:
    """The notes among the findings.

    Raises:
        InvalidProfileError: there are refused combinations; all are listed with their origins and fixes.
    """
    findings = tuple(findings)
    refused = [f for f in findings if f.severity is Severity.REFUSED]
    if refused:
        problems = [Problem(origin=origins.get(f.key), key=f.key, message=f.message) for f in refused]
        raise InvalidProfileError(problems, fix="; ".join(dict.fromkeys(f.fix for f in refused)))
    return findings
