"""The version of a wheel: the tag's public part and, as PEP 440 local part, what it was compiled for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from packaging.version import Version

PARTIAL: Final = "partial"
CODE: Final = re.compile(r"\d+[af]?(ptx)?")


class Platform(Enum):
    """Whose GPUs a wheel is for, and how their architectures are marked in its version."""

    CUDA = "cu"
    ROCM = "rocm"

    @property
    def mark(self) -> str:
        return {Platform.CUDA: "sm", Platform.ROCM: ""}[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    """What a local part says.

    Attributes:
        platform: `cu` or `rocm`; None if it says neither.
        release: the toolkit's, as written (`126`); empty if it does not say.
        archs: as written (`86`, `90a`, `86ptx`, `gfx1100`).
        rest: the other parts, such as layers.
        partial: whether extensions are missing.
    """

    platform: Platform | None
    release: str
    archs: tuple[str, ...]
    rest: tuple[str, ...]
    partial: bool

    @property
    def cuda(self) -> Version | None:
        """The toolkit's release, `12.6`; None where the version names none."""
        if self.platform is not Platform.CUDA or len(self.release) < 2:  # noqa: PLR2004 - major and minor
            return None
        return Version(f"{self.release[:-1]}.{self.release[-1]}")


def wheel_version(
    tag: str,
    release: Version,
    archs: Sequence[str],
    *,
    platform: Platform = Platform.CUDA,
    layers: Sequence[str] = (),
    partial: bool = False,
) -> str:
    """`0.14.1+cu126.sm86.89`, `0.14.1+rocm72.gfx1100`, in PEP 440's normal form.

    Args:
        tag: the vLLM tag.
        release: the toolkit's version.
        archs: the architectures, `8.6` or `gfx1100`.
        platform: whose GPUs.
        layers: the optional layers of patches that are in.
        partial: extensions are missing.
    """
    short = "-".join(arch.replace(".", "").replace("+PTX", "ptx") for arch in archs)
    parts = [
        f"{platform.value}{release.major}{release.minor}",
        f"{platform.mark}{short}",
        *(re.sub(r"[-_]+", "-", name).strip("-") for name in layers),
        *([PARTIAL] if partial else []),
    ]
    return str(Version(f"{tag.removeprefix('v')}+{'.'.join(parts)}"))


def read_local(version: Version) -> Local:
    """What the local part of a version says, whoever wrote it."""
    parts = (version.local or "").split(".")
    platform, release = None, ""
    archs: list[str] = []
    rest: list[str] = []
    for part in parts:
        toolkit = re.fullmatch(r"(cu|rocm)(\d+)", part)
        if toolkit and platform is None:
            platform, release = Platform(toolkit[1]), toolkit[2]
        elif part.startswith("sm") and CODE.fullmatch(part[2:]):
            archs.append(part[2:])
        elif part.startswith("gfx") or (archs and not rest and CODE.fullmatch(part)):
            archs.append(part)
        elif part and part != PARTIAL:
            rest.append(part)
    return Local(
        platform=platform, release=release, archs=tuple(archs), rest=tuple(rest), partial=PARTIAL in parts
    )
