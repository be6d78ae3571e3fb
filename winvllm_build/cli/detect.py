"""`winvllm-build profile detect`: a profile for this machine, with the reason of every value."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from winvllm_build.cli import outfile, render
from winvllm_build.errors import UsageError

if TYPE_CHECKING:
    from winvllm_build.runtime.detection import Detected
    from winvllm_build.runtime.hardware import Hardware
    from winvllm_build.runtime.host import Host
    from winvllm_build.runtime.modelfiles import Model
    from winvllm_build.toolchain.gpu import Gpus

HELP = """Write a profile for this machine: what to build for its cards, and how to start vLLM on them.

\b
Examples:
  winvllm-build profile detect                                      print it, each value with its reason
  winvllm-build profile detect --output my.toml                     write it; then: build --profile my.toml
  winvllm-build profile detect --model models/Qwen3-8B              lengths computed for a model
  winvllm-build profile detect --model Qwen/Qwen3-8B                the same for one in Hugging Face's cache
  winvllm-build profile detect --gpu "RTX 3060,12GB,8.6" --system windows    for another
Nothing is downloaded.
"""
HARDWARE = """What this machine is good for: device, class, what to start an engine with, and why.

\b
Examples:
  winvllm-build detect                                       device, class, recommended settings
  winvllm-build detect models/Qwen3-8B                       computed for a model
  winvllm-build detect --json                                the same as data
  winvllm-build detect --gpu "RTX 4090,24GB,8.9" --system windows    for another machine
`winvllm-build serve` takes these settings by itself; `profile detect --output my.toml` writes them to a file.
"""
WIDEST: Final = 32
"""A longer value, such as a model's folder, moves its own reason alone."""
Cards = Annotated[
    list[str] | None,
    typer.Option("--gpu", metavar="NAME,SIZE,CC", help="A card instead of those found; repeat for more."),
]
Memory = Annotated[str | None, typer.Option(metavar="SIZE", help="RAM to reckon with, all of it free.")]
System = Annotated[
    str | None, typer.Option(metavar="windows|linux", help="The system it is for; else this one.")
]


def register(app: typer.Typer) -> None:
    app.command("detect", help=HARDWARE)(hardware)


def hardware(
    *,
    model: Annotated[
        str | None,
        typer.Argument(metavar="[MODEL]", help="Folder or name that the settings are computed for."),
    ] = None,
    gpu: Cards = None,
    ram: Memory = None,
    system: System = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print data as JSON.")] = False,
) -> int:
    from winvllm_build.runtime import hardware as room

    own = machine(ram=ram, system=system)
    gpus = cards(gpu or [], None, windows=own.windows)
    if gpus.gpus:
        found = room.of_cards(_detected(gpus, own, model, None), gpus)
    else:
        found = room.of_cpu(gpus, own, _read(model))
    if as_json:
        render.data(found.as_data())
        return 0
    _show(found)
    return 0


def _show(found: Hardware) -> None:
    render.out(f"device     {found.device}: {found.name}")
    render.out(f"profile    {found.profile.value}: {found.profile.reason}")
    for title, table in (("recommended", found.recommended), ("build", found.build)):
        if table:
            render.out(title)
        values = {key: _written(setting.value) for key, setting in table.items()}
        names = max(map(len, values), default=0)
        width = max((len(text) for text in values.values() if len(text) <= WIDEST), default=0)
        for key, setting in table.items():
            render.out(f"  {key:<{names}}  {values[key]:<{width}}  {setting.reason}")
    for text in found.notes:
        render.note(f"note: {text}")


def _written(value: object) -> str:
    """A value as a profile has it, without brackets and quotes."""
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def detect(
    *,
    model: Annotated[
        str | None, typer.Option(metavar="FOLDER|NAME", help="Model that the settings are computed for.")
    ] = None,
    tag: Annotated[str | None, typer.Option(help="vLLM tag; else the newest with patches.")] = None,
    gpu: Cards = None,
    vram: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Memory of the cards that were found, such as 12GB.")
    ] = None,
    ram: Memory = None,
    system: System = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the profile there.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print data as JSON.")] = False,
) -> int:
    found = detected(model=model, tag=tag, gpus=gpu or [], vram=vram, ram=ram, system=system)
    if output is not None:
        write(output, found, force=force)
        render.note(f"next: winvllm-build build --profile {output}")
    if as_json:
        render.data(found.as_data())
    elif output is None:
        render.out(found.toml().rstrip("\n"))
    for text in found.notes:
        render.note(f"note: {text}")
    return 0


def detected(
    *,
    model: str | None = None,
    tag: str | None = None,
    gpus: list[str] | None = None,
    vram: str | None = None,
    ram: str | None = None,
    system: str | None = None,
) -> Detected:
    """The profile of this machine, or of one that is stated.

    Raises:
        UsageError: something is stated wrongly, or the model or tag is not here.
        ToolchainError: there is no GPU, and none was stated.
    """
    own = machine(ram=ram, system=system)
    return _detected(cards(gpus or [], vram, windows=own.windows), own, model, tag)


def _detected(gpus: Gpus, own: Host, model: str | None, tag: str | None) -> Detected:
    from winvllm_build import data
    from winvllm_build.runtime import detection

    return detection.detect(gpus, own, _read(model), detection.needs_of(tag, data.patches_root()))


def _read(model: str | None) -> Model | None:
    import os

    from winvllm_build.runtime import modelfiles

    return None if model is None else modelfiles.read(model, os.environ)


def machine(*, ram: str | None, system: str | None) -> Host:
    """This machine without its cards, or what is stated of another.

    Raises:
        UsageError: something is stated wrongly.
    """
    from winvllm_build.runtime import host, stated
    from winvllm_build.workspace import Workspace

    own = host.read(Workspace.default().builds)
    if system is not None:
        own = dataclasses.replace(own, windows=_is_windows(system))
    if ram is not None:
        size = stated.size(ram, "--ram")
        own = dataclasses.replace(own, memory_total=size, memory_free=size)
    return own


def _is_windows(system: str) -> bool:
    if system not in {"windows", "linux"}:
        raise UsageError(f'--system: "{system}" is neither windows nor linux', fix="--system windows")
    return system == "windows"


def cards(described: list[str], vram: str | None, *, windows: bool) -> Gpus:
    """The cards that are described, else those that are found.

    Raises:
        UsageError: something is stated wrongly.
    """
    from winvllm_build.runtime import stated
    from winvllm_build.toolchain import gpu

    if described and vram is not None:
        raise UsageError("--gpu names the memory already", fix="leave --vram out")
    if described:
        cards = (stated.gpu(text, index=i, windows=windows) for i, text in enumerate(described))
        return gpu.Gpus(gpus=tuple(cards))
    found = gpu.read()
    if vram is None:
        return found
    size = stated.size(vram, "--vram")
    return dataclasses.replace(
        found,
        gpus=tuple(dataclasses.replace(c, memory_total=size, memory_free=size) for c in found.gpus),
    )


def write(file: Path, found: Detected, *, force: bool = False) -> None:
    """Write the profile, and say so.

    Raises:
        UsageError: the file exists and `force` is not given, or its folder does not.
        StorageError: it cannot be written.
    """
    from winvllm_build.workspace import storage_errors, write_atomic

    if file.exists() and not force:
        raise UsageError(f"{file} exists", fix="--force replaces it, or name another file")
    outfile.require_folder(file)
    with storage_errors(str(file)):
        write_atomic(file, found.toml().encode())
    render.note(f"written: {file}")
