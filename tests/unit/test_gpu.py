"""The GPUs as NVML tells them: a real library with NVML's interface, loaded by the real binding."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ASK = "from winvllm_build.toolchain import gpu; print(repr(gpu.read()))"
FIRST = (
    "Gpu(index=0, name='NVIDIA GeForce RTX 3090', uuid='GPU-aaaa', capability='8.6', "
    "memory_total=25769803776, memory_free=23622320128, model=<DriverModel.WDDM: 'WDDM'>, "
    "shows_display=True)"
)
SECOND = (
    "Gpu(index=1, name='NVIDIA RTX 6000 Ada Generation', uuid='GPU-bbbb', capability='8.9', "
    "memory_total=51527024640, memory_free=51000000000, model=<DriverModel.TCC: 'TCC'>, "
    "shows_display=False)"
)


def library(folder: Path, checkout: Path, *options: str) -> Path:
    folder.mkdir()
    source = checkout / "tests" / "fake_nvml.c"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", *options, source, "-o", folder / "libnvidia-ml.so.1"], check=True
    )
    return folder


def asked(folder: Path, scene: str, checkout: Path) -> str:
    """What a process says in which the loader finds the library of `folder` first."""
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**os.environ, "LD_LIBRARY_PATH": str(folder), "FAKE_NVML": scene, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.fixture(scope="module")
def nvml(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return library(tmp_path_factory.mktemp("nvml") / "new", Path(__file__).parents[2])


def test_every_gpu_with_its_driver(nvml: Path, checkout: Path) -> None:
    said = asked(nvml, "gpus", checkout)
    assert said.startswith(f"Gpus(gpus=({FIRST}, {SECOND})")
    assert "driver=<Version('581.15')>, cuda=<Version('13.1')>, absence=None, detail=''" in said


def test_on_linux_there_is_no_driver_model(nvml: Path, checkout: Path) -> None:
    assert asked(nvml, "linux", checkout).count("model=None") == 2


def test_an_older_driver_tells_what_it_can(tmp_path: Path, checkout: Path) -> None:
    said = asked(library(tmp_path / "old", checkout, "-DOLD_DRIVER"), "old", checkout)
    assert "cuda=<Version('11.4')>" in said
    assert said.count("uuid=''") == 2
    assert said.count("shows_display=None") == 2
    assert "model=<DriverModel.WDDM: 'WDDM'>" in said


def test_a_card_that_fell_off_the_bus_hides_no_other(nvml: Path, checkout: Path) -> None:
    said = asked(nvml, "lost", checkout)
    assert "index=0" not in said
    assert SECOND in said
    assert "absence=None, detail='GPU 0: GPU is lost'" in said


def test_a_driver_without_gpu(nvml: Path, checkout: Path) -> None:
    said = asked(nvml, "none", checkout)
    assert "gpus=()" in said
    assert "absence=<Absence.NO_GPU" in said


def test_a_driver_that_is_not_loaded(nvml: Path, checkout: Path) -> None:
    said = asked(nvml, "unloaded", checkout)
    assert "absence=<Absence.NO_DRIVER" in said
    assert "Driver Not Loaded" in said


def test_no_driver_at_all(tmp_path: Path, checkout: Path) -> None:
    """A library that cannot be loaded stands before the machine's own, if it has one."""
    (tmp_path / "libnvidia-ml.so.1").write_bytes(b"\x7fELF, but no more of it")
    assert "absence=<Absence.NO_LIBRARY" in asked(tmp_path, "gpus", checkout)
