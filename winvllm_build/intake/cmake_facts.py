"""Everything the CMake files of a tag say of a CUDA build, from one reading."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from winvllm_build.intake.checkout import Checkout
from winvllm_build.intake.cmake_pins import CMakePin, PinReader
from winvllm_build.intake.cmake_run import TOP, Run, Visit
from winvllm_build.intake.cmake_targets import Target, TargetReader, told

STANDARDS: Final = {"CMAKE_CXX_STANDARD": "C++", "CMAKE_CUDA_STANDARD": "CUDA"}
ARCHS: Final = "CUDA_SUPPORTED_ARCHS"
OTHERWISE: Final = "older CUDA"
"""The branch behind all that name a release."""
TORCH: Final = "TORCH_SUPPORTED_VERSION_CUDA"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchList:
    """The architectures upstream supports, and for which toolkits."""

    condition: str
    archs: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CMakeFacts:
    """What the CMake files of a tag say.

    Attributes:
        pins: the projects that would be fetched.
        targets: what is built.
        standards: the language standards that are set, by language.
        archs: the supported architectures.
        torch: the torch release that CMake expects.
        unread: what is said in a way this reader does not know.
    """

    pins: tuple[CMakePin, ...]
    targets: tuple[Target, ...]
    standards: dict[str, str]
    archs: tuple[ArchList, ...]
    torch: str
    unread: tuple[str, ...]


def read(checkout: Checkout) -> CMakeFacts:
    """Read `CMakeLists.txt` and all that it includes.

    Raises:
        SourceError: it is missing, or not CMake.
    """
    checkout.fetch([TOP, *(path for path in checkout.below("cmake") if path.endswith(".cmake"))])
    run = Run(checkout)
    targets, pins, constants = TargetReader(run, checkout), PinReader(run), _Constants()
    for visit in run.visits():
        targets.take(visit)
        pins.take(visit)
        constants.take(visit)
    made = targets.targets()
    return CMakeFacts(
        pins=pins.pins(made), targets=made, standards=constants.standards, archs=tuple(constants.archs),
        torch=constants.torch, unread=pins.unread,
    )  # fmt: skip


class _Constants:
    """Values that stand in the files as they are."""

    def __init__(self) -> None:
        self.standards: dict[str, str] = {}
        self.archs: list[ArchList] = []
        self.torch = ""

    def take(self, visit: Visit) -> None:
        words = visit.command.words
        if visit.command.name != "set" or not visit.live or len(words) < 2:  # noqa: PLR2004 - name and value
            return
        if words[0] in STANDARDS:
            self.standards.setdefault(STANDARDS[words[0]], words[1])
        elif words[0] == ARCHS:
            named = any(condition.holds for condition in visit.conditions)
            condition = " AND ".join(told(visit.conditions)) if named or not visit.conditions else OTHERWISE
            self.archs.append(ArchList(condition=condition, archs=tuple(words[1].split(";"))))
        elif words[0] == TORCH:
            self.torch = words[1]
