"""Which build of torch goes with a toolkit, and which package indexes have it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final

from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE: Final = "torch_indexes.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class TorchBuild:
    """The build of torch to install.

    Attributes:
        local: the local part of its version, such as `cu130`; None where the builds of it are not known.
        indexes: addresses of the indexes to name, the best first.
    """

    local: str | None
    indexes: tuple[str, ...]


def build_for(torch: str, cuda: Version, *, indexes: Sequence[str] = ()) -> TorchBuild:
    """The build of a torch for extensions that a CUDA release compiled.

    Extensions run with every build for the same major version of CUDA; the newest that is no newer than the
    toolkit is taken, else the oldest. Of a torch that is not known both the index of the toolkit's own
    release and that of the first of its major version are named (SystemPanic/vllm-windows #71 needed both).

    Args:
        torch: the release, without a local part.
        cuda: the toolkit's version.
        indexes: the user's own addresses, which replace the known ones.
    """
    data = _data()
    releases = [Version(text) for text in data["builds"].get(torch, ())]
    same = [release for release in releases if release.major == cuda.major]
    own = Version(f"{cuda.major}.{cuda.minor}")
    chosen = max((r for r in same if r <= own), default=min(same, default=None))
    named = [chosen] if chosen is not None else [own, Version(f"{cuda.major}.0")]
    known = tuple(dict.fromkeys(data["address"].format(build=_local(release)) for release in named))
    return TorchBuild(local=None if chosen is None else _local(chosen), indexes=tuple(indexes) or known)


def index_of(local: str) -> str:
    """The index that has the builds with this local part (`cu130`)."""
    return str(_data()["address"].format(build=local))


def _local(release: Version) -> str:
    return f"cu{release.major}{release.minor}"


@cache
def _data() -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__ or "").joinpath(FILE).read_text(encoding="utf-8"))
