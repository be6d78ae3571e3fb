"""Which build of torch goes with a toolkit, and which package indexes have it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

from packaging.version import InvalidVersion, Version

from winvllm_build.errors import ToolchainError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE: Final = "torch_indexes.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchBuild:
    """The build of torch to install.

    Attributes:
        local: the local part of its version, such as `cu130`; None where no CUDA is asked for.
        indexes: addresses of the indexes to name, the best first.
    """

    local: str | None
    indexes: tuple[str, ...]


def build_for(torch: str, cuda: Version, *, indexes: Sequence[str] = ()) -> TorchBuild:
    """The build of a torch for extensions that a CUDA release compiled.

    Extensions run with every build for the same major version of CUDA; the newest that is no newer than the
    toolkit is taken, else the oldest. Of a torch that is not known the toolkit's own release is named:
    an installer that does not find it stops and lists what there is, where without a name it would take
    a torch without CUDA. The index of the first release of the major version is named besides, for its list
    (SystemPanic/vllm-windows #71 needed it).

    Args:
        torch: the release, without a local part.
        cuda: the toolkit's version.
        indexes: the user's own addresses, which replace the known ones.

    Raises:
        ToolchainError: this torch has no build for that major version of CUDA.
    """
    own = Version(f"{cuda.major}.{cuda.minor}")
    releases = builds(torch)
    same = [release for release in releases if release.major == cuda.major]
    if releases and not same and not indexes:
        raise ToolchainError(
            f"torch {torch} has no build for CUDA {cuda.major}; it has those for {_words(releases)}",
            fix=f"compile with a CUDA {' or '.join(_majors(releases))} toolkit (cuda.version of the profile)"
            ", or name an index of your own with --index",
        )
    chosen = max((release for release in same if release <= own), default=min(same, default=None))
    named = [chosen] if chosen is not None else [own, Version(f"{cuda.major}.0")]
    known = tuple(dict.fromkeys(index_of(_local(release)) for release in named))
    return TorchBuild(local=_local(named[0]), indexes=tuple(indexes) or known)


def builds(torch: str) -> tuple[Version, ...]:
    """The CUDA releases that a torch is built for, the oldest first; empty where that is not known."""
    try:
        release = Version(torch)
    except InvalidVersion:
        return ()
    known = _data()["builds"].get(f"{release.major}.{release.minor}", ())
    return tuple(sorted(Version(text) for text in known))


def index_of(local: str) -> str:
    """The index that has the builds with this local part (`cu130`)."""
    return str(_data()["address"].format(build=local))


def _local(release: Version) -> str:
    return f"cu{release.major}{release.minor}"


def _words(releases: Sequence[Version]) -> str:
    return ", ".join(map(str, releases))


def _majors(releases: Sequence[Version]) -> list[str]:
    return [str(major) for major in dict.fromkeys(release.major for release in releases)]


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__ or "").joinpath(FILE).read_text(encoding="utf-8"))
