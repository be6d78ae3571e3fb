"""vLLM's own way to build: the number of jobs by the code of its setup.py, the command that it then runs."""

from __future__ import annotations

import ast
import logging
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from packaging.version import Version

from benchmarks.replay.project import Project

METHOD = "compute_num_jobs"


def jobs(setup: Path, environment: Mapping[str, str], *, cores: int, nvcc: str = "13.0") -> int:
    """What `cmake_build_ext.compute_num_jobs` of that file returns on a machine with so many cores.

    Only this method runs: all of setup.py would want torch for CUDA. It sees the environment through
    `vllm.envs`, the cores through `os`, and nvcc's version as told.
    """
    tree = ast.parse(setup.read_text(encoding="utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == METHOD]
    names: dict[str, Any] = {
        "envs": SimpleNamespace(
            MAX_JOBS=environment.get("MAX_JOBS"), NVCC_THREADS=environment.get("NVCC_THREADS")
        ),
        "os": SimpleNamespace(sched_getaffinity=lambda _: range(cores), cpu_count=lambda: cores),
        "logger": logging.getLogger(__name__),
        "Version": Version,
        "CUDA_HOME": "/usr/local/cuda",
        "_is_cuda": lambda: True,
        "get_nvcc_cuda_version": lambda: Version(nvcc),
    }
    exec(compile(ast.Module(body=[*found[:1]], type_ignores=[]), str(setup), "exec"), names)  # noqa: S102 - vLLM's own code, which a build runs whole
    return int(names[METHOD](None)[0])


def build(project: Project, number: int) -> int:
    """`cmake --build` as setup.py calls it; the exit code."""
    targets = [f"--target={name}" for name in project.targets]
    return subprocess.run(
        ["cmake", "--build", ".", f"-j={number}", *targets],
        cwd=project.build,
        env=dict(os.environ),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    ).returncode
