"""GPUs and their driver against what the profile builds for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from packaging.version import Version

from winvllm_build import arch
from winvllm_build.commands import set_variable
from winvllm_build.doctor.facts import Facts
from winvllm_build.doctor.finding import Check, Outcome, advice, ok, problem, unknown, warning
from winvllm_build.doctor.windows import GRAPHICS
from winvllm_build.index import PlatformTag
from winvllm_build.toolchain.gpu import Absence, DriverModel, Gpu
from winvllm_build.toolchain.torch import Torch

DRIVERS: Final = {12: "528.33 (Windows), 525.60 (Linux)", 13: "580"}
"""The first driver that runs a CUDA major version, by the release notes of CUDA."""
PATIENT: Final = 10
"""Seconds; profiling a model's first steps has kernels of several."""
OLDEST: Final = "7.5"
"""What vLLM's kernels need."""


def driver(facts: Facts) -> Iterator[Outcome]:
    """The driver runs what torch and the toolkit are for."""
    gpus = facts.inventory.gpus
    if gpus.absence is not None:
        lacks = gpus.absence is Absence.NO_DRIVER
        told = f"{gpus.absence.value}; a build needs none, running it does"
        yield warning(told, "install or repair NVIDIA's driver, then restart") if lacks else unknown(told)
        return
    needed, whose = _needed(facts)
    if gpus.cuda is None or needed is None:
        yield ok(f"driver {gpus.driver}")
    elif gpus.cuda.major < needed.major:
        first = DRIVERS.get(needed.major, "the newest")
        yield problem(
            f"driver {gpus.driver} runs CUDA up to {gpus.cuda}, {whose} is CUDA {needed}",
            f"install NVIDIA's driver {first} or newer",
        )
    elif gpus.cuda < Version(f"{needed.major}.{needed.minor}"):
        yield advice(
            f"driver {gpus.driver} runs CUDA up to {gpus.cuda}, {whose} is CUDA {needed}: kernels run, PTX "
            "of this toolkit (Triton's own, +PTX) is not translated",
            "install the newest driver",
        )
    else:
        yield ok(f"driver {gpus.driver} runs CUDA up to {gpus.cuda}")


def useful(facts: Facts) -> Iterator[Outcome]:
    """Each GPU gets kernels from the profile's architectures; what serves none is told."""
    gpus, wanted = facts.inventory.gpus.gpus, facts.request.architectures
    for gpu in gpus:
        if not any(runs_on(name, gpu.capability) for name in wanted):
            old = arch.order(gpu.capability) < arch.order(OLDEST)
            build = f"winvllm-build profile detect, or --arch {gpu.capability}"
            yield problem(
                f"GPU {gpu.index} ({gpu.name}) is {gpu.capability}; none of {', '.join(wanted)} runs on it "
                "(`no kernel image is available`)",
                f"vLLM needs {OLDEST} or newer" if old else build,
            )
    idle = [name for name in wanted if gpus and not any(runs_on(name, gpu.capability) for gpu in gpus)]
    if idle and len(idle) < len(wanted):
        yield advice(
            f"no GPU here runs {', '.join(idle)}: compile time for other machines",
            f"remove {', '.join(idle)} from cuda.arch_list if the wheel is for this one",
        )
    if not gpus:
        yield unknown("no GPU to compare with")


def runs_on(name: str, capability: str) -> bool:
    """Whether kernels compiled for an architecture run on a GPU; PTX does not count: vLLM ignores `+PTX`.

    Compiled code runs on the same major version from its minor on; with `a` on exactly its own, with `f` on
    its family, which is the same here.
    """
    plain = name.removesuffix("+PTX")
    own, there = arch.order(arch.base(plain)), arch.order(capability)
    if plain.endswith("a"):
        return own[:2] == there[:2]
    return own[0] == there[0] and own[1] <= there[1]


def model(facts: Facts) -> Iterator[Outcome]:
    """What the driver model does to long kernels and to memory."""
    gpus = facts.inventory.gpus.gpus
    shown = [gpu for gpu in gpus if gpu.model is DriverModel.WDDM]
    delay = facts.windows.tdr_delay if facts.windows is not None else PATIENT
    if shown and 0 < delay < PATIENT:
        yield warning(
            f"{shown[0].name} runs under WDDM: Windows ends a kernel that takes more than {delay} s",
            f"as administrator: reg add {GRAPHICS} /v TdrDelay /t REG_DWORD /d 60 /f, then restart",
        )
    desktop = [gpu for gpu in shown if gpu.shows_display]
    if desktop and len(desktop) < len(gpus):
        free = next(gpu for gpu in gpus if gpu not in desktop)
        yield advice(
            f"GPU {desktop[0].index} draws the desktop, GPU {free.index} does not",
            _visible([free.index], facts),
        )
    if not gpus:
        yield unknown("no GPU to ask")


def several(facts: Facts) -> Iterator[Outcome]:
    """Several cards: of one kind, and what they can do together."""
    gpus = facts.inventory.gpus.gpus
    kinds = sorted({gpu.capability for gpu in gpus}, key=arch.order)
    if len(kinds) > 1:
        yield warning(
            f"{len(gpus)} GPUs of {len(kinds)} kinds ({', '.join(kinds)}): a model split over them ends in "
            "illegal memory accesses",
            _visible(_most_of_a_kind(gpus), facts),
        )
    if len(gpus) > 1 and facts.system is PlatformTag.WINDOWS_AMD64:
        yield advice(
            "Windows has no NCCL and, under WDDM, no direct way between cards: tensor parallelism over gloo "
            "is slow",
            "run one model on one card, or Linux",
        )


def _most_of_a_kind(gpus: Sequence[Gpu]) -> list[int]:
    kinds = [one.capability for one in gpus]
    most = max(kinds, key=lambda kind: (kinds.count(kind), arch.order(kind)))
    return [one.index for one in gpus if one.capability == most]


def _visible(cards: Sequence[int], facts: Facts) -> str:
    """NVML counts by the bus, CUDA by speed unless it is told otherwise."""
    values = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": ",".join(map(str, cards))}
    return "\n".join(set_variable(name, value, facts.system) for name, value in values.items())


def _needed(facts: Facts) -> tuple[Version | None, str]:
    torch = facts.inventory.installed_torch
    if isinstance(torch, Torch) and torch.cuda is not None:
        return Version(torch.cuda), f"torch {torch.version}"
    toolkit = facts.inventory.toolkit
    return (None, "") if toolkit is None else (toolkit.version, "the toolkit")


CHECKS: Final = (
    Check(id="gpu-driver", title="the driver runs this CUDA", ask=driver, rows=("U19", "U20")),
    Check(id="gpu-arch", title="the profile builds for the GPU", ask=useful,
          rows=("U19", "U25", "U43")),
    Check(id="gpu-model", title="driver model and desktop", ask=model, only=PlatformTag.WINDOWS_AMD64),
    Check(id="gpu-several", title="several GPUs", ask=several,
          rows=("U34", "U37", "U38", "U39", "U40", "U41")),
)  # fmt: skip
