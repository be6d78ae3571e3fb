"""One unit through one front end: preprocess, convert, run, read what was said."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Final

from typing_extensions import assert_never

from winvllm_build.audit.frontend import command_lines as lines
from winvllm_build.audit.frontend import messages, metered, received
from winvllm_build.audit.frontend.command_lines import Headers
from winvllm_build.audit.frontend.markers import Names, convert
from winvllm_build.audit.frontend.messages import Message
from winvllm_build.audit.frontend.metered import Ran
from winvllm_build.audit.frontend.outcome import KEPT, Outcome, Pass, Verdict
from winvllm_build.audit.frontend.store import Store
from winvllm_build.audit.frontend.units import Language, Unit
from winvllm_build.audit.frontend.wine import Wine
from winvllm_build.workspace import storage_errors

SECONDS: Final = 3600.0
"""The longest a pass may take; CUTLASS' largest host pass took two minutes on a busy machine."""
RAW: Final = "unit.raw"
DEPENDENCIES: Final = "unit.d"
OWN: Final = ("csrc/",)
"""The tree's own sources by their short names."""
WORD: Final = re.compile(r"(?:\\.|[^\\\s])+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Everything a pass needs that is the same for all units of one tree.

    Attributes:
        tree: the source.
        names: short names for its files and those of the headers.
        scratch: where the texts of one unit lie while it is looked at.
        patched: the files that the set changes.
        stop: ends what runs, once it is set.
    """

    tree: Path
    names: Names
    headers: Headers
    clang: Path
    wine: Wine
    store: Store
    scratch: Path
    environment: Mapping[str, str]
    patched: frozenset[str] = frozenset()
    stop: Event = field(default_factory=Event)

    def passes_of(self, unit: Unit, *, device: bool) -> tuple[Pass, ...]:
        match unit.language:
            case Language.CXX:
                return (Pass.CLANG,)
            case Language.CUDA:
                return (Pass.HOST, Pass.DEVICE) if device else (Pass.HOST,)
            case _:
                assert_never(unit.language)

    def changes(self, unit: Unit) -> bool:
        """Whether the set changes a file that the unit was read from in its host pass."""
        read = self.store.inputs(self.store.key([Pass.HOST.value, *self._reading(unit, Pass.HOST)]))
        return any(str(self.tree / path) in read for path in self.patched)

    def known(self, unit: Unit, kind: Pass) -> Outcome | None:
        """The outcome of an earlier run, where nothing that the unit is read from changed."""
        return self.store.by_inputs(self.store.key([kind.value, *self._reading(unit, kind)]))

    def judge(self, unit: Unit, kind: Pass, *, fresh: bool = False) -> Outcome:
        """Run a pass, or (unless `fresh`) find the outcome of the same text.

        Raises:
            ToolchainError: a program cannot be started.
            StorageError: the texts cannot be written.
        """
        with self._folder() as folder:
            read = self._read(unit, kind, folder)
            if isinstance(read, Outcome):
                return read
            text, spent = read
            key = self.store.key([kind.value, *self._meaning(unit, kind), text])
            told = None if fresh else self.store.by_text(key)
            shared = told is not None
            outcome = told or self._run(unit, kind, folder, spent)
            outcome = self._with_sources(unit, replace(outcome, text=text))
            if not shared and outcome.verdict is not Verdict.UNJUDGED:
                self.store.keep(key, outcome)
            if outcome.verdict is not Verdict.UNJUDGED:
                inputs = _inputs(folder / DEPENDENCIES)
                self.store.note(self.store.key([kind.value, *self._reading(unit, kind)]), key, inputs)
            return replace(outcome, shared=shared)

    def _reading(self, unit: Unit, kind: Pass) -> list[str]:
        """The command that reads the unit."""
        source = self.names.file(unit.path)
        device = unit.archs[0] if kind is Pass.DEVICE else None
        return lines.preprocess(
            self.clang,
            unit,
            self.headers,
            self.names,
            source=source,
            device=device,
            cuda=kind is not Pass.CLANG,
        )

    def _meaning(self, unit: Unit, kind: Pass) -> list[str]:
        """The command that judges the text, without what differs between trees and machines."""
        match kind:
            case Pass.HOST:
                return lines.cudafe(unit, self.headers)[1:]
            case Pass.DEVICE:
                return lines.cicc(unit, self.headers, unit.archs[0])[1:]
            case Pass.CLANG:
                return [*lines.MS_MODE, unit.standard]
            case _:
                assert_never(kind)

    def _read(self, unit: Unit, kind: Pass, folder: Path) -> tuple[str, Ran] | Outcome:
        """The preprocessed text in the folder and its digest; an outcome where that failed."""
        words = [*self._reading(unit, kind), "-MD", "-MF", DEPENDENCIES, "-o", RAW]
        done = metered.run(words, env=self.environment, cwd=folder, timeout=SECONDS, stop=self.stop)
        if done.code != 0 or done.late:
            found = messages.parse(done.lines, self.names.short)
            return self._with_sources(unit, judged(kind, done, found, failing=(1,), files=own_files(unit)))
        digest = hashlib.sha256()
        target = folder / (lines.DEVICE_TEXT if kind is Pass.DEVICE else lines.TEXT)
        with (
            storage_errors(str(folder)),
            (folder / RAW).open(encoding="utf-8", errors="surrogateescape", newline="") as raw,
            target.open("w", encoding="utf-8", errors="surrogateescape", newline="") as made,
        ):
            for line in convert(raw, self.names):
                digest.update(line.encode("utf-8", "surrogateescape"))
                made.write(line)
        return digest.hexdigest(), done

    def _run(self, unit: Unit, kind: Pass, folder: Path, reading: Ran) -> Outcome:
        match kind:
            case Pass.HOST:
                done = self.wine.run(
                    lines.cudafe(unit, self.headers), cwd=folder, timeout=SECONDS, stop=self.stop
                )
            case Pass.DEVICE:
                (folder / lines.MODULE_ID).write_text(f"unit_{len(unit.path)}", encoding="ascii")
                words = lines.cicc(unit, self.headers, unit.archs[0])
                done = self.wine.run(words, cwd=folder, timeout=SECONDS, stop=self.stop)
            case Pass.CLANG:
                words = lines.check(self.clang, unit, self.headers, source=self.names.file(unit.path))
                done = metered.run(words, env=self.environment, cwd=folder, timeout=SECONDS, stop=self.stop)
            case _:
                assert_never(kind)
        found = messages.parse(done.lines, self.names.short)
        outcome = judged(kind, done, found, failing=(1, 2), files=own_files(unit))
        if kind is Pass.HOST and outcome.verdict is Verdict.PASS:
            with (folder / lines.RECEIVED).open(encoding="utf-8", errors="replace", newline="") as text:
                outcome = replace(outcome, lint=received.lint(text, own_files(unit)))
        return replace(outcome, cpu=round(done.cpu + reading.cpu, 1), peak=max(done.peak, reading.peak))

    def _with_sources(self, unit: Unit, outcome: Outcome) -> Outcome:
        """The messages with the line of the file that each is about."""
        own = own_files(unit)
        return replace(outcome, messages=tuple(self._with_source(one, own) for one in outcome.messages))

    def _with_source(self, message: Message, own: tuple[str, ...]) -> Message:
        file = self.names.file(message.file)
        if message.source or not message.file.startswith(own) or not file.is_file():
            return message
        text = file.read_text("utf-8", "replace").splitlines()
        inside = 0 < message.line <= len(text)
        return replace(message, source=text[message.line - 1].strip()[:160] if inside else "")

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        with storage_errors(str(self.scratch)):
            self.scratch.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.scratch, prefix="unit-") as folder:
                yield Path(folder)


def own_files(unit: Unit) -> tuple[str, ...]:
    """How the short names of the files begin whose faults are the unit's own, and not the system's."""
    return (*OWN, f"{unit.dependency}/") if unit.dependency else OWN


def judged(
    kind: Pass, done: Ran, found: tuple[Message, ...], *, failing: tuple[int, ...], files: tuple[str, ...]
) -> Outcome:
    """The verdict that an exit code and messages mean.

    Args:
        kind: the pass.
        done: how the program ended.
        found: what it said.
        failing: the exit codes that mean errors in the source.
        files: how the names of the unit's own files begin.
    """
    own = any(message.file.startswith(files) for message in found)
    if done.code == 0 and not done.late:
        verdict = Verdict.PASS
    elif own and done.code in failing:
        verdict = Verdict.FAIL
    else:
        verdict = Verdict.UNJUDGED
    if verdict is Verdict.UNJUDGED and not found:
        why = f"ran out of time after {done.seconds:.0f} s" if done.late else f"ended with {done.code}"
        found = (Message(file="", line=0, text=f"{why}: {' '.join(done.lines[-3:])}"[:300]),)
    return Outcome(
        kind=kind,
        verdict=verdict,
        errors=max(messages.counted(done.lines), len(found)) if done.code or done.late else 0,
        messages=found[:KEPT] if verdict is not Verdict.PASS else (),
        cpu=round(done.cpu, 1),
        peak=done.peak,
    )


def _inputs(file: Path) -> list[Path]:
    """The files that a make rule of clang's names."""
    text = file.read_text("utf-8", "surrogateescape").replace("\\\n", " ")
    _, _, listed = text.partition(": ")
    return [Path(re.sub(r"\\(.)", r"\1", word).replace("$$", "$")) for word in WORD.findall(listed)]
