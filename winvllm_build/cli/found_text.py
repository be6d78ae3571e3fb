"""What is on a machine to build with, in lines."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from winvllm_build.cli import render
from winvllm_build.cli.rows import Row, Section

if TYPE_CHECKING:
    from winvllm_build.toolchain.gpu import Gpu
    from winvllm_build.toolchain.inventory import Inventory


def sections(found: Inventory) -> list[Section]:
    return [
        Section("CUDA toolkits", tuple(_toolkits(found))),
        Section("host compilers", tuple(_compilers(found))),
        Section("Windows SDKs", tuple(_sdks(found))),
        Section("GPUs", tuple(_gpu(one) for one in found.gpus.gpus), note=_absence(found)),
        Section("your git", tuple(_git(found))),
    ]


def _toolkits(found: Inventory) -> Iterator[Row]:
    for one in found.toolkits:
        named = ", ".join(one.named_by)
        yield Row(one.verdict.value, str(one.version or "?"), str(one.home), f"{one.reason} ({named})")


def _compilers(found: Inventory) -> Iterator[Row]:
    for one in found.compilers:
        state = "taken" if one is found.compiler else "not taken"
        because = f": {one.refusal}" if one.refusal else ""
        yield Row(state, f"{one.kind.value} {one.version}", str(one.path), f"{one.named_by}{because}")


def _sdks(found: Inventory) -> Iterator[Row]:
    for one in found.sdks:
        lacks = [name for name, file in (("rc.exe", one.rc), ("mt.exe", one.mt)) if file is None]
        missing = ", ".join([*lacks, *one.lacks])
        yield Row(str(one.version), str(one.root), f"lacks {missing}" if missing else "complete")


def _gpu(one: Gpu) -> Row:
    memory = f"{render.memory_size(one.memory_free)} of {render.memory_size(one.memory_total)} free"
    model = "" if one.model is None else f", {one.model.value}"
    shown = ", draws a desktop" if one.shows_display else ""
    return Row(f"{one.index}", one.name, one.capability, f"{memory}{model}{shown}")


def _absence(found: Inventory) -> str:
    gpus = found.gpus
    if gpus.absence is not None:
        return gpus.absence.value
    return f"driver {gpus.driver}, runs CUDA up to {gpus.cuda}"


def _git(found: Inventory) -> Iterator[Row]:
    if found.git is not None:
        yield Row("version", found.git.version)
        for name in ("core.longpaths", "core.autocrlf", "core.symlinks"):
            yield Row(name, found.git.values.get(name, "not set"))
