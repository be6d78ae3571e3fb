"""Where the patch files of a set lie, known or not: what `patchset.read` would refuse is a finding here."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from winvllm_build.git import RepoPath
from winvllm_build.patchset.diff import Change
from winvllm_build.patchset.patchfile import SUFFIX
from winvllm_build.patchset.patchset import Place
from winvllm_build.patchset.paths import path_fault
from winvllm_build.review.reading import Reading
from winvllm_build.review.rules import LONGEST_NAME, Finding, Rule, found
from winvllm_build.suggest import did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The names the manifest declares; None where it could not be read."""

    layers: tuple[str, ...] | None
    targets: tuple[str, ...] | None


@dataclass
class Search:
    """The patch files below one tag's folder, and what else is there."""

    folder: Path
    places: list[Place] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def search(folder: Path, known: Known) -> Search:
    """Every patch file below `folder`, also in folders the manifest does not have."""
    made = Search(folder=folder)
    for layer in _folders(made, folder, known.layers, Rule.LAYER):
        for target in _folders(made, folder / layer, known.targets, Rule.TARGET):
            _files(made, layer, target)
    return made


def _folders(made: Search, parent: Path, known: Sequence[str] | None, rule: Rule) -> list[str]:
    names = []
    for entry in sorted(parent.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_symlink():
            made.findings.append(found(Rule.STRAY, entry, "it is a link"))
        elif entry.is_dir():
            names.append(entry.name)
            if known is not None and entry.name not in known:
                words = f"no {rule.id} of that name is declared{did_you_mean(entry.name, known)}"
                made.findings.append(found(rule, entry, words))
        elif entry.name.endswith(SUFFIX) or parent != made.folder:
            words = f"it lies outside <layer>/<target>/; a patch file is <path>{SUFFIX} below these"
            made.findings.append(found(Rule.STRAY, entry, words))
    return names


def _files(made: Search, layer: str, target: str) -> None:
    top = made.folder / layer / target
    for parent, folders, files in os.walk(top):
        folders.sort()
        for name in sorted([*folders, *files]):
            file = Path(parent, name)
            if file.is_symlink():
                made.findings.append(found(Rule.STRAY, file, "it is a link"))
            elif name in folders or (name.startswith(".") and not name.endswith(SUFFIX)):
                continue  # the latter are temporary files of a killed run
            elif not name.endswith(SUFFIX):
                made.findings.append(found(Rule.STRAY, file, f"it is not a {SUFFIX} file"))
            else:
                path = RepoPath(file.relative_to(top).as_posix().removesuffix(SUFFIX))
                made.places.append(Place(layer=layer, target=target, path=path, file=file))


def check(folder: Path, readings: Sequence[Reading]) -> Iterator[Finding]:
    """Names that another file system would not keep apart, or not take."""
    for reading in readings:
        place = reading.place
        fault = path_fault(place.path)
        if fault is not None:
            yield found(Rule.PATH, place.file, f"the path {place.path!r} {fault}")
        length = len(place.file.relative_to(folder.parent).as_posix())
        if length > LONGEST_NAME:
            yield found(Rule.LONG_NAME, place.file, f"its name has {length} characters")
    for target in sorted({reading.place.target for reading in readings}):
        yield from _collisions([reading for reading in readings if reading.place.target == target])


def _collisions(readings: Sequence[Reading]) -> Iterator[Finding]:
    """Of one target; the same path in two layers is no collision."""
    seen: dict[str, Reading] = {}
    for reading in readings:
        earlier = seen.setdefault(folded(reading.place.path), reading)
        if earlier.place.path != reading.place.path:
            words = f"{earlier.place.path} and {reading.place.path} are one file where case does not count"
            yield found(Rule.COLLISION, reading.place.file, words)
    for reading in readings:
        for parent in Path(reading.place.path).parents:
            other = seen.get(folded(parent.as_posix()))
            if other is not None and not _deletes(other) and not _deletes(reading):
                words = f"{other.place.path} is a file of another patch and a folder here"
                yield found(Rule.COLLISION, reading.place.file, words)


def folded(path: str) -> str:
    """One spelling for all that Windows or macOS takes for one name."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path).casefold())


def _deletes(reading: Reading) -> bool:
    return reading.diff is not None and reading.diff.change is Change.DELETED
