"""Template instantiations and inclusions around an error, folded to the places they name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from winvllm_build.build.diagnosis.grammar import NOTE
from winvllm_build.build.diagnosis.message import Message, Spot, Weight

GNU_BEFORE: Final = re.compile(
    r"^(?:In file included )?from (?P<file>.+?):(?P<line>\d+)(?::\d+)?[,:]?$|"
    r"^(?P<at>(?:[A-Za-z]:)?[^\s:][^:]*):(?P<number>\d+)(?::\d+)?:\s+(?:recursively )?required (?:from|by)"
)
GNU_WITHIN: Final = re.compile(r"^(?:[A-Za-z]:)?[^\s:][^:]*: (?:In|At) [^:]*")
EDG_AFTER: Final = re.compile(r'\bat line (?P<line>\d+)(?: of "?(?P<file>[^"]+?)"?)?$')
EDG_INSIDE: Final = re.compile(
    r"^(?:detected (?:during|at)|instantiation of|processing of|implicit generation|\^|\[)"
)


@dataclass(slots=True)
class Before:
    """The chain that GCC prints above its error."""

    spots: list[Spot] = field(default_factory=list)

    def see(self, text: str) -> None:
        match = GNU_BEFORE.match(text)
        if match is not None:
            self.spots.append(
                Spot(file=match["file"] or match["at"], line=int(match["line"] or match["number"]))
            )
        elif not GNU_WITHIN.match(text):
            self.spots.clear()

    def take(self, message: Message) -> tuple[Spot, ...]:
        """What was seen, if it belongs to this message."""
        seen = tuple(self.spots) if message.tool == "gcc" else ()
        self.spots.clear()
        return seen


def after(message: Message, rows: Sequence[str]) -> tuple[Spot, ...]:
    """The chain that cl.exe and nvcc's front end print below their error."""
    if message.weight is not Weight.CAUSE or message.spot is None:
        return ()
    match message.tool:
        case "cl":
            return _notes(rows)
        case "edg":
            return _detected(rows, message.spot.file)
        case _:
            return ()


def _notes(rows: Sequence[str]) -> tuple[Spot, ...]:
    """`file(12): note: ...` in any language: a place and no code."""
    found: list[Spot] = []
    for row in rows:
        match = NOTE.match(row)
        if match is None or re.search(r"\b[A-Z]{1,4}\d{4}\s*[:\uff1a]", row):
            break
        found.append(Spot(file=match["file"], line=int(match["line"])))
    return tuple(dict.fromkeys(found))


def _detected(rows: Sequence[str], file: str) -> tuple[Spot, ...]:
    """`detected during instantiation of ... at line 12 of file.cu`, its continuations without a file."""
    found: list[Spot] = []
    for row in rows[:60]:
        match = EDG_AFTER.search(row)
        if match is not None:
            file = match["file"] or file
            found.append(Spot(file=file, line=int(match["line"])))
        elif re.search(r"\(\d+\):? ?(?:error|warning|catastrophic)", row) or re.match(
            r"^\d+ errors? detected", row
        ):
            break
    return tuple(dict.fromkeys(found))
