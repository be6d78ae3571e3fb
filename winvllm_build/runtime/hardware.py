"""A machine in the words of those who run models: its device and class, what to start an engine with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from winvllm_build import arch
from winvllm_build.runtime import settings, stated
from winvllm_build.runtime.detection import Detected
from winvllm_build.runtime.host import GIB, Host
from winvllm_build.runtime.modelfiles import Model
from winvllm_build.runtime.setting import Setting
from winvllm_build.runtime.settings import AMPERE
from winvllm_build.toolchain.gpu import Gpus

CLASSES: Final = {2048: "entry", 4096: "prosumer", 8192: "enthusiast"}
"""The three sizes of cards by the length that each is good for (docs/detect.md)."""
CPU_LENGTH: Final = 2048
WHOLE: Final = 16
"""GiB from which a model of 7 to 8 billion parameters fits in 16 bits: its weights alone are 15."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What `detect` tells.

    Attributes:
        device: `cuda` or `cpu`.
        name: what computes.
        profile: its class, and in words what makes it that.
        found: the devices, the driver and the machine.
        recommended: settings of an engine, each with its reason.
        build: what to build for the cards; nothing without one.
        notes: what a user has to know besides.
    """

    device: str
    name: str
    profile: Setting[str]
    found: Mapping[str, Any]
    recommended: Mapping[str, Setting[object]]
    build: Mapping[str, Setting[object]]
    notes: tuple[str, ...]

    def as_data(self) -> dict[str, Any]:
        """Plain values for `--json`."""
        return {
            "build": _table(self.build),
            "device": self.device,
            "name": self.name,
            "notes": list(self.notes),
            "profile": {"name": self.profile.value, "reason": self.profile.reason},
            "recommended": _table(self.recommended),
            **self.found,
        }


def of_cards(detected: Detected, gpus: Gpus) -> Hardware:
    """A machine with cards, from its profile."""
    card = stated.smallest(detected.gpus)
    size = settings.tier(card)
    values = detected.values
    recommended: dict[str, Setting[object]] = {
        "engine": Setting(
            value="vllm", reason="`build` makes it from the file of `profile detect --output FILE`"
        ),
        **{key.removeprefix("runtime."): s for key, s in values.items() if key.startswith("runtime.")},
        "quantization": _quantization(card.memory_total),
        "attention": _attention(card.capability),
        "tensor_parallel_size": _parallel(detected),
    }
    data = detected.as_data()
    return Hardware(
        device="cuda",
        name=card.name,
        profile=Setting(value=CLASSES[size.length], reason=f"cards of {size.name}"),
        found={
            "cuda_driver": None if gpus.cuda is None else str(gpus.cuda),
            "driver": None if gpus.driver is None else str(gpus.driver),
            "fits": data["fits"],
            "gpus": data["gpus"],
            "host": data["host"],
        },
        recommended=recommended,
        build={key: s for key, s in values.items() if not key.startswith("runtime.")},
        notes=detected.notes,
    )


def of_cpu(gpus: Gpus, host: Host, model: Model | None = None) -> Hardware:
    """A machine without a card: the fallback engine on its cores, whatever the model."""
    why = "no GPU was found" if gpus.absence is None else gpus.absence.value
    few = "a CPU computes a few words a second"
    requests = 1 if host.memory_total < WHOLE * GIB else 4
    said = f"`winvllm-build serve` takes these with --max-model-len {CPU_LENGTH} --max-num-seqs {requests}"
    recommended: dict[str, Setting[object]] = {
        "engine": Setting(
            value="transformers", reason="vLLM is built for CUDA; the fallback engine runs on a CPU"
        ),
        "max_model_len": Setting(value=CPU_LENGTH, reason=few),
        "max_num_seqs": Setting(value=requests, reason="by the RAM"),
        "dtype": Setting(value="auto", reason="the model's own"),
        "quantization": Setting(value="none", reason="the fallback engine computes with what the files hold"),
    }
    return Hardware(
        device="cpu",
        name=f"{host.cores} cores, {host.memory_total / GIB:.0f} GiB RAM",
        profile=Setting(value="cpu", reason=why),
        found={"cuda_driver": None, "driver": None, "fits": None, "gpus": [], "host": host.as_data()},
        recommended=recommended,
        build={},
        notes=(
            *filter(None, [gpus.detail]),
            *([] if model is None else [f"{model.name} is not reckoned with: there is no card to fit it to"]),
            f"{said}; without, what the model allows and 16",
        ),
    )


def _quantization(memory: int) -> Setting[object]:
    if memory < (WHOLE - 1) * GIB:  # a card sold as 16 GB has a little less
        return Setting(
            value="4bit", reason="7 to 8 billion parameters take 15 GiB in 16 bits: models in AWQ or GPTQ"
        )
    return Setting(
        value="none", reason="7 to 8 billion parameters fit in 16 bits; larger ones in AWQ, GPTQ or FP8"
    )


def _attention(capability: str) -> Setting[object]:
    if arch.order(capability) >= arch.order(AMPERE):
        return Setting(value="FLASH_ATTN", reason=f"FlashAttention 2 runs from 8.0 on; this is {capability}")
    return Setting(value="TRITON_ATTN", reason=f"FlashAttention 2 needs 8.0, this is {capability}")


def _parallel(detected: Detected) -> Setting[object]:
    count = len(detected.gpus)
    if count == 1:
        return Setting(value=1, reason="one card")
    if detected.host.windows:
        return Setting(
            value=1, reason=f"{count} cards, but Windows has no NCCL: one server for each is faster"
        )
    return Setting(value=count, reason=f"{count} cards compute one model together")


def _table(values: Mapping[str, Setting[object]]) -> dict[str, Any]:
    return {key: {"reason": setting.reason, "value": setting.value} for key, setting in values.items()}
