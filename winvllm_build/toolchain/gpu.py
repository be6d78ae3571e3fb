"""The NVIDIA GPUs of this machine and their driver, as NVML tells them; CUDA itself is not needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar

import pynvml
from packaging.version import InvalidVersion, Version

Value = TypeVar("Value")
RELEASE: Final = 1000
"""NVML tells CUDA 13.1 as 13010."""


class DriverModel(Enum):
    """How Windows runs a GPU. WDDM: with the desktop. TCC, MCDM: for computing only."""

    WDDM = "WDDM"
    TCC = "TCC"
    MCDM = "MCDM"


MODELS: Final = {
    pynvml.NVML_DRIVER_WDDM: DriverModel.WDDM,
    pynvml.NVML_DRIVER_WDM: DriverModel.TCC,
    pynvml.NVML_DRIVER_MCDM: DriverModel.MCDM,
}


class Absence(Enum):
    """Why no GPU is told; all of them are ordinary.

    NO_LIBRARY: no NVIDIA driver is installed, or a container lacks its library.
    NO_DRIVER: the library is there; the driver is not loaded, or is of another version.
    NO_GPU: the driver runs and has no GPU, or this process may not use one.
    """

    NO_LIBRARY = "no NVIDIA driver is installed (NVML is not there)"
    NO_DRIVER = "the NVIDIA driver does not answer"
    NO_GPU = "the NVIDIA driver has no GPU"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU.

    Attributes:
        index: in NVML's order, which is that of `nvidia-smi` and of CUDA_DEVICE_ORDER=PCI_BUS_ID.
        capability: the compute capability as in an arch list: "8.6".
        memory_total: bytes on the card.
        memory_free: bytes nobody uses now.
        model: how Windows runs it; None on Linux.
        shows_display: whether a desktop is drawn on it; None where NVML does not tell.
    """

    index: int
    name: str
    uuid: str
    capability: str
    memory_total: int
    memory_free: int
    model: DriverModel | None = None
    shows_display: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpus:
    """What NVML answered.

    Attributes:
        gpus: those that answered, by index.
        driver: the driver's version: "581.15".
        cuda: the newest CUDA that the driver runs: "13.0".
        absence: why there are none; None where there is one.
        detail: NVML's own words for what did not answer.
    """

    gpus: tuple[Gpu, ...] = ()
    driver: Version | None = None
    cuda: Version | None = None
    absence: Absence | None = None
    detail: str = ""


def read() -> Gpus:
    """The GPUs as they are now; without one, or without a driver, the reason instead."""
    try:
        with _session():
            return _read()
    except pynvml.NVMLError as error:
        missing = error.value == pynvml.NVML_ERROR_LIBRARY_NOT_FOUND
        return Gpus(absence=Absence.NO_LIBRARY if missing else Absence.NO_DRIVER, detail=str(error))


@contextmanager
def _session() -> Iterator[None]:
    pynvml.nvmlInit()
    try:
        yield
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _read() -> Gpus:
    driver = _asked(pynvml.nvmlSystemGetDriverVersion)
    cuda = _asked(pynvml.nvmlSystemGetCudaDriverVersion_v2)
    found: list[Gpu] = []
    failed: list[str] = []
    for index in range(_asked(pynvml.nvmlDeviceGetCount) or 0):
        try:
            found.append(_gpu(index))
        except pynvml.NVMLError as error:  # a card that fell off the bus, or is another user's
            failed.append(f"GPU {index}: {error}")
    return Gpus(
        gpus=tuple(found),
        driver=_version(driver),
        cuda=None if not cuda else Version(f"{cuda // RELEASE}.{cuda % RELEASE // 10}"),
        absence=None if found else Absence.NO_GPU,
        detail="; ".join(failed),
    )


def _gpu(index: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    shown = _asked(lambda: pynvml.nvmlDeviceGetDisplayActive(handle))
    return Gpu(
        index=index,
        name=pynvml.nvmlDeviceGetName(handle),
        uuid=_asked(lambda: pynvml.nvmlDeviceGetUUID(handle)) or "",
        capability=f"{major}.{minor}",
        memory_total=int(memory.total),
        memory_free=int(memory.free),
        model=_model(handle),
        shows_display=None if shown is None else bool(shown),
    )


def _model(handle: object) -> DriverModel | None:
    """`_v2` knows MCDM; drivers before 550 lack it."""
    answer = _asked(lambda: pynvml.nvmlDeviceGetDriverModel_v2(handle))
    if answer is None:
        answer = _asked(lambda: pynvml.nvmlDeviceGetDriverModel_v1(handle))
    return None if answer is None else MODELS.get(answer[0])


def _asked(question: Callable[[], Value]) -> Value | None:
    """The answer, or None: what one driver or card does not support is left out."""
    try:
        return question()
    except pynvml.NVMLError:
        return None


def _version(text: str | None) -> Version | None:
    try:
        return None if text is None else Version(text)
    except InvalidVersion:
        return None
