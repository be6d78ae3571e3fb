"""Everything the checks look at, collected once and frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from winvllm_build.build.path_budget import Need
from winvllm_build.doctor.windows import WindowsFacts
from winvllm_build.index import PlatformTag
from winvllm_build.profile.findings import Finding as Contradiction
from winvllm_build.toolchain.inventory import Inventory
from winvllm_build.toolchain.request import ToolchainRequest


class Role(Enum):
    """What a folder is to a build."""

    WORKSPACE = "the workspace"
    TEMPORARY = "the folder for temporary files"
    ENVIRONMENT = "Python's environment"
    HERE = "the current folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A folder that a build uses.

    Attributes:
        path: as the programs are given it.
        free: bytes on its disk for this user; None where the disk does not tell.
        writable: whether a file can be made in it, or in the nearest folder above that exists.
        there: whether it exists; else it has yet to be made.
        blocked_by: what lies at its place, or at that of a folder above, and is no folder.
    """

    role: Role
    path: Path
    free: int | None
    writable: bool = True
    there: bool = True
    blocked_by: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFolder:
    """A folder with a CMake cache; `generator` as CMake names it, `source` what was configured."""

    path: Path
    generator: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """What a build or pip left among the temporary files.

    Attributes:
        days: since it was last changed.
    """

    path: Path
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes.

    Attributes:
        total: of the machine, or what its container may have.
        free: that are free or can be freed.
        limited_by: "machine", or the file with the container's limit.
        commit_left: what Windows still promises to programs; None elsewhere.
        swap: size of page files or swap.
    """

    total: int
    free: int
    limited_by: str
    commit_left: int | None
    swap: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One machine, one profile, one tag.

    Attributes:
        request: what profile and tag ask of the toolchain.
        needs: the longest paths of a build of the tag.
        slots: edges at a time as far as cores go, and why.
        contradictions: what the profile asks for that cannot be, or is worth a note.
        crlf: patch files whose lines end in CR LF though they should not.
        windows: None off Windows.
        toolkit_short: the 8.3 name of the toolkit that is taken; None where it has none, or needs none.
    """

    system: PlatformTag
    tag: str
    profile: str
    request: ToolchainRequest
    inventory: Inventory
    environment: Mapping[str, str]
    memory: Memory
    slots: int
    slots_reason: str
    folders: tuple[Folder, ...]
    needs: tuple[Need, ...]
    contradictions: tuple[Contradiction, ...] = ()
    builds: tuple[BuildFolder, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    crlf: tuple[str, ...] = ()
    windows: WindowsFacts | None = None
    toolkit_short: str | None = None

    def folder(self, role: Role) -> Folder | None:
        return next((one for one in self.folders if one.role is role), None)
