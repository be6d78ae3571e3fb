"""What is known about a finished edge: what it read, what it made, what it printed."""

from __future__ import annotations

import base64
import json
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from winvllm_build.build.store.blobs import Syncer
from winvllm_build.build.store.digests import digest_of_text
from winvllm_build.workspace import replace

FORMAT: Final = 1
NAME: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A file that the edge made: its name as the command has it, and its content."""

    name: str
    blob: str
    size: int
    executable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A finished edge.

    Attributes:
        key: digest of command, compiler and environment.
        output: the edge's output; for people.
        tag: the vLLM tag of the build that made it; for people.
        inputs: each file it read by content, its folder named.
        listed: how many of `inputs`, from the first, the dependency file lists.
        missing: headers it asked for with `__has_include`.
        search: the folders it searched, named.
        lookups: digest of what could have stood in for an input.
        made: what it made.
        text: what it printed, folders named.
        spelt: folders that what it made spells out.
        bound: the place that its result holds for; empty if for all.
        seconds: how long it took.
    """

    key: str
    output: str
    tag: str
    inputs: tuple[tuple[str, str], ...]
    listed: int
    missing: tuple[str, ...]
    search: tuple[str, ...]
    lookups: str
    made: tuple[Made, ...]
    text: bytes
    spelt: tuple[tuple[str, str], ...]
    bound: str
    seconds: float

    @property
    def variant(self) -> str:
        """The digest of all that the result depends on besides the command."""
        pairs = [word for pair in sorted(self.inputs) for word in pair]
        spelt = [word for pair in self.spelt for word in pair]
        return digest_of_text([*pairs, "", self.lookups, self.bound, *spelt])

    @property
    def summary(self) -> Summary:
        return Summary(key=self.key, output=self.output, tag=self.tag, seconds=self.seconds, made=self.made)

    def packed(self) -> bytes:
        """A line that says what it is, and all of it, compressed."""
        data = {
            "inputs": [list(pair) for pair in self.inputs],
            "listed": self.listed,
            "missing": list(self.missing),
            "search": list(self.search),
            "lookups": self.lookups,
            "text": base64.b64encode(self.text).decode(),
            "spelt": [list(pair) for pair in self.spelt],
            "bound": self.bound,
        }
        head = self.summary.line()
        return head + zlib.compress(head + json.dumps(data, separators=(",", ":")).encode(), 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a record is about, without what it read."""

    key: str
    output: str
    tag: str
    seconds: float
    made: tuple[Made, ...]

    @property
    def size(self) -> int:
        return sum(made.size for made in self.made)

    def line(self) -> bytes:
        data = {
            "format": FORMAT,
            "key": self.key,
            "output": self.output,
            "tag": self.tag,
            "seconds": round(self.seconds, 3),
            "made": [[made.name, made.blob, made.size, made.executable] for made in self.made],
        }
        return json.dumps(data, separators=(",", ":")).encode() + b"\n"


def unpacked(content: bytes) -> Record:
    """A record as it was packed.

    Raises:
        ValueError: it is torn, or of another format.
    """
    head, _, body = content.partition(b"\n")
    summary = summarised(head)
    try:
        again, _, rest = zlib.decompress(body).partition(b"\n")
        if again != head:
            raise ValueError("a record that contradicts itself")
        data: dict[str, Any] = json.loads(rest)
        return Record(
            key=summary.key,
            output=summary.output,
            tag=summary.tag,
            seconds=summary.seconds,
            made=summary.made,
            inputs=tuple((str(path), str(hash_)) for path, hash_ in data["inputs"]),
            listed=int(data["listed"]),
            missing=tuple(map(str, data["missing"])),
            search=tuple(map(str, data["search"])),
            lookups=str(data["lookups"]),
            text=base64.b64decode(data["text"], validate=True),
            spelt=tuple((str(name), str(folder)) for name, folder in data["spelt"]),
            bound=str(data["bound"]),
        )
    except (zlib.error, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no record: {error}") from error


def summarised(line: bytes) -> Summary:
    """The first line of a record.

    Raises:
        ValueError: it is torn, or of another format.
    """
    try:
        data: dict[str, Any] = json.loads(line)
        if data["format"] != FORMAT:
            raise ValueError(f"a record of format {data['format']}")
        return Summary(
            key=_hash(data["key"]),
            output=str(data["output"]),
            tag=str(data["tag"]),
            seconds=float(data["seconds"]),
            made=tuple(
                Made(name=str(name), blob=_hash(blob), size=int(size), executable=bool(executable))
                for name, blob, size, executable in data["made"]
            ),
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no record: {error}") from error


def _hash(value: Any) -> str:  # noqa: ANN401 - as JSON gives it
    if not isinstance(value, str) or NAME.fullmatch(value) is None:
        raise ValueError(f"no sha256: {value!r}")
    return value


class Records:
    """A folder of records: one folder for each key, one file for each variant."""

    def __init__(self, root: Path, syncer: Syncer) -> None:
        self.root = root
        self._syncer = syncer

    def path(self, key: str, variant: str) -> Path:
        return self.root / key[:2] / key / variant

    def of(self, key: str) -> Iterator[Path]:
        """The records of a key, the last used first."""
        folder = self.root / key[:2] / key
        try:
            found = [(entry.stat().st_mtime_ns, entry.name) for entry in os.scandir(folder)]
        except OSError:
            return
        for _, name in sorted(found, reverse=True):
            if NAME.fullmatch(name):
                yield folder / name

    def load(self, path: Path) -> Record | None:
        """A record, or None; a torn one is dropped."""
        try:
            content = path.read_bytes()
        except OSError:
            return None
        try:
            record = unpacked(content)
        except ValueError:
            record = None
        if record is None or (record.key, record.variant) != (path.parent.name, path.name):
            path.unlink(missing_ok=True)
            return None
        return record

    def summary(self, path: Path) -> Summary | None:
        """What a record is about; None if it is gone or torn."""
        try:
            with path.open("rb") as file:
                return summarised(file.readline())
        except (OSError, ValueError):
            return None

    def add(self, record: Record) -> str:
        """Keep a record; its variant.

        Raises:
            OSError: the store cannot be written.
        """
        variant = record.variant
        path = self.path(record.key, variant)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{variant[:16]}.{os.getpid()}.{id(record):x}.part")
        try:
            part.write_bytes(record.packed())
            replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        self._syncer.later(path)
        return variant

    def all(self) -> Iterator[Path]:
        yield from sorted(path for path in self.root.glob("*/*/*") if NAME.fullmatch(path.name))

    def leftovers(self) -> Iterator[Path]:
        yield from self.root.glob("*/*/*.part")
