"""One file of a package index: what is known of it before it is fetched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from packaging.version import InvalidVersion, Version

from winvllm_build.errors import SourceError

if TYPE_CHECKING:
    from unearth.evaluator import Package


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One file of the index; `sha256` is what the index says, None where it says nothing."""

    project: str
    version: str
    filename: str
    url: str
    sha256: str | None

    @property
    def is_wheel(self) -> bool:
        return self.filename.endswith(".whl")

    @property
    def local_path(self) -> Path | None:
        """The file itself where the index is a folder of this machine."""
        from unearth.link import Link  # noqa: PLC0415 - unearth costs 60 ms, and most runs need no index

        link = Link(self.url)
        return link.file_path if link.is_file else None


def artifact_of(package: Package, project: str, version: str) -> Artifact:
    link = package.link
    return Artifact(
        project=project, version=version, filename=link.filename, url=link.normalized.partition("#")[0],
        sha256=sha256_in(package),
    )  # fmt: skip


def sha256_in(package: Package) -> str | None:
    """What the index says of it."""
    found = (package.link.hash_option or {}).get("sha256")
    return found[0] if found else None


def same_version(found: str | None, wanted: str) -> bool:
    """Exactly equal; unlike `==` of a requirement, `2.13.0` is not `2.13.0+cpu`."""
    try:
        return found is not None and Version(found) == Version(wanted)
    except InvalidVersion:
        return found == wanted


def is_local(url: str) -> bool:
    return "://" not in url or urlsplit(url).scheme == "file"


def wrong_hash(artifact: Artifact, pinned: str, found: str) -> SourceError:
    return SourceError(
        f"{artifact.filename} has another content than pinned\n"
        f"  pinned sha256 {pinned}\n  found  sha256 {found}",
        fix="do not use this file; check which index pip is configured with: `pip config list`",
    )
