"""What a wheel says of its making: no date, no folder, no host, so that equal builds agree."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from winvllm_build.errors import WheelError

FILE: Final = "winvllm-build.json"
"""Its name in the dist-info folder."""
SCHEMA: Final = 2
"""The second names upstream's files as well; one of the first is read."""
Sha256 = Annotated[str, Field(pattern=r"[0-9a-f]{64}")]


class Part(BaseModel):
    """A frozen part of the file; a member that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceMade(Part):
    """Upstream's source: the commit and tree that were compiled, and the archive's pin if one is pinned."""

    tag: str
    url: str
    commit: str
    tree: str
    sdist_sha256: Sha256 | None = None


class PatchesMade(Part):
    """The patch set: its layers, the lock that proves it, and patched files that carried edits on top."""

    layers: tuple[str, ...]
    count: int
    lock_sha256: Sha256
    edited: tuple[str, ...] = ()


class ExtensionMade(Part):
    """A compiled file: its CMake target, and the device code asked for, None where no command says it."""

    target: str
    code: tuple[str, ...] | None = ()


class DependencyMade(Part):
    """A vendored project that is compiled or copied in."""

    name: str
    url: str
    revision: str
    commit: str | None = None


class Provenance(Part):
    """The whole file.

    Attributes:
        tool: version of winvllm-build.
        toolchain: name and version of what compiled it.
        cuda: the toolkit's version.
        archs: the architectures asked for.
        build_type: CMake's build type.
        extensions: by their place in the wheel.
        copied: other files that upstream's install step put in: flash-attention's Python, Triton's kernels.
        packed: the files of the package that the patched tree had when it was packed.
        left_out: targets that were not built, and whether the profile said so.
        mapped: whether the compilers were told to name no folder of the machine.
    """

    schema_version: int = SCHEMA
    tool: str
    source: SourceMade
    patches: PatchesMade
    toolchain: Mapping[str, str]
    cuda: str
    archs: tuple[str, ...]
    build_type: str
    extensions: Mapping[str, ExtensionMade]
    copied: tuple[str, ...] = ()
    packed: tuple[str, ...] = ()
    left_out: Mapping[str, bool] = Field(default_factory=dict)
    dependencies: tuple[DependencyMade, ...] = ()
    mapped: bool = False

    def serialise(self) -> bytes:
        """Sorted keys, LF: the same bytes for the same build on every machine."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=1).encode("ascii") + b"\n"


def read(content: bytes) -> Provenance | None:
    """Read the file; None where a newer version of this tool wrote it in a way of its own.

    Raises:
        WheelError: it is of no schema.
    """
    if _schema(content) > SCHEMA:
        return None
    try:
        return Provenance.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise WheelError(f"{FILE} is not of schema {SCHEMA}: {where}: {first['msg']}") from error


def _schema(content: bytes) -> int:
    """The schema that a file says it has; 0 where it says none."""
    try:
        number = json.loads(content)["schema_version"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return 0
    return number if isinstance(number, int) else 0
