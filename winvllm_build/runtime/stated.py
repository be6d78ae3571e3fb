"""Facts that a user states instead of having them looked up: `--gpu "RTX 3060,12GB,8.6"`, `--ram 32GB`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from winvllm_build import arch
from winvllm_build.errors import UsageError
from winvllm_build.toolchain.gpu import DriverModel, Gpu

SIZE: Final = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>[KMGT]i?B?|B)?", re.IGNORECASE)
POWERS: Final = {"": 3, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4}
GPU_FIX: Final = '--gpu "RTX 3060,12GB,8.6": name, memory, compute capability'


def size(text: str, option: str, fix: str | None = None) -> int:
    """Bytes of `12GB`, `12` (GB) or `8188 MiB`; memory is counted in powers of 1024, as on a card's box.

    Raises:
        UsageError: it is written otherwise, or is nothing.
    """
    match = SIZE.fullmatch(text.strip())
    count = 0 if match is None else float(match["number"]) * 1024 ** POWERS[(match["unit"] or "")[:1].lower()]
    if count < 1:
        raise UsageError(f'{option}: "{text}" is not an amount of memory', fix=fix or f"{option} 12GB")
    return int(count)


def gpu(text: str, *, index: int, windows: bool) -> Gpu:
    """A card as it is described, with nothing running on it but Windows' desktop.

    Raises:
        UsageError: it is not name, memory and compute capability.
    """
    parts = [part.strip() for part in text.rsplit(",", 2)]
    if len(parts) != 3 or not parts[0]:  # noqa: PLR2004 - name, memory, capability
        raise UsageError(f'--gpu: "{text}" is not a card', fix=GPU_FIX)
    memory = size(parts[1], "--gpu", GPU_FIX)
    try:
        capability = arch.base(arch.normalised(parts[2]))
    except ValueError as error:
        raise UsageError(f"--gpu: {error}", fix=GPU_FIX) from error
    return Gpu(
        index=index,
        name=parts[0],
        uuid="",
        capability=capability,
        memory_total=memory,
        memory_free=memory,
        model=DriverModel.WDDM if windows else None,
        shows_display=windows and index == 0,
    )


def smallest(gpus: Sequence[Gpu]) -> Gpu:
    """The card that the settings have to fit: the least memory, then the oldest."""
    return min(gpus, key=lambda card: (card.memory_total, arch.order(card.capability), card.index))
