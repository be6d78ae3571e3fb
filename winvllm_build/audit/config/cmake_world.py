"""What conditions of CMake say on a machine: for MSVC, for Linux, and where nobody has said which."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from winvllm_build.intake.cmake_conditions import decide
from winvllm_build.intake.cmake_text import Argument, Quoting
from winvllm_build.intake.cmake_values import Variables

CUDA: Final = {
    "VLLM_TARGET_DEVICE": "cuda", "VLLM_GPU_LANG": "CUDA", "GPU_LANG": "CUDA", "GPU_LANGUAGE": "CUDA",
    "CUDA_FOUND": "TRUE", "HIP_FOUND": "FALSE", "PYTORCH_FOUND_HIP": "FALSE",
}  # fmt: skip
"""A build for CUDA; the middle three are what vLLM's functions call the language."""
ON_WINDOWS: Final = {
    "CMAKE_SYSTEM_NAME": "Windows", "CMAKE_HOST_SYSTEM_NAME": "Windows", "CMAKE_SYSTEM_PROCESSOR": "AMD64",
    "CMAKE_HOST_SYSTEM_PROCESSOR": "AMD64", "CMAKE_CXX_COMPILER_ID": "MSVC", "CMAKE_C_COMPILER_ID": "MSVC",
}  # fmt: skip
ON_LINUX: Final = {
    "CMAKE_SYSTEM_NAME": "Linux", "CMAKE_HOST_SYSTEM_NAME": "Linux", "CMAKE_SYSTEM_PROCESSOR": "x86_64",
    "CMAKE_HOST_SYSTEM_PROCESSOR": "x86_64", "CMAKE_CXX_COMPILER_ID": "GNU", "CMAKE_C_COMPILER_ID": "GNU",
}  # fmt: skip
MICROSOFT: Final = ("MSVC", "WIN32", "CMAKE_HOST_WIN32")
OTHERS: Final = ("APPLE", "MINGW", "CYGWIN", "CMAKE_COMPILER_IS_GNUCXX")


@dataclass(frozen=True, slots=True)
class World:
    """A machine: what variables hold there, and which of them it does not set."""

    known: Mapping[str, str]
    unset: frozenset[str]

    def knowing(self, more: Mapping[str, str]) -> World:
        return World({**self.known, **more}, self.unset) if more else self

    def decide(self, arguments: Sequence[Argument]) -> bool | None:
        """Whether a condition holds there; None where this does not settle it."""
        variables = Variables(self.known)
        variables.unset_names.update(self.unset)
        return decide(_matched(arguments, self), variables)

    def text(self, argument: Argument) -> str | None:
        """What an operand holds, where the machine decides it."""
        name = re.sub(r"^\$\{(\w+)\}$", r"\1", argument.text)
        if name in self.unset:
            return ""
        return self.known.get(name)


WINDOWS: Final = World(
    CUDA | ON_WINDOWS | dict.fromkeys(MICROSOFT, "1"),
    frozenset(OTHERS) | {"UNIX", "CMAKE_HOST_UNIX", "LINUX"},
)
LINUX: Final = World(
    CUDA | ON_LINUX | dict.fromkeys(("UNIX", "CMAKE_HOST_UNIX", "LINUX"), "1"),
    frozenset(OTHERS[:3] + MICROSOFT),
)
UNSAID: Final = World(CUDA | ON_WINDOWS, WINDOWS.unset)
"""Windows, but where `MSVC` and `WIN32` are asked the answer is unknown: what differs is guarded by them."""


def _matched(arguments: Sequence[Argument], world: World) -> list[Argument]:
    """The condition with each `MATCHES` that the machine settles put as TRUE or FALSE.

    Environment variables are unknown: what a user sets counts, too.
    """
    found: list[Argument] = []
    for argument in arguments:
        if argument.text.startswith("ENV{") and found and found[-1].text == "DEFINED":
            found[-1] = replace(found[-1], text="EXISTS")
        found.append(argument)
        if len(found) < 3 or found[-2].text != "MATCHES":  # noqa: PLR2004 - operand, MATCHES, pattern
            continue
        text = world.text(found[-3])
        if text is not None and (answer := _search(argument.text, text)) is not None:
            word = Argument(text=answer, quoting=Quoting.UNQUOTED, line=argument.line)
            found[-3:] = [word]
    return found


def _search(pattern: str, text: str) -> str | None:
    try:
        return "TRUE" if re.search(pattern.replace("\\\\", "\\"), text) else "FALSE"
    except re.error:
        return None
