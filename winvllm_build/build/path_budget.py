"""How long the longest paths of a build become, and which programs of Windows cannot open them then."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Final

from typing_extensions import assert_never

from winvllm_build.short_root import units

RECORDED: Final = Path(__file__).with_name("data") / "longest_names.json"
MAX_FILE: Final = 259
"""UTF-16 units of a path that every program opens: Windows' MAX_PATH without the final NUL."""
MAX_OBJECT: Final = 249
"""CMake's limit for an object file (CMAKE_OBJECT_PATH_MAX); folders in longer names become a digest."""
DIGEST: Final = "0" * 32
PART: Final = ".0a1b2c3d.part"
"""What a folder's name has more while it is filled."""


class Place(Enum):
    """The folder that a need is relative to."""

    WORKSPACE = "the workspace"
    TEMPORARY = "the folder for temporary files"
    ENVIRONMENT = "the environment that the wheel is installed into"


class Opener(Enum):
    """Who has to open the path.

    The tool's git always goes beyond MAX_PATH (`core.longpaths`), Python where the machine allows it
    (`LongPathsEnabled`); nvcc, cl, link and CMake's limit for objects are not to be persuaded.
    """

    GIT = "git"
    PYTHON = "Python"
    COMPILERS = "compilers and CMake"


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """The longest path of one kind.

    Attributes:
        kind: what it is, in words.
        path: below `place`, with forward slashes.
        limit: UTF-16 units that the whole path may have.
    """

    kind: str
    place: Place
    opener: Opener
    path: str
    limit: int = MAX_FILE

    def length(self, root: str) -> int:
        """UTF-16 units of the whole path below this root."""
        return units(root.rstrip("\\/")) + 1 + units(self.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """A path that is too long; `length` in UTF-16 units."""

    need: Need
    root: str
    length: int

    @property
    def over(self) -> int:
        return self.length - self.need.limit


@dataclass(frozen=True, slots=True, kw_only=True)
class LongestNames:
    """The longest names of a tag, as they were measured; relative to the folder that the name says.

    Attributes:
        tree: any file of the source tree.
        compiled: a file of the tree that a compiler opens, generated ones included.
        objects: object files by the build folder, named as CMake does for Windows.
        header: a header of a dependency, with the folder of that dependency.
        vendored: any file of a dependency, with the folder of that dependency.
        notes: what CMake writes about a dependency, by the build folder.
    """

    tree: str
    compiled: str
    objects: tuple[str, ...]
    header: str
    vendored: str
    notes: str


def needs(tag: str, *, tree: str, build_type: str = "relwithdebinfo") -> tuple[Need, ...]:
    """The longest path of each kind that a build of the tag makes or opens.

    Args:
        tag: a tag without recorded names gets the longest of all that have some.
        tree: the name of the worktree (`trees.tree_name`).
        build_type: lower case, part of the build folder's name.
    """
    names, compilers, python = names_of(tag), Opener.COMPILERS, Opener.PYTHON
    build, deps = f"builds/{tree}-{build_type}-0a1b2c3d", f"sources/deps/{tag}"
    folder, _, rest = names.vendored.partition("/")
    workspace = [
        ("a file of vLLM's source", python, f"trees/{tree}/{names.tree}"),
        ("a source that is compiled", compilers, f"trees/{tree}/{names.compiled}"),
        ("a header of a dependency", compilers, f"{deps}/{names.header}"),
        ("a file of a dependency", Opener.GIT, f"{deps}/.{folder}{PART}/{rest}"),
        ("CMake's notes on a dependency", compilers, f"{build}/{names.notes}"),
    ]
    return (
        *(Need(kind=k, place=Place.WORKSPACE, opener=o, path=p) for k, o, p in workspace),
        *(
            Need(kind="an object file", place=Place.WORKSPACE, opener=compilers, limit=MAX_OBJECT,
                 path=f"{build}/{shortened(name)}")
            for name in names.objects
        ),
        Need(kind="a file that is packed", place=Place.TEMPORARY, opener=python,
             path=f"winvllm-pack-0a1b2c3d/tree/build/lib/{names.tree}"),
        Need(kind="a file of the installed wheel", place=Place.ENVIRONMENT, opener=python,
             path=f"Lib/site-packages/{names.tree}"),
    )  # fmt: skip


def excesses(wanted: Iterable[Need], roots: Mapping[Place, str], *, long_paths: bool) -> tuple[Excess, ...]:
    """The paths that are too long below these roots, the worst first.

    Args:
        wanted: what a build needs.
        roots: the folders; needs of a place that is not named are not looked at.
        long_paths: the machine lets programs that can go beyond MAX_PATH.
    """
    found = (
        Excess(need=need, root=roots[need.place], length=need.length(roots[need.place]))
        for need in wanted
        if need.place in roots and not _is_free(need.opener, long_paths=long_paths)
    )
    return tuple(sorted((one for one in found if one.over > 0), key=lambda one: -one.over))


def longest_root(wanted: Iterable[Need], place: Place, *, long_paths: bool) -> int:
    """How many UTF-16 units the path of `place` may have; negative where no folder is short enough."""
    rooms = [
        need.limit - need.length("")
        for need in wanted
        if need.place is place and not _is_free(need.opener, long_paths=long_paths)
    ]
    return min(rooms, default=MAX_FILE)


def shortened(name: str) -> str:
    """An object's name with its folders as a digest, which is what CMake makes of it where room is short."""
    folder, target, inside = name.partition(".dir/")
    digested = f"{DIGEST}/{inside.rpartition('/')[2]}"
    return folder + target + min(inside, digested, key=len)


def names_of(tag: str) -> LongestNames:
    """The longest names of a tag, or of all tags together."""
    known = recorded()
    return known[tag] if tag in known else longest(known.values())


def longest(several: Iterable[LongestNames]) -> LongestNames:
    """The longest of each kind."""
    all_of = tuple(several)
    return LongestNames(
        tree=max((one.tree for one in all_of), key=units),
        compiled=max((one.compiled for one in all_of), key=units),
        objects=tuple(dict.fromkeys(name for one in all_of for name in one.objects)),
        header=max((one.header for one in all_of), key=units),
        vendored=max((one.vendored for one in all_of), key=units),
        notes=max((one.notes for one in all_of), key=units),
    )


@cache
def recorded() -> Mapping[str, LongestNames]:
    """What scripts/longest_names.py measured, by tag."""
    found = json.loads(RECORDED.read_text(encoding="utf-8"))
    return {
        tag: LongestNames(**{**names, "objects": tuple(names["objects"])}) for tag, names in found.items()
    }


def _is_free(opener: Opener, *, long_paths: bool) -> bool:
    match opener:
        case Opener.GIT:
            return True
        case Opener.PYTHON:
            return long_paths
        case Opener.COMPILERS:
            return False
        case _:
            assert_never(opener)
