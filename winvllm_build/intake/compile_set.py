"""What two tags compile: sources that came, went, or moved, for each extension target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from winvllm_build.intake.cmake_pins import reduced
from winvllm_build.intake.cmake_targets import Kind, SourceFile, Target, archs_of, told
from winvllm_build.intake.dependencies import State

NOTHING: Final = Target(name="", kind=Kind.CUSTOM, file="", line=0, conditions=(), sources=(), includes=())


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceChange:
    """One source of a target.

    Attributes:
        path: in the tag that has it; the new one where both do.
        was: its old path, if it is another.
        target: the other target it came from or went to; empty for none.
        conditions: what has to hold for it to be compiled, in words.
        archs: for which CUDA architectures; empty for all.
    """

    path: str
    was: str = ""
    target: str = ""
    conditions: tuple[str, ...] = ()
    archs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetChange:
    """One target; `size` is the number of its sources in the new tag, patterns counted once."""

    name: str
    state: State
    size: int
    added: tuple[SourceChange, ...]
    removed: tuple[SourceChange, ...]
    moved: tuple[SourceChange, ...]


def compare(
    old: Iterable[Target], new: Iterable[Target], moved: Mapping[str, str]
) -> tuple[TargetChange, ...]:
    """The targets of both tags, those of the new one first.

    Args:
        old: the older tag's.
        new: the newer tag's.
        moved: where files went, by their old path.
    """
    before = {target.name: target for target in old}
    after = {target.name: target for target in new}
    homes = {file.path: target.name for target in after.values() for file in target.sources}
    origins = {moved.get(file.path, file.path): target.name for target in before.values()
               for file in target.sources}  # fmt: skip
    return tuple(
        _compared(before.get(name), after.get(name), moved, homes, origins)
        for name in dict.fromkeys([*after, *before])
    )


def _compared(
    old: Target | None,
    new: Target | None,
    moved: Mapping[str, str],
    homes: Mapping[str, str],
    origins: Mapping[str, str],
) -> TargetChange:
    had = {moved.get(file.path, file.path): file for file in (old or NOTHING).sources}
    has = {file.path: file for file in (new or NOTHING).sources}
    name = (new or old or NOTHING).name
    came = [_told(file, target=_other(origins, path, name)) for path, file in has.items() if path not in had]
    went = [_told(file, target=_other(homes, path, name)) for path, file in had.items() if path not in has]
    elsewhere = [
        _told(file, was=had[path].path)
        for path, file in has.items()
        if path in had and had[path].path != path
    ]
    changed = bool(came or went or elsewhere)
    state = (
        State.NEW if old is None else State.GONE if new is None else State.MOVED if changed else State.SAME
    )
    return TargetChange(
        name=name, state=state, size=len(has), added=tuple(came), removed=tuple(went), moved=tuple(elsewhere)
    )


def _other(places: Mapping[str, str], path: str, name: str) -> str:
    found = places.get(path, "")
    return "" if found == name else found


def _told(file: SourceFile, *, was: str = "", target: str = "") -> SourceChange:
    return SourceChange(
        path=file.path, was=was, target=target, conditions=told(file.conditions),
        archs=reduced(archs_of(file.conditions)),
    )  # fmt: skip
