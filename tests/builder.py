"""The command that builds, as a user starts it in a workspace of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

KERNEL = "csrc/cuda_utils_kernels.cu"
TAG = "v0.14.1"
SMALL = ("--profile", "quickstart", "--tag", TAG, "--targets", "cumem_allocator", "--object", KERNEL)


class Builder:
    """`winvllm-build` as a user starts it, in a workspace of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.program = Path(sys.executable).parent / "winvllm-build"
        self.environment = {**os.environ, "WINVLLM_BUILD_HOME": str(home)}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.program, *arguments], env=self.environment, capture_output=True, text=True, check=False
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self.program, *arguments],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def build(self, *arguments: str, chosen: Sequence[str] = SMALL) -> dict[str, Any]:
        done = self.run("build", *chosen, *arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def fails(self, code: int, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert len([line for line in done.stderr.splitlines() if line.startswith("error: ")]) == 1
        return done.stderr
