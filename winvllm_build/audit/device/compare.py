"""One unit made of both trees and compared, as far as it takes to know: text, then PTX and host code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from winvllm_build.audit.device import assembly, preprocessed, ptx
from winvllm_build.audit.device.record import Kind
from winvllm_build.audit.device.stage import Side, Stage
from winvllm_build.audit.device.steps import HOST_ASSEMBLY, HOST_TEXT, MODULE_ID, Plan
from winvllm_build.errors import CompileError

EMBEDDED: Final = ("fatbinData", "__fatDeviceText", "_ZL15__fatDeviceText")
"""The device code inside of the host's object; it is compared as PTX."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What was compared, how many of each kind, and the names of what differs."""

    counts: Mapping[Kind, int]
    differing: Mapping[Kind, tuple[str, ...]] = field(default_factory=dict)


def compare(plan: Plan, stage: Stage) -> Compared:
    """Compile before and after.

    Where a preprocessor leaves the same text of both, compilers make the same of them: then that is all.

    Raises:
        CompileError: one of the two does not compile.
        StorageError: the stage cannot be written.
    """
    try:
        same = _texts(plan, stage)
        if same is not None:
            return Compared(counts={Kind.TEXT: same})
        return _translated(plan, stage)
    finally:
        stage.clear()


def _texts(plan: Plan, stage: Stage) -> int | None:
    """How many lines of preprocessed text there are, if they are the same; the results stay in the stage."""
    found = []
    for side in Side:
        stage.show(side)
        plan.run(plan.preprocess)
        kept = stage.put_away(side)
        found.append({file.name: preprocessed.digest(file) for file in sorted(kept.glob("*.ii"))})
    before, after = found
    return sum(one.lines for one in after.values()) if before == after else None


def _translated(plan: Plan, stage: Stage) -> Compared:
    texts: dict[Side, str] = {}
    hosts: dict[Side, preprocessed.Digest] = {}
    for side in Side:
        stage.take_back(side)
        if side is Side.AFTER:
            stage.lend(Side.BEFORE, MODULE_ID)
        plan.run(plan.translate if side is Side.BEFORE else (step.named for step in plan.translate))
        texts[side] = "".join(file.read_text("utf-8") for file in sorted(stage.out.glob("*.ptx")))
        hosts[side] = preprocessed.digest(stage.out / HOST_TEXT)
        stage.put_away(side)
    counts: dict[Kind, int] = {}
    differing: dict[Kind, tuple[str, ...]] = {}
    if any(texts.values()):
        counts[Kind.PTX] = len(ptx.entries(texts[Side.AFTER]))
        differing[Kind.PTX] = tuple(ptx.differing(texts[Side.BEFORE], texts[Side.AFTER]))
    if hosts[Side.BEFORE] == hosts[Side.AFTER]:
        counts[Kind.HOST_TEXT] = hosts[Side.AFTER].lines
    else:
        counts[Kind.HOST], differing[Kind.HOST] = _assembled(plan, stage)
    return Compared(counts=counts, differing={kind: names for kind, names in differing.items() if names})


def _assembled(plan: Plan, stage: Stage) -> tuple[int, tuple[str, ...]]:
    """How many symbols the host's assembly has, and which differ."""
    texts: list[str] = []
    for side in Side:
        stage.take_back(side)
        plan.run([plan.assemble])
        texts.append(_read(stage.out / HOST_ASSEMBLY))
        stage.put_away(side)
    names = [name for name in assembly.differing(*texts) if not name.startswith(EMBEDDED)]
    return len(assembly.symbols(texts[1])), tuple(names)


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8", "surrogateescape")
    except FileNotFoundError as error:
        raise CompileError(f"the compiler left no {file.name}") from error
