"""vLLM's door to the relay: a general plugin, loaded in each process, that does nothing unless asked."""

from __future__ import annotations

import os
from typing import Final

from winvllm_build.relay import direct
from winvllm_build.relay.relay import Needs, everything, on_device

VARIABLE: Final = "WINVLLM_RELAY"
COMMUNICATOR: Final = "winvllm_build.relay.communicator.RelayCommunicator"
MODES: Final[dict[str, Needs | None]] = {"": None, "0": None, "1": on_device, "all": everything}
"""Which tensors go through the host's memory; `all`, tensors of the CPU too, is for tests without a GPU."""


def asked() -> Needs | None:
    """Which tensors the environment wants relayed; None for none.

    Raises:
        ValueError: the variable says something else.
    """
    said = os.environ.get(VARIABLE, "").strip().lower()
    if said not in MODES:
        raise ValueError(f"{VARIABLE}={said}: 1 relays the collectives of GPUs through the CPU, 0 does not")
    return MODES[said]


def needs() -> Needs:
    """The same for a communicator that is there because it was asked for."""
    return asked() or on_device


def register() -> None:
    """Make the relay the communicator of vLLM's platform, whichever it is, if the environment asks for it."""
    if asked() is None:
        return
    from vllm.platforms import current_platform  # noqa: PLC0415 - this file is read without vLLM, too

    def communicator(cls: type) -> str:  # noqa: ARG001 - vLLM calls it as a class' method
        return COMMUNICATOR

    type(current_platform).get_device_communicator_cls = classmethod(communicator)
    direct.install()
