"""What an edge read: found out when it ends, looked at again before its result is used."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from winvllm_build.build.engine.edge import Edge, Language
from winvllm_build.build.store import command, depfile, includes, lookups, settings
from winvllm_build.build.store.command import Command, slashed
from winvllm_build.build.store.digests import Digest, Digests, digest_of_text
from winvllm_build.build.store.places import Places
from winvllm_build.build.store.records import Record

LIBRARY_NAMES: Final = ("lib{}.so", "lib{}.a", "lib{}.dylib", "{}.lib", "lib{}.lib", "{}")


class Unusable(Exception):  # noqa: N818 - no error: the edge is run, and not kept
    """Why the result of an edge cannot be used again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What an edge read, as a record keeps it."""

    inputs: tuple[tuple[str, str], ...]
    listed: int
    missing: tuple[str, ...]
    search: tuple[str, ...]
    lookups: str
    timed: bool


class Reader:
    """Reads commands and their inputs in one build folder."""

    def __init__(self, places: Places, environment: Mapping[str, str], digests: Digests) -> None:
        self.places = places
        self.digests = digests
        self.listings = lookups.Listings()
        self._environment = environment
        self._settings = settings.deciding(environment, places, separator=os.pathsep)
        self._prefix = includes.prefix_of(_text(places.base / "CMakeFiles" / "rules.ninja") or "")
        self._place = digest_of_text([*map(str, sorted(places.folders.items())), str(places.base)])

    def base_key(self, edge: Edge) -> str:
        """The digest of command, compiler and environment; a link, which has a run path, is for one place."""
        bound = self._place if edge.language is Language.LINK else ""
        return digest_of_text([edge.key, bound, *self._settings])

    def command(self, edge: Edge) -> Command:
        if not edge.target:
            return Command(outputs=(edge.output,), refusal="it is no edge of the configured build")
        found = command.read(
            edge.arguments, edge.language, edge.output, text_of=lambda name: _text(self.places.base / name)
        )
        names = settings.LIBRARIES if edge.language is Language.LINK else settings.SEARCHED
        more = settings.folders(self._environment, names, separator=os.pathsep)
        return replace(found, search=(*found.search, *more))

    def key(self, edge: Edge, found: Command) -> str:
        """As `base_key`, with the words of response files."""
        base = self.base_key(edge)
        if found.words == edge.arguments:
            return base
        return digest_of_text(
            [base, *(self.places.named_text(word.encode()).decode() for word in found.words)]
        )

    def place(self) -> str:
        return self._place

    def same(self, record: Record) -> str:
        """Empty if all that the record's edge read is as it was; else what is not."""
        places, digests = self.places, self.digests
        for named, hash_ in record.inputs:
            try:
                if digests.of(places.file(named)).hash != hash_:
                    return f"{named} has changed"
            except OSError:
                return f"{named} is gone"
        names = [*(named for named, _ in record.inputs), *record.missing]
        if lookups.digest(places, self.listings, record.search, names) != record.lookups:
            return "a file has come or gone where headers are searched"
        return ""

    def read(self, edge: Edge, found: Command, text: bytes, since: int) -> Read:
        """What an edge that has just ended read.

        Args:
            edge: what ran.
            found: its command.
            text: what it printed.
            since: when it began, in nanoseconds of the file system's clock.

        Raises:
            Unusable: it cannot be told with certainty.
        """
        listed = self._listed(found, text) if edge.language is not Language.LINK else ()
        given = self._given(edge, found)
        files = tuple(dict.fromkeys([*listed, *given]))
        inputs: list[tuple[str, str]] = []
        missing: dict[str, None] = {}
        timed = False
        for name in files:
            digest = self._digest(name, since)
            if digest.hidden and edge.language is not Language.LINK:
                raise Unusable(f"{name} has the assembler read further files")
            timed = timed or digest.timed
            missing.update(dict.fromkeys(digest.asked))
            inputs.append((self.places.named(name), digest.hash))
        search = tuple(dict.fromkeys(self.places.named(folder) for folder in found.search))
        names = [*(named for named, _ in inputs), *missing, *_library_files(found)]
        return Read(
            inputs=tuple(inputs),
            listed=len(listed),
            missing=(*missing, *_library_files(found)),
            search=search,
            lookups=lookups.digest(self.places, self.listings, search, names),
            timed=timed,
        )

    def _digest(self, name: str, since: int) -> Digest:
        try:
            digest, look = self.digests.and_look(self.places.file(self.places.named(name)))
        except OSError as error:
            raise Unusable(f"{name} cannot be read: {error.strerror}") from error
        if max(look.modified, look.changed) >= since:
            raise Unusable(f"{name} changed while it was read")
        return digest

    def _listed(self, found: Command, text: bytes) -> tuple[str, ...]:
        base = self.places.base
        if not found.depfile:
            return includes.read(text, self._prefix, lambda path: (base / path).is_file())
        content = _text(base / found.depfile)
        if content is None:
            raise Unusable("it left no dependency file")
        try:
            return depfile.read(content)
        except ValueError as error:
            raise Unusable(str(error)) from error

    def _given(self, edge: Edge, found: Command) -> list[str]:
        """Files that the command line itself names, the program included."""
        outputs = {slashed(name) for name in (*found.outputs, found.depfile)}
        given: list[str] = []
        for at, word in enumerate(found.words):
            for part in {word, word.rpartition("=")[2], *word.split(",")}:
                if (
                    part
                    and slashed(part) not in outputs
                    and (at == 0 or edge.language is Language.LINK or not part.startswith("-"))
                ):
                    path = self.places.base / part
                    if os.path.isfile(path):  # noqa: PTH113 - hot
                        given.append(part)
        given += self._libraries(edge, found)
        return given

    def _libraries(self, edge: Edge, found: Command) -> list[str]:
        if edge.language is not Language.LINK:
            return []
        names = [
            *(pattern.format(name.removeprefix(":")) for name in found.libraries for pattern in LIBRARY_NAMES)
        ]
        names += [
            word
            for word in found.words[1:]
            if word.lower().endswith(".lib") and "/" not in word.replace("\\", "/")
        ]
        there = [str(Path(folder) / name) for folder in found.search for name in names]
        return [path for path in there if (self.places.base / path).is_file()]


def _library_files(found: Command) -> tuple[str, ...]:
    return tuple(
        pattern.format(name.removeprefix(":")) for name in found.libraries for pattern in LIBRARY_NAMES
    )


def _text(path: Path) -> str | None:
    with suppress(OSError):
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    return None
