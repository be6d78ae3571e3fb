"""A patched tree is configured for ROCm into the build files that upstream's gives.

Needs Debian's `hipcc` and `libamdhip64-dev` (HIP 5.2: enough to configure) and the environment of
tests/winsim, whose torch is for the CPU: what a ROCm build of torch would find is told to CMake.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.tag_trees import published

pytestmark = pytest.mark.network
LIBRARIES = Path("/usr/lib/x86_64-linux-gnu")
HIP = LIBRARIES / "cmake" / "hip-lang"
ARCHS = "gfx942;gfx1100"
SOURCES = (
    "DEEPGEMM_SRC_DIR", "FLASH_MLA_SRC_DIR", "QUTLASS_SRC_DIR", "TRITON_KERNELS_SRC_DIR",
    "VLLM_CUTLASS_SRC_DIR", "VLLM_FLASH_ATTN_SRC_DIR",
)  # fmt: skip
COMMANDS = {"v0.14.1": 31, "v0.19.0": 32, "v0.19.1": 32, "v0.33.0": 67}


@pytest.fixture(scope="module")
def interpreter(test_cache: Path) -> Path:
    chosen = os.environ.get("WINVLLM_TEST_WINSIM_PYTHON")
    found = Path(chosen) if chosen else test_cache / "winsim" / "bin" / "python"
    if not found.is_file():
        pytest.skip("no environment with PyTorch: sh scripts/winsim_environment.sh")
    return found


@pytest.fixture(scope="module")
def clang() -> str:
    found = shutil.which("clang++-15")
    if found is None or not HIP.is_dir():
        pytest.skip("HIP is not installed: apt-get install hipcc libamdhip64-dev (Debian 12)")
    return found


def _stand_in(folder: Path) -> Path:
    """A dependency's folder; nothing of it is compiled for ROCm."""
    (folder / "python" / "triton_kernels" / "triton_kernels").mkdir(parents=True)
    (folder / "flash_mla").mkdir()
    (folder / "flash_mla" / "flash_mla_interface.py").touch()
    return folder


def _files(build: Path) -> Mapping[str, str]:
    return {
        name: (build / name).read_text(encoding="utf-8")
        for name in ("compile_commands.json", "build.ninja", "CMakeFiles/rules.ninja")
    }


@pytest.mark.parametrize("tag", COMMANDS)
def test_rocm_is_configured_as_upstream_configures_it(
    tag: str, interpreter: Path, clang: str, test_cache: Path, tmp_path: Path
) -> None:
    wrapper = tmp_path / "clang++"
    wrapper.write_text(
        f'#!/bin/sh\nexec {clang} --rocm-path=/usr --rocm-device-lib-path={LIBRARIES}/amdgcn/bitcode "$@"\n',
        encoding="utf-8",
    )
    wrapper.chmod(0o755)
    stand_in = _stand_in(tmp_path / "dependency")
    environment = {
        **os.environ,
        "CMAKE_PREFIX_PATH": f"/usr:{LIBRARIES}",
        "PYTORCH_ROCM_ARCH": ARCHS,
        **dict.fromkeys(SOURCES, str(stand_in)),
    }
    tree, build = tmp_path / "vllm", tmp_path / "build"
    found = []
    for patched in (False, True):
        shutil.rmtree(tree, ignore_errors=True)
        shutil.rmtree(build, ignore_errors=True)
        shutil.copytree(published(tag, test_cache, patched=patched), tree, symlinks=True)
        assert (tree / "cmake" / "windows.cmake").is_file() == patched
        _configure(tree, build, interpreter, wrapper, environment)
        found.append(_files(build))
    upstream, ours = found
    assert len(json.loads(upstream["compile_commands.json"])) == COMMANDS[tag]
    assert "--offload-arch=gfx1100" in upstream["compile_commands.json"]
    assert ours == upstream


def _configure(
    tree: Path, build: Path, interpreter: Path, compiler: Path, environment: Mapping[str, str]
) -> None:
    tools = Path(sys.executable).parent
    definitions = {
        "CLANGRT_BUILTINS": f"{LIBRARIES}/libm.so",  # only linked against, and nothing is linked
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_EXPORT_COMPILE_COMMANDS": "ON",
        "CMAKE_HIP_ARCHITECTURES": ARCHS,
        "CMAKE_HIP_COMPILER": compiler,
        "CMAKE_HIP_COMPILER_FORCED": "TRUE",
        "CMAKE_HIP_COMPILER_ROCM_LIB": LIBRARIES,
        "CMAKE_HIP_COMPILER_ROCM_ROOT": "/usr",
        "CMAKE_HIP_PLATFORM": "amd",
        "CMAKE_MAKE_PROGRAM": tools / "ninja",
        "FETCHCONTENT_BASE_DIR": build / "_deps",
        "HIP_FOUND": "TRUE",
        "ROCM_PATH": "/usr",
        "VLLM_PYTHON_EXECUTABLE": interpreter,
        "VLLM_TARGET_DEVICE": "rocm",
    }
    defined = [f"-D{name}={value}" for name, value in definitions.items()]
    done = subprocess.run(
        [tools / "cmake", "-G", "Ninja", "-S", tree, "-B", build, *defined],
        capture_output=True, text=True, env=dict(environment), timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
