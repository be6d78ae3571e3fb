"""What a request leaves open or may not ask for: the engine, the model's name, the cards, the port."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from winvllm_build import data
from winvllm_build.errors import ToolchainError, UsageError
from winvllm_build.profile.loader import ResolvedProfile
from winvllm_build.serving.options import PORT, EngineKind, Options, flag_names, value_of
from winvllm_build.serving.target import RELAY, Target
from winvllm_build.shells import of_system, typed

REFUSED: Final = {
    "--uds": "a server here listens on a port, so that it can be asked whether it is up",
    "--api-server-count": "several API servers need processes that share one port",
    "--headless": "it answers nobody",
}
OF_CARDS: Final = (
    "--tensor-parallel-size", "--pipeline-parallel-size", "--data-parallel-size",
    "--prefill-context-parallel-size",
)  # fmt: skip
"""Each multiplies the cards that one server takes."""
RELAY_VARIABLE: Final = "WINVLLM_RELAY"


def refuse(passed: Sequence[str]) -> None:
    """Stop at what contradicts the way servers are run here.

    Raises:
        UsageError: there is such a flag.
    """
    for name in flag_names(passed):
        if name in REFUSED:
            raise UsageError(f"{name} is not for this command: {REFUSED[name]}", fix=f"leave {name} out")


def model_name(asked: str | None, profile: ResolvedProfile | None) -> str:
    """The model that is asked for, else the profile's.

    Raises:
        UsageError: there is none.
    """
    own = "" if profile is None else profile.profile.runtime.model
    name = asked or own
    if not name:
        raise UsageError("no model is named", fix="winvllm-build serve FOLDER or AUTHOR/MODEL")
    return name


def engine(asked: EngineKind | None, target: Target) -> tuple[EngineKind, str]:
    """Which engine, and why.

    Raises:
        ToolchainError: the Python has none, or not the one that is asked for.
    """
    if asked is EngineKind.VLLM and target.vllm is None:
        raise ToolchainError(
            f"{target.python} ({target.reason}) has no vLLM",
            fix="winvllm-build install-command prints how a built wheel is installed; --python names "
            "another; --engine transformers needs none",
        )
    chosen = asked or (EngineKind.TRANSFORMERS if target.vllm is None else EngineKind.VLLM)
    if chosen is EngineKind.TRANSFORMERS and target.missing:
        lacks = ", ".join(target.missing)
        words = f"no {lacks}" if target.vllm is not None else f"no vLLM, nor {lacks}"
        raise ToolchainError(
            f"{target.python} ({target.reason}) has {words}, which the fallback engine needs",
            fix="\n".join(["--python, one that has them; or install them there:", *_installs(target)]),
        )
    if asked is not None:
        return chosen, "as asked"
    found = "no vLLM" if target.vllm is None else f"vLLM {target.vllm}".rstrip()
    return chosen, f"{found} is installed there"


def _installs(target: Target) -> list[str]:
    """The lines to type; torch apart on Windows, where the package index has the one without CUDA."""
    there = ["--python", str(target.python)]
    has_pip = target.has("pip")
    pip = [str(target.python), "-m", "pip", "install"] if has_pip else ["uv", "pip", "install", *there]
    apart = target.windows and "torch" in target.missing
    rest = [name for name in target.missing if name != "torch" or not apart]
    lines = typed([*pip, *rest], of_system()) if rest else []
    hint = "for a card of NVIDIA first the torch of docs/install.md: the package index has one without CUDA"
    return [hint, *lines] if apart else lines


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A model over several cards.

    Attributes:
        tensor: the cards that share each layer.
        cards: all that compute; at least 1, a machine without any computes on its CPU.
        relayed: whether what they exchange goes through main memory.
    """

    tensor: int
    cards: int
    relayed: bool


def split(opts: Options, kind: EngineKind, target: Target, cards: int, inherited: Mapping[str, str]) -> Split:
    """How many cards compute together, by all flags that say so.

    Raises:
        UsageError: so many cannot, or not with CUDA graphs.
    """
    asked = shares(opts)
    count = math.prod(asked.values())
    if count > 1:
        _refuse_several(
            " ".join(f"{name} {number}" for name, number in asked.items()), count, kind, target, cards
        )
    wanted = inherited.get(RELAY_VARIABLE, "1" if target.windows else "").strip().lower()
    relayed = count > 1 and wanted not in {"", "0"}
    if relayed and (opts.enforce_eager is False or "--no-enforce-eager" in flag_names(opts.passed)):
        raise UsageError(
            f"--no-enforce-eager: what {count} cards exchange goes through main memory here, which CUDA"
            " graphs cannot hold",
            fix="leave it out",
        )
    return Split(tensor=asked.get(OF_CARDS[0], 1), cards=count, relayed=relayed)


def shares(opts: Options) -> dict[str, int]:
    """The numbers of cards that flags ask for, by flag; one card is not worth a word.

    Raises:
        UsageError: one is no number of cards.
    """
    found = {name: _number_of(opts, name) for name in OF_CARDS}
    return {name: number for name, number in found.items() if number is not None and number != 1}


def _number_of(opts: Options, name: str) -> int | None:
    """What a flag says of cards, what is passed on first.

    Raises:
        UsageError: it is no number of cards.
    """
    text = value_of(opts.passed, name)
    if text is None:
        said = opts.tensor_parallel_size if name == OF_CARDS[0] else None
    else:
        said = int(text) if text.isascii() and text.isdigit() else 0
    if said is not None and said < 1:
        raise UsageError(f"{name} is a number of cards, at least 1", fix="leave it out")
    return said


def _refuse_several(said: str, count: int, kind: EngineKind, target: Target, cards: int) -> None:
    if kind is EngineKind.TRANSFORMERS:
        raise UsageError(
            f"{said}: the fallback engine computes on one card", fix="leave it out, or --engine vllm"
        )
    if target.windows and not target.has_gloo:
        raise UsageError(
            f"{said}: PyTorch {target.torch} for Windows is built without Gloo, so "
            f"that processes of {target.python} cannot talk to each other",
            fix="leave it out; PyTorch 2.11 and newer (vLLM v0.20 and newer) has Gloo",
        )
    if target.windows and not target.has(RELAY):
        raise UsageError(
            f"{said}: Windows has no NCCL, and the relay through main memory is a"
            f" plugin that {target.python} lacks",
            fix=f"{data.installing('--no-deps', python=target.python)}; or leave the option out",
        )
    if count > cards:
        have = "no card" if not cards else "1 card" if cards == 1 else f"{cards} cards"
        raise UsageError(
            f"{said}: that is {count} cards, and {have} can be seen",
            fix="leave it out; CUDA_VISIBLE_DEVICES says which cards a program sees",
        )


def port(opts: Options) -> int:
    """The port that is asked for.

    Raises:
        UsageError: it is no number.
    """
    text = value_of(opts.passed, "--port")
    if text is None:
        return PORT if opts.port is None else opts.port
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f'--port "{text}" is no number', fix=f"--port {PORT}")
    return int(text)
