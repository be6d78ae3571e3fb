"""A platform without compiled kernels: vLLM's CPU platform with operators written in PyTorch."""

from __future__ import annotations

import os
from typing import Any

from vllm.platforms.cpu import CpuPlatform

from winsim import operators


class ReferencePlatform(CpuPlatform):
    """Keeps the engine in one process, so that a test sees what it does."""

    dist_backend = os.environ.get("WINSIM_BACKEND", "gloo")

    @classmethod
    def import_kernels(cls) -> None:
        operators.register()

    import_core_kernels = import_kernels

    @classmethod
    def check_and_update_config(cls, vllm_config: Any) -> None:
        operators.register()
        super().check_and_update_config(vllm_config)
        if vllm_config.parallel_config.world_size == 1:
            vllm_config.parallel_config.distributed_executor_backend = "uni"
