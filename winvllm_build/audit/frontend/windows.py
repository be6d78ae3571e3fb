"""The same on Windows, with cl.exe itself: preprocessed, through the front end, its result checked by cl.exe.

Never run: no machine with MSVC was at hand. The command lines follow the documentation of cl.exe and what
nvcc shows with `--dryrun` on Linux.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Final

from typing_extensions import assert_never

from winvllm_build.audit.frontend import command_lines as lines
from winvllm_build.audit.frontend import messages, metered
from winvllm_build.audit.frontend.command_lines import Headers
from winvllm_build.audit.frontend.markers import Names
from winvllm_build.audit.frontend.outcome import Outcome, Pass, Verdict
from winvllm_build.audit.frontend.passes import SECONDS, judged, own_files
from winvllm_build.audit.frontend.units import Language, Unit
from winvllm_build.toolchain.toolchain import Toolchain
from winvllm_build.workspace import storage_errors

WORD: Final = re.compile(r'(?:\\"|"(?:\\.|[^"\\])*"|[^\s"])+')
COMMON: Final = ("/nologo", "/TP", "/MD", "/EHsc", "/bigobj", "/Zc:__cplusplus", "/Zc:preprocessor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Msvc:
    """The compiler on Windows; `environment` is what vcvarsall makes."""

    cl: Path
    headers: Headers
    environment: Mapping[str, str]


def msvc_of(toolchain: Toolchain) -> Msvc:
    """The compiler of a toolchain that was found on Windows."""
    home = toolchain.cuda.home
    major, minor, build = toolchain.cuda.version.release[:3]
    nowhere = Path()
    headers = Headers(
        cuda=home, release=(major, minor, build), stand_ins=nowhere, stl=nowhere, wine=nowhere,
        windows=nowhere,
    )  # fmt: skip
    return Msvc(cl=toolchain.host.cxx, headers=headers, environment=toolchain.environment)


def split(command: str) -> list[str]:
    """A command line of CMake's for Windows in words: quotes go, backslashes stay."""
    return [word.replace('\\"', "\0").replace('"', "").replace("\0", '"') for word in WORD.findall(command)]


def steps(msvc: Msvc, unit: Unit, kind: Pass, *, source: Path) -> tuple[list[str], ...]:
    """What is run one after the other, in a folder of its own, until something fails."""
    match kind:
        case Pass.CLANG:
            return ([str(msvc.cl), *_options(unit), "/Zs", str(source)],)
        case Pass.HOST:
            return (
                preprocess(msvc, unit, source=source, device=unit.archs[0]),
                lines.cicc(
                    unit, msvc.headers, unit.archs[0]
                ),  # it writes the stub that the host half includes
                preprocess(msvc, unit, source=source, device=None),
                lines.cudafe(unit, msvc.headers),
                [str(msvc.cl), *_options(unit), "/Zs", lines.RECEIVED],
            )
        case Pass.DEVICE:
            return (
                preprocess(msvc, unit, source=source, device=unit.archs[0]),
                lines.cicc(unit, msvc.headers, unit.archs[0]),
            )
        case _:
            assert_never(kind)


def preprocess(msvc: Msvc, unit: Unit, *, source: Path, device: str | None) -> list[str]:
    """The preprocessor of cl.exe with what nvcc defines, into the file that the front end reads."""
    include = msvc.headers.cuda / "include"
    return [
        str(msvc.cl), *_options(unit), *(f"/D{name}" for name in lines.defined(unit, msvc.headers, device)),
        f"/I{include}", f"/I{include / 'cccl'}", "/FIcuda_runtime.h", "/P",
        f"/Fi{lines.TEXT if device is None else lines.DEVICE_TEXT}", str(source),
    ]  # fmt: skip


def _options(unit: Unit) -> list[str]:
    defined = [f"/D{name}" for name in unit.definitions]
    return [*COMMON, f"/std:{unit.standard}", *defined, *(f"/I{folder}" for folder in unit.includes)]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowsBench:
    """Judges units with MSVC; nothing is kept between runs."""

    tree: Path
    names: Names
    msvc: Msvc
    scratch: Path
    stop: Event = field(default_factory=Event)

    def passes_of(self, unit: Unit, *, device: bool) -> tuple[Pass, ...]:
        """The host pass holds the device's, so that the option changes nothing."""
        del device
        return (Pass.CLANG,) if unit.language is Language.CXX else (Pass.HOST,)

    def changes(self, unit: Unit) -> bool:
        del unit
        return True

    def known(self, unit: Unit, kind: Pass) -> Outcome | None:
        del unit, kind
        return None

    def judge(self, unit: Unit, kind: Pass, *, fresh: bool = False) -> Outcome:
        """Run the steps of a pass until one fails."""
        del fresh
        outcome = Outcome(kind=kind, verdict=Verdict.PASS)
        with storage_errors(str(self.scratch)):
            self.scratch.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(dir=self.scratch, prefix="unit-"))
        try:
            for outcome in self._outcomes(unit, kind, folder):
                if outcome.verdict is not Verdict.PASS:
                    break
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return outcome

    def _outcomes(self, unit: Unit, kind: Pass, folder: Path) -> Iterator[Outcome]:
        for words in steps(self.msvc, unit, kind, source=self.names.file(unit.path)):
            done = metered.run(words, env=self.msvc.environment, cwd=folder, timeout=SECONDS, stop=self.stop)
            yield judged(kind, done, self._messages(done.lines), failing=(1, 2), files=own_files(unit))

    def _messages(self, said: Sequence[str]) -> tuple[messages.Message, ...]:
        return messages.parse(said, self.names.short)
