"""vLLM as Windows would run it, on Linux: its modules are told win32, get no POSIX, and are refused likewise.

Nothing outside the package `vllm` is changed: the standard library, PyTorch and all others run as on Linux.
"""


def register() -> str:
    """VLLM's entry point for platforms: a CPU whose kernels are written in PyTorch."""
    return "winsim.platform.ReferencePlatform"
