"""What a request leaves open or may not ask for: the engine, the model's name, the cards, the port."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from winvllm_build.errors import ToolchainError, UsageError
from winvllm_build.profile.loader import ResolvedProfile
from winvllm_build.serving.options import PORT, EngineKind, Options, flag_names, value_of
from winvllm_build.serving.target import RELAY, Target

REFUSED: Final = {
    "--uds": "a server here listens on a port, so that it can be asked whether it is up",
    "--api-server-count": "several API servers need processes that share one port",
    "--headless": "it answers nobody",
}


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
            fix=f"--python, one that has; or {target.python} -m pip install {' '.join(target.missing)}",
        )
    if asked is not None:
        return chosen, "as asked"
    found = "no vLLM" if target.vllm is None else f"vLLM {target.vllm}".rstrip()
    return chosen, f"{found} is installed there"


def parallel(opts: Options, kind: EngineKind, target: Target, cards: int) -> int:
    """How many cards compute together; at least 1, a machine without any computes on its CPU.

    Raises:
        UsageError: so many cannot.
    """
    said = opts.tensor_parallel_size
    if said is None:
        text = value_of(opts.passed, "--tensor-parallel-size")
        said = 1 if text is None else int(text) if text.isascii() and text.isdigit() else 0
    if said < 1:
        raise UsageError("--tensor-parallel-size is a number of cards, at least 1", fix="leave it out")
    if said == 1:
        return 1
    if kind is EngineKind.TRANSFORMERS:
        raise UsageError(
            "the fallback engine computes on one card",
            fix="leave --tensor-parallel-size out, or --engine vllm",
        )
    if target.windows and not target.has_gloo:
        raise UsageError(
            f"--tensor-parallel-size {said}: PyTorch {target.torch} for Windows is built without Gloo, so "
            f"that processes of {target.python} cannot talk to each other",
            fix="leave it out; PyTorch 2.11 and newer (vLLM v0.20 and newer) has Gloo",
        )
    if target.windows and not target.has(RELAY):
        raise UsageError(
            f"--tensor-parallel-size {said}: Windows has no NCCL, and the relay through main memory is a"
            f" plugin that {target.python} lacks",
            fix=f"install {RELAY} into that environment as well (docs/layers.md), or leave the option out",
        )
    if said > cards:
        have = "no card" if not cards else "1 card" if cards == 1 else f"{cards} cards"
        raise UsageError(
            f"--tensor-parallel-size {said}: {have} can be seen",
            fix="leave it out; CUDA_VISIBLE_DEVICES says which cards a program sees",
        )
    return said


def port(opts: Options) -> int:
    """The port that is asked for.

    Raises:
        UsageError: it is no number.
    """
    if opts.port is not None:
        return opts.port
    text = value_of(opts.passed, "--port")
    if text is None:
        return PORT
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f'--port "{text}" is no number', fix=f"--port {PORT}")
    return int(text)
