"""A copy of the sources in which the patched files are shown as they were before, or as they are after."""

from __future__ import annotations

import enum
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.audit.device.lines import aligned
from winvllm_build.git import RepoPath
from winvllm_build.workspace import storage_errors

FOLDERS: Final = ("csrc", "cmake")
"""Where a tree has sources that CMake names."""


class Side(enum.Enum):
    """Of a patch."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A patched file on both sides; None where there is no such file."""

    before: bytes | None
    after: bytes | None

    def of(self, side: Side) -> bytes | None:
        """Its bytes with the line numbers of the other side."""
        if self.before is None or self.after is None:
            return self.before if side is Side.BEFORE else self.after
        old, new = aligned(self.before, self.after)
        return old if side is Side.BEFORE else new


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One folder for both sides: names of internal functions hold a hash of the file's path.

    Attributes:
        folder: holds the tree, and `out` for what compilers write.
        contents: both sides of each patched file.
    """

    folder: Path
    contents: Mapping[RepoPath, Content]

    @property
    def tree(self) -> Path:
        return self.folder / "tree"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def lay(self, origin: Path) -> None:
        """Copy the sources of a configured tree, generated ones included."""
        with storage_errors(str(self.folder)):
            shutil.rmtree(self.folder, ignore_errors=True)
            for name in FOLDERS:
                if (origin / name).is_dir():
                    shutil.copytree(origin / name, self.tree / name)
            self.out.mkdir(parents=True)

    def show(self, side: Side) -> None:
        with storage_errors(str(self.tree)):
            for path, content in self.contents.items():
                file, shown = self.tree.joinpath(*path.split("/")), content.of(side)
                if shown is None:
                    file.unlink(missing_ok=True)
                else:
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(shown)

    def put_away(self, side: Side) -> Path:
        """Set aside what the compilers wrote, and begin with nothing."""
        kept = self.folder / side.value
        with storage_errors(str(kept)):
            shutil.rmtree(kept, ignore_errors=True)
            self.out.rename(kept)
            self.out.mkdir()
        return kept

    def take_back(self, side: Side) -> None:
        """The other way round."""
        with storage_errors(str(self.out)):
            shutil.rmtree(self.out)
            (self.folder / side.value).rename(self.out)

    def lend(self, side: Side, pattern: str) -> None:
        """Copy some of what was set aside of one side for the other."""
        with storage_errors(str(self.out)):
            for file in (self.folder / side.value).glob(pattern):
                shutil.copyfile(file, self.out / file.name)

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def clear(self) -> None:
        """Drop what was written of a unit."""
        with storage_errors(str(self.folder)):
            for name in ("out", *(side.value for side in Side)):
                shutil.rmtree(self.folder / name, ignore_errors=True)
            self.out.mkdir()
