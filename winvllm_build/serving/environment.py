"""The variables that a server is started with: what Windows needs, and what it must not inherit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from winvllm_build.runtime.setting import Setting

API_KEY: Final = "VLLM_API_KEY"
EVERYWHERE: Final = {
    "CUDA_DEVICE_ORDER": ("PCI_BUS_ID", "the cards are numbered as the driver numbers them"),
    "PYTHONUTF8": ("1", "files and output are UTF-8 in programs that it starts, too"),
    "PYTHONUNBUFFERED": ("1", "what it prints is seen at once"),
    "PYTHONSAFEPATH": ("1", "a folder named vllm where it is started is not imported"),
}
WINDOWS: Final = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": ("0", "the engine runs in the server's process"),
    "VLLM_HOST_IP": (
        "127.0.0.1",
        "processes of one machine meet here, whatever adapters a VPN or Docker added",
    ),
    "USE_LIBUV": ("0", "PyTorch's store was built without libuv in some wheels for Windows"),
    "HF_HUB_DISABLE_SYMLINKS_WARNING": ("1", "without developer mode the cache copies files, as said here"),
}
SEVERAL: Final = {"WINVLLM_RELAY": ("1", "Windows has no NCCL: what cards exchange goes through main memory")}
OF_ANOTHER_PYTHON: Final = ("PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__")
"""The engine's Python takes nothing from the environment of the one that starts it."""


def chosen(
    inherited: Mapping[str, str], *, windows: bool, relayed: bool, api_key: str | None
) -> dict[str, Setting[str]]:
    """The variables that are set; one that is set already stays as it is.

    Args:
        inherited: the environment of this process.
        windows: whether the server runs on Windows.
        relayed: whether what several cards exchange goes through main memory.
        api_key: what clients have to say.
    """
    wanted = {**EVERYWHERE, **(WINDOWS if windows else {}), **(SEVERAL if relayed else {})}
    found = {
        name: Setting(value=value, reason=reason)
        for name, (value, reason) in wanted.items()
        if name not in inherited
    }
    if api_key is not None:
        found[API_KEY] = Setting(value=api_key, reason="not on the command line, which every user can list")
    return found


def complete(inherited: Mapping[str, str], variables: Mapping[str, Setting[str]]) -> dict[str, str]:
    """The whole environment of the server."""
    kept = {name: value for name, value in inherited.items() if name not in OF_ANOTHER_PYTHON}
    return {**kept, **{name: setting.value for name, setting in variables.items()}}
