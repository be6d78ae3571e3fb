"""What edges cost here, in a file that only grows at its end, survives a torn tail, and stays small."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from winvllm_build.errors import BusyError
from winvllm_build.workspace import locked, storage_errors, write_atomic

LARGEST: Final = 8 << 20
"""Bytes after which the file is written anew with the latest figures only."""
KEPT: Final = 5
"""Figures of one edge that are kept then."""
MOST: Final = 20_000
"""Figures that are kept then in all: a five-architecture matrix of ten tags."""
LOCK_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What one run of one edge took.

    Attributes:
        subject: the source file, its root named, or `link <output>`.
        headers: what of torch it reads, in a word.
        codes: device codes.
        compiler: compilers and their versions.
        build_type: CMake's word.
        key: the digest of the command.
        seconds: time with a core of its own.
        wall: time on the clock, 0 if unknown.
        cpu: CPU seconds, 0 if unknown.
        reference: what `seconds` would be on the machine of reference, as far as known then; 0 for a link.
        memory: peak bytes, 0 if unknown.
        size: bytes of the output, 0 if unknown.
        at: when it ended, seconds since the epoch.
    """

    subject: str
    headers: str
    codes: tuple[str, ...]
    compiler: str
    build_type: str
    key: str = ""
    seconds: float
    wall: float = 0.0
    cpu: float = 0.0
    reference: float = 0.0
    memory: int = 0
    size: int = 0
    at: float = 0.0

    @property
    def alike(self) -> tuple[str, ...]:
        """What figures of the same file, code, compiler and build type have in common."""
        return (self.subject, self.headers, ",".join(self.codes), self.compiler, self.build_type)


def parse(line: str | bytes) -> Sample | None:
    """The figures in a line, or None for a torn or foreign one."""
    try:
        raw: Any = json.loads(line)
        return Sample(
            subject=str(raw["subject"]), headers=str(raw["headers"]),
            codes=tuple(str(code) for code in raw["codes"]), compiler=str(raw["compiler"]),
            build_type=str(raw["build_type"]), key=str(raw.get("key", "")),
            seconds=float(raw["seconds"]), wall=float(raw.get("wall", 0)), cpu=float(raw.get("cpu", 0)),
            reference=float(raw.get("reference", 0)),
            memory=int(raw.get("memory", 0)), size=int(raw.get("size", 0)), at=float(raw.get("at", 0)),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None


def as_line(sample: Sample) -> bytes:
    """One line of JSON, its end included."""
    return json.dumps(asdict(sample), separators=(",", ":")).encode() + b"\n"


@dataclass(slots=True)
class History:
    """The file; threads may share one object, processes one file."""

    file: Path
    lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self) -> Iterator[Sample]:
        """All figures, the oldest first; lines that are torn are passed over."""
        try:
            content = self.file.read_bytes()
        except FileNotFoundError:
            return
        for line in content.split(b"\n"):
            sample = parse(line) if line else None
            if sample is not None:
                yield sample

    def add(self, sample: Sample) -> None:
        """Append one; after a torn tail on a line of its own.

        Raises:
            StorageError: the file cannot be written.
        """
        line = as_line(sample)
        with self.lock, storage_errors(str(self.file)):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("a+b", buffering=0) as file:
                if file.tell() and not self._ends_whole(file.tell()):
                    line = b"\n" + line
                file.write(line)

    def _ends_whole(self, size: int) -> bool:
        with self.file.open("rb") as file:
            file.seek(size - 1)
            return file.read(1) == b"\n"

    def tidy(self) -> None:
        """Write the file anew if it has grown large; another process that does so now is left to it.

        Raises:
            StorageError: the file cannot be written.
        """
        try:
            if self.file.stat().st_size <= LARGEST:
                return
        except FileNotFoundError:
            return
        lock = self.file.with_name(f"{self.file.name}.lock")
        try:
            with self.lock, locked(lock, f"the history {self.file}", wait=LOCK_SECONDS):
                kept = latest(self.read())
                write_atomic(self.file, b"".join(as_line(sample) for sample in kept))
        except BusyError:
            return


def latest(samples: Iterable[Sample], *, each: int = KEPT, most: int = MOST) -> list[Sample]:
    """The last `each` of every edge, and of those the last `most`, in their order."""
    kept: list[Sample] = []
    seen: dict[tuple[str, ...], int] = {}
    for sample in reversed(list(samples)):
        count = seen.get(sample.alike, 0)
        if count < each and len(kept) < most:
            kept.append(sample)
        seen[sample.alike] = count + 1
    return kept[::-1]
