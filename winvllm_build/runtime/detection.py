"""From a machine to a profile: what to build for its cards, and how to start what was built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from packaging.version import InvalidVersion, Version

from winvllm_build.errors import ToolchainError, UsageError
from winvllm_build.patchset import manifest, patchset
from winvllm_build.runtime import building, document, settings, stated
from winvllm_build.runtime.building import BuildSettings, TagNeeds
from winvllm_build.runtime.host import GIB, Host
from winvllm_build.runtime.modelfiles import Model
from winvllm_build.runtime.setting import Setting
from winvllm_build.runtime.settings import RuntimeSettings
from winvllm_build.suggest import did_you_mean
from winvllm_build.toolchain.gpu import Gpu, Gpus

TRITON: Final = Version("0.19")
"""From this release on the requirements name a Triton for Windows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """What was found and chosen.

    Attributes:
        gpus: the cards, as found or as stated.
        host: the machine.
        model: the model that the settings are for.
        build: what to build.
        runtime: how to start it, on the smallest card.
    """

    gpus: tuple[Gpu, ...]
    host: Host
    model: Model | None
    build: BuildSettings
    runtime: RuntimeSettings

    @property
    def notes(self) -> tuple[str, ...]:
        return (*self.build.notes, *self.runtime.notes)

    @property
    def values(self) -> dict[str, Setting[object]]:
        """Every value of the profile by dotted key."""
        model: dict[str, Setting[object]] = {}
        if self.model is not None:
            model["runtime.model"] = Setting(value=self.model.name, reason="what the values are computed for")
        return {
            **self.build.values,
            **model,
            **{f"runtime.{key}": value for key, value in self.runtime.table().items()},
        }

    @property
    def description(self) -> str:
        names = ", ".join(dict.fromkeys(card.name for card in self.gpus))
        return f"{names}; {self.host.cores} cores, {self.host.memory_total / GIB:.0f} GiB RAM"

    def toml(self) -> str:
        """The profile as a file."""
        head = ["Written by `winvllm-build profile detect`; every value may be changed."]
        if len(self.gpus) > 1:
            least = stated.smallest(self.gpus)
            head.append(
                f"The settings of [runtime] are for GPU {least.index}, the smallest of {len(self.gpus)}."
            )
        return document.toml([*head, *self.notes], self.description, self.values)

    def as_data(self) -> Mapping[str, Any]:
        """Plain values for `--json`."""
        return {
            "description": self.description,
            "fits": self.runtime.fits,
            "gpus": [_gpu(card) for card in self.gpus],
            "host": self.host.as_data(),
            "model": None
            if self.model is None
            else {"folder": str(self.model.folder), "name": self.model.name},
            "notes": list(self.notes),
            "values": {key: {"reason": s.reason, "value": s.value} for key, s in self.values.items()},
        }


def _gpu(card: Gpu) -> dict[str, Any]:
    return {
        "capability": card.capability,
        "index": card.index,
        "memory_free": card.memory_free,
        "memory_total": card.memory_total,
        "model": None if card.model is None else card.model.value,
        "name": card.name,
    }


def detect(gpus: Gpus, host: Host, model: Model | None, needs: TagNeeds) -> Detected:
    """The profile of a machine.

    Raises:
        ToolchainError: there is no GPU.
    """
    if not gpus.gpus:
        why = "no GPU was found" if gpus.absence is None else gpus.absence.value
        raise ToolchainError(
            why + (f"\n{gpus.detail}" if gpus.detail else ""),
            fix=f"install NVIDIA's driver, or state the card: {stated.GPU_FIX}",
        )
    release = _release(needs.tag)
    return Detected(
        gpus=gpus.gpus,
        host=host,
        model=model,
        build=building.choose(gpus.gpus, host, needs, driver=gpus.cuda),
        runtime=settings.choose(
            stated.smallest(gpus.gpus), host, model, triton=not host.windows or release >= TRITON
        ),
    )


def needs_of(asked: str | None, patches: Path) -> TagNeeds:
    """The tag to build, and what its manifest says of it.

    Raises:
        UsageError: no such tag has patches.
        PatchError: the manifest is malformed.
    """
    known: Sequence[str] = patchset.tags(patches)
    tag = asked or patchset.newest(patches)
    if tag is None or tag not in known:
        hint = did_you_mean(asked or "", known)
        raise UsageError(f'no patch set for the tag "{tag}"{hint}', fix=f"--tag, one of {', '.join(known)}")
    expect = manifest.read(patches / tag / manifest.FILE).expect
    return TagNeeds(
        tag=tag,
        reason="as asked" if asked else "the newest tag with patches",
        torch=expect.get("torch", ""),
        cuda=expect.get("cuda", ""),
    )


def _release(tag: str) -> Version:
    try:
        return Version(tag.removeprefix("v"))
    except InvalidVersion:
        return Version("0")
