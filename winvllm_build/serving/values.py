"""The settings of a server with their reasons: flags, then a profile, what is computed, defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from winvllm_build.profile.loader import ResolvedProfile
from winvllm_build.profile.problem import LayerKind
from winvllm_build.runtime import settings, stated
from winvllm_build.runtime.host import Host
from winvllm_build.runtime.modelfiles import Model
from winvllm_build.runtime.setting import Setting
from winvllm_build.serving.options import REQUESTS, UTILIZATION, Options
from winvllm_build.serving.target import Target
from winvllm_build.toolchain.gpu import Gpu

KEYS: Final = (
    "gpu_memory_utilization", "max_model_len", "max_num_seqs", "dtype", "enforce_eager", "kv_cache_dtype",
)  # fmt: skip
PREFIX: Final = "runtime."
AUTO: Final = "auto"
GRAPHLESS: Final = "CUDA graphs cannot hold what cards exchange through main memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """The settings by the key of `[runtime]`, and what a user has to know besides."""

    table: Mapping[str, Setting[object]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the settings are computed from.

    Attributes:
        cards: those that the server will use, the first ones of those it can see.
        host: the machine without them.
    """

    cards: tuple[Gpu, ...]
    host: Host


def values(
    options: Options,
    profile: ResolvedProfile | None,
    machine: Machine,
    target: Target,
    model: Model | None,
    *,
    launcher: bool = True,
    relayed: bool = False,
    foreign: bool = False,
) -> Values:
    """The value of each key, from the first source that has one.

    Args:
        options: what was given.
        profile: whose `[runtime]` counts.
        machine: the cards that are used.
        target: the Python it runs in.
        model: its files.
        relayed: whether what several cards exchange goes through main memory.
        foreign: whether the profile speaks of another model.
        launcher: whether the launcher's defaults stand where there is no card; else the engine's own.

    Raises:
        UsageError: an option is outside what it can be.
    """
    given = {
        key: Setting(value=v, reason="as given on the command line") for key, v in options.given().items()
    }
    if relayed:
        given["enforce_eager"] = Setting(value=True, reason=GRAPHLESS)
    table, notes = _of_profile(profile, foreign=foreign)
    computed = _computed(machine, target, model)
    layers: Sequence[Mapping[str, Setting[object]]] = (
        given,
        table,
        computed.table,
        _defaults(machine, launcher=launcher),
    )
    found = {key: next(layer[key] for layer in layers if key in layer) for key in KEYS}
    return Values(table=found, notes=(*notes, *computed.notes))


def visible(cards: Sequence[Gpu], said: str | None) -> tuple[Gpu, ...]:
    """The cards that CUDA shows a program, in its order.

    Args:
        cards: in the order of the driver.
        said: CUDA_VISIBLE_DEVICES: numbers or beginnings of UUIDs; the first wrong one ends the list.
    """
    if said is None:
        return tuple(cards)
    found: list[Gpu] = []
    for word in filter(None, (part.strip() for part in said.split(","))):
        card = next((c for c in cards if str(c.index) == word or (c.uuid and c.uuid.startswith(word))), None)
        if card is None or (not word.isdigit() and not word.startswith("GPU-")):
            break
        found.append(card)
    return tuple(found)


def _of_profile(
    profile: ResolvedProfile | None, *, foreign: bool
) -> tuple[dict[str, Setting[object]], tuple[str, ...]]:
    """What the profile says of `[runtime]`; nothing of it for another model than its own."""
    if profile is None:
        return {}, ()
    runtime = profile.profile.runtime.model_dump(mode="json")
    said: dict[str, Setting[object]] = {
        key: Setting(value=runtime[key], reason=f"[runtime] of {profile.origins[PREFIX + key]}")
        for key in KEYS
        if profile.origins[PREFIX + key].layer is not LayerKind.DEFAULT
    }
    if said and foreign:
        return {}, (f"[runtime] of the profile is for {runtime['model']}, so it is not taken for this model",)
    return said, ()


def _computed(machine: Machine, target: Target, model: Model | None) -> Values:
    if not machine.cards:
        return Values(table={})
    alone = len(machine.cards) == 1
    chosen = settings.choose(
        stated.smallest(machine.cards),
        machine.host,
        model if alone else None,
        triton=target.triton or not target.windows,
    )
    notes = (
        chosen.notes if alone or model is None else (f"what of {model.name} each card gets is not computed",)
    )
    return Values(table=chosen.table(), notes=notes)


def _defaults(machine: Machine, *, launcher: bool) -> dict[str, Setting[object]]:
    """What stands where there is no card to compute from."""
    rest = "the engine's own default"
    reason = "the launcher's default; there is no card to compute it from" if launcher else rest
    eager = machine.host.windows
    return {
        "gpu_memory_utilization": Setting(value=UTILIZATION if launcher else AUTO, reason=reason),
        "max_model_len": Setting(value=AUTO, reason="what the model allows"),
        "max_num_seqs": Setting(value=REQUESTS if launcher else AUTO, reason=reason),
        "dtype": Setting(value=AUTO, reason="the model's own"),
        "enforce_eager": Setting(value=eager, reason="safe without Triton" if eager else rest),
        "kv_cache_dtype": Setting(value=AUTO, reason="the type that is computed with"),
    }
