"""A hazard in words: why, what it looks like, how it is met, what each patch set does about it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Final

from winvllm_build.audit.hazard import FOLDER, Hazard, Sample
from winvllm_build.patchset import patchset
from winvllm_build.review.find import listed
from winvllm_build.review.hazards import FILE

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FENCES: Final = {
    ".cu": "cuda", ".cuh": "cuda", ".cpp": "cpp", ".h": "cpp", ".hpp": "cpp", ".py": "python", ".rs": "rust",
    ".toml": "toml", ".cmake": "cmake",
}  # fmt: skip
"""What a block of code is called, by the file's suffix."""
SPECIAL: Final = re.compile(r"[\\*<>\[\]|#]|(?<!\w)_+|_+(?!\w)")
"""What Markdown reads as markup, or GitHub as the end of a table's cell."""

NONE: Final = "-"
"""In a header: the patch answers no hazard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A patch whose header names a hazard.

    Attributes:
        path: of the patched file.
        file: of the patch, below the folder of patch sets.
        subject: the patch's.
    """

    path: str
    file: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a set does about a hazard.

    Attributes:
        tag: of the set.
        state: what its `hazards.toml` says (`patched`, `tool`, `absent`, `open`), or nothing.
        reason: why, in its words.
        patches: those that name the hazard.
    """

    tag: str
    state: str
    reason: str
    patches: tuple[Named, ...]


def answers(root: Path) -> Mapping[str, tuple[Answer, ...]]:
    """What every set says about every hazard that it knows, by id, the oldest set first.

    Raises:
        PatchError: a set is malformed.
    """
    found: dict[str, list[Answer]] = {}
    for tag in patchset.tags(root):
        named = _named(root, tag)
        listed_states = _states(root / tag / FILE)
        for hazard in dict.fromkeys([*listed_states, *named]):
            entry = listed_states.get(hazard, {})
            answer = Answer(
                tag=tag, state=str(entry.get("state", "")), reason=str(entry.get("reason", "")),
                patches=tuple(named.get(hazard, ())),
            )  # fmt: skip
            found.setdefault(hazard, []).append(answer)
    return {hazard: tuple(sets) for hazard, sets in found.items()}


def markdown(
    hazard: Hazard, sets: Sequence[Answer] = (), rules: Sequence[str] = (), *, patches: str | None = None
) -> str:
    """One hazard as a page.

    Args:
        hazard: which.
        sets: what the patch sets do about it.
        rules: of `scan` that report it.
        patches: the folder of patch sets as a link from the page; None for text without links.
    """
    prose = escaped if patches is not None else str
    parts = [
        f"# {hazard.id}: {prose(hazard.title)}",
        f"*{hazard.severity.value}*",
        prose(hazard.why),
        _section("What it looks like", prose(hazard.shows)),
        _section("How it is met", prose(hazard.fix)),
        _section("How it is found", _rules(hazard, rules)),
        *(_example(sample) for sample in hazard.samples),
        *(
            [_section("In the patch sets", "\n\n".join(_answer(one, patches) for one in sets))]
            if sets
            else []
        ),
        _section("Where this is from", prose(hazard.source)),
    ]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def escaped(text: str) -> str:
    """Prose in which Markdown finds nothing of its own but code in backticks."""
    parts = text.split("`")
    return "`".join(part if at % 2 else SPECIAL.sub(_escape, part) for at, part in enumerate(parts))


def _escape(match: re.Match[str]) -> str:
    return "".join(f"\\{char}" for char in match[0])


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}"


def _rules(hazard: Hazard, rules: Sequence[str]) -> str:
    if hazard.id in _machine():
        return "No text of a tree shows it: `winvllm-build scan` cannot find it."
    names = ", ".join(f"`{rule}`" for rule in rules)
    found = f"By `winvllm-build scan`{f', as {names}' if names else ''}."
    return (
        found if hazard.samples else f"{found} An example takes more than one short file; there is none here."
    )


@cache
def _machine() -> frozenset[str]:
    """The hazards that lie in the machine, or in how something is started."""
    return frozenset(tomllib.loads((FOLDER / "machine.toml").read_text("utf-8")))


def _example(sample: Sample) -> str:
    fence = FENCES.get(PurePosixPath(sample.path).suffix, "text")
    bad, good = sample.bad.strip("\n"), sample.good.strip("\n")
    return (
        f"In `{sample.path}`, this is reported:\n\n```{fence}\n{bad}\n```\n\n"
        f"and this is not:\n\n```{fence}\n{good}\n```"
    )


def _answer(answer: Answer, patches: str | None) -> str:
    told = f"{answer.tag}: {answer.state or 'named by patches'}"
    told += f" ({answer.reason})" if answer.reason else ""
    lines = [f"- {_link(one, patches)}: {one.subject}" for one in answer.patches]
    return "\n".join([f"{told}{':' if lines else '.'}", *([""] if lines else []), *lines])


def _link(one: Named, patches: str | None) -> str:
    return f"`{one.path}`" if patches is None else f"[`{one.path}`]({patches}/{one.file})"


def _named(root: Path, tag: str) -> dict[str, list[Named]]:
    found: dict[str, list[Named]] = {}
    for hazard, named in _pairs(root, tag):
        found.setdefault(hazard, []).append(named)
    return found


def _pairs(root: Path, tag: str) -> Iterator[tuple[str, Named]]:
    for patch in patchset.read(root, tag, lenient=True).patches:
        header = patch.content.header
        named = Named(path=patch.path, file=patch.file.relative_to(root).as_posix(), subject=header.subject)
        for hazard in listed(header, "Hazards"):
            if hazard != NONE:
                yield hazard, named


def _states(file: Path) -> dict[str, dict[str, Any]]:
    """The tables of a set's `hazards.toml`; lint says what is wrong with the file."""
    try:
        loaded: dict[str, Any] = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError):
        return {}
    return {name: entry for name, entry in loaded.items() if isinstance(entry, dict)}
