"""`[dependency.*]` of a new tag: what its CMake files say, beside what the older manifest says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from winvllm_build.git import Oid
from winvllm_build.intake.cmake_pins import CMakePin
from winvllm_build.sources.pins import (
    COMMIT,
    CONTENT,
    REVISION,
    URL,
    VARIABLE,
    DependencyPin,
    PackagePin,
    SubmodulePin,
)

MOST_NAME: Final = 40


class State(Enum):
    """What became of a dependency since the older tag."""

    NEW = "new"
    SAME = "same"
    MOVED = "moved"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One dependency of the new manifest.

    Attributes:
        name: its table's name.
        state: against the older manifest.
        pin: what CMake says.
        before: what the older manifest says.
        url: the address to write: the older one where both are the same place.
        variable: from CMake, else carried.
        targets: from CMake, else carried.
        archs: from CMake.
        commit: the commit behind the revision, as far as known.
        submodules: with commits that are known to fit.
        package: where the revision is the older one.
    """

    name: str
    state: State
    pin: CMakePin
    before: DependencyPin | None
    url: str
    variable: str
    targets: tuple[str, ...]
    archs: tuple[str, ...]
    commit: Oid | None
    submodules: tuple[SubmodulePin, ...]
    package: PackagePin | None

    @property
    def wanted_submodules(self) -> tuple[str, ...]:
        """The paths whose commits are not known: those of the older manifest, and those that CMake names."""
        known = {module.path for module in self.submodules}
        before = [module.path for module in self.before.submodules] if self.before else []
        named = list(self.pin.submodules or ())
        if self.state is State.SAME:
            return ()
        return tuple(path for path in dict.fromkeys([*before, *named]) if path not in known)

    @property
    def faults(self) -> tuple[str, ...]:
        """What a manifest cannot hold of it."""
        found = []
        for word, text, form in (
            ("address", self.url, URL),
            ("revision", self.pin.revision, REVISION),
            ("environment variable", self.variable, VARIABLE),
            ("FetchContent name", self.pin.content, CONTENT),
        ):  # fmt: skip
            if not form.fullmatch(text):
                found.append(f"its {word} is {text!r}" if text else f"it has no {word}")
        return tuple(found)


def plan(pins: Sequence[CMakePin], before: Sequence[DependencyPin]) -> tuple[Planned, ...]:
    """The dependencies of the new tag: the older ones in their order, then the new ones."""
    older = {pin.content: pin for pin in before}
    taken = {pin.name for pin in before}
    order = {content: at for at, content in enumerate(older)}
    found = []
    for pin in sorted(pins, key=lambda pin: order.get(pin.content, len(order))):
        old = older.get(pin.content) or next((x for x in before if x.variable == pin.variable), None)
        name = old.name if old is not None else _name(pin.content, taken)
        taken.add(name)
        found.append(_planned(name, pin, old))
    return tuple(found)


def gone(pins: Iterable[Planned], before: Sequence[DependencyPin]) -> tuple[DependencyPin, ...]:
    """What the older manifest has and the new tag does not fetch."""
    kept = {planned.name for planned in pins}
    return tuple(pin for pin in before if pin.name not in kept)


def _planned(name: str, pin: CMakePin, old: DependencyPin | None) -> Planned:
    same_place = old is not None and same_address(old.url, pin.url)
    same = old is not None and same_place and old.revision == pin.revision
    own = Oid(pin.revision) if COMMIT.fullmatch(pin.revision) else None
    return Planned(
        name=name, pin=pin, before=old,
        state=State.NEW if old is None else State.SAME if same else State.MOVED,
        url=old.url if old is not None and same_place else pin.url,
        variable=pin.variable or (old.variable if old is not None else ""),
        targets=pin.targets or (old.targets if old is not None else ()),
        archs=pin.archs,
        commit=own or (old.commit if old is not None and same else None),
        submodules=old.submodules if old is not None and same else (),
        package=old.package if old is not None and same else None,
    )  # fmt: skip


def same_address(one: str, other: str) -> bool:
    """Hosts of repositories do not tell case apart, and `.git` may be left out."""
    return one.lower().rstrip("/").removesuffix(".git") == other.lower().rstrip("/").removesuffix(".git")


def _name(content: str, taken: Iterable[str]) -> str:
    """A table's name from a FetchContent name: `vllm-flash-attn` is flash-attn, `fmha_sm100` fmha-sm100."""
    plain = (
        re.sub(r"[^a-z0-9]+", "-", content.lower()).strip("-").removeprefix("vllm-")[:MOST_NAME].strip("-")
    )
    name, number = plain or "dependency", 2
    while name in set(taken):
        name, number = f"{plain[: MOST_NAME - 4]}-{number}", number + 1
    return name


def states(planned: Iterable[Planned], missing: Iterable[DependencyPin]) -> Mapping[str, State]:
    """Every dependency of either tag."""
    return {**{one.name: one.state for one in planned}, **{pin.name: State.GONE for pin in missing}}
