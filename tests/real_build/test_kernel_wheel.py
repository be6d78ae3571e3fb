"""A wheel with real kernels from end to end: built, checked, installed, its extensions imported, damaged.

`WINVLLM_TEST_KERNELS` names a workspace folder, kept between runs: the first compiles 31 edges, half an hour
on one core. `WINVLLM_TEST_CUTLASS` names a checkout of CUTLASS 4.7.0 where GitHub cannot be reached. No
kernel is run.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real_build.test_packaging import environment
from winvllm_build.wheel.verify import find_uv

pytestmark = [pytest.mark.network, pytest.mark.nvcc, pytest.mark.timeout(5400)]
PROFILE = Path(__file__).parent / "kernels.toml"
PROGRAM = Path(sys.executable).parent / "winvllm-build"
KERNELS, ALLOCATOR, FILES, LOOP = (
    f"vllm/{name}.abi3.so" for name in ("_moe_C_stable_libtorch", "cumem_allocator", "fs_io_C", "spinloop")
)
ELF_MACHINE = slice(18, 20)
AARCH64 = (183).to_bytes(2, "little")
CUDA = os.environ.get("CUDA_HOME", "/usr/local/cuda")
LOAD = Path(__file__).parent / "load_with_stand_ins.py"


def command(*arguments: str | Path, home: Path) -> tuple[int, dict[str, Any], str]:
    """The tool as a user starts it: exit code, data, and what it says of an error."""
    done = subprocess.run(
        [PROGRAM, *arguments, "--json"], env={**os.environ, "WINVLLM_BUILD_HOME": str(home)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


@pytest.fixture(scope="module")
def home() -> Path:
    folder = os.environ.get("WINVLLM_TEST_KERNELS")
    if not folder:
        pytest.skip("half an hour of compiling: WINVLLM_TEST_KERNELS names the folder that keeps it")
    return Path(folder).absolute()


@pytest.fixture(scope="module")
def wheel(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    out = tmp_path_factory.mktemp("kernels")
    cutlass = os.environ.get("WINVLLM_TEST_CUTLASS")
    own = ("--set", f"source.dependencies.cutlass={cutlass}") if cutlass else ()
    code, data, said = command("build", "--profile", PROFILE, "--wheel", "--out", out, *own, home=home)
    assert code == 0, said
    assert "_moe_C_stable_libtorch" not in data["left_out"], "CUTLASS cannot be had: WINVLLM_TEST_CUTLASS"
    file = Path(data["wheel"]["path"])
    yield file
    file.unlink()


def checked(file: Path, home: Path, *more: str) -> tuple[int, set[tuple[str, str]], dict[str, Any]]:
    code, data, said = command("wheel", "check", file, *more, home=home)
    assert data, said
    problems = [one for one in data["findings"] if one["severity"] == "problem"]
    return code, {(one["member"], one["subject"]) for one in problems}, data


def test_it_has_what_was_compiled_and_no_problem(wheel: Path, home: Path) -> None:
    code, problems, data = checked(wheel, home)
    assert (code, problems) == (0, set())
    assert data["architectures"] == ["8.6"]
    codes = {one["name"]: one["code"] for one in data["libraries"]}
    assert codes.keys() == {KERNELS, ALLOCATOR, FILES, LOOP}
    assert "sm_86" in codes.pop(KERNELS)
    assert set(map(tuple, codes.values())) == {()}
    assert data["patched_files_compared"] > 70
    assert data["python_files_compiled"] > 2900


def test_a_gpu_that_it_has_no_code_for(wheel: Path, home: Path) -> None:
    code, problems, _ = checked(wheel, home, "--arch", "7.5")
    assert (code, problems) == (1, {("", "device code"), (KERNELS, "device code")})


def damaged(wheel: Path, folder: Path) -> Path:
    """Without an extension, one of another machine, one with code for another GPU, RECORD edited."""
    made = folder / wheel.name
    with zipfile.ZipFile(wheel) as before, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as after:
        for info in before.infolist():
            content = before.read(info)
            if info.filename == ALLOCATOR:
                content = content[: ELF_MACHINE.start] + AARCH64 + content[ELF_MACHINE.stop :]
            elif info.filename == KERNELS:
                content = as_another_gpus(content)
            elif info.filename.endswith(".dist-info/RECORD"):
                content = edited(content)
            if info.filename != FILES:
                after.writestr(info, content, compresslevel=1)
    return made


MACHINE_CODE = re.compile(rb"(\x02\0\x01\x01.\0\0\0.{20})" + (86).to_bytes(4, "little"), re.DOTALL)
"""The head of an entry of a fat binary that holds machine code, up to its architecture."""


def as_another_gpus(library: bytes) -> bytes:
    """The machine code for 8.6 marked as for 8.9."""
    made, times = MACHINE_CODE.subn(rb"\1" + (89).to_bytes(4, "little"), library)
    assert times > 0
    return made


def edited(record: bytes) -> bytes:
    """RECORD with the hash of `vllm/logger.py` put in the line of `vllm/envs.py`."""
    rows = list(csv.reader(io.StringIO(record.decode("utf-8"), newline="")))
    hashes = {row[0]: row[1] for row in rows}
    text = io.StringIO()
    for row in rows:
        other = hashes["vllm/logger.py"] if row[0] == "vllm/envs.py" else row[1]
        csv.writer(text, lineterminator="\n").writerow((row[0], other, row[2]))
    return text.getvalue().encode()


def test_every_damage_is_caught_by_its_name(wheel: Path, home: Path, tmp_path: Path) -> None:
    code, problems, _ = checked(damaged(wheel, tmp_path), home)
    info = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
    assert code == 1
    assert problems == {
        (FILES, "extensions"), (FILES, "record"),
        (ALLOCATOR, "machine"), (ALLOCATOR, "record"),
        (KERNELS, "device code"), (KERNELS, "record"), ("", "device code"),
        ("vllm/envs.py", "record"),
    }  # fmt: skip
    assert f"{info}/RECORD" not in {member for member, _ in problems}


def test_a_wheel_cut_off_is_no_wheel(wheel: Path, home: Path, tmp_path: Path) -> None:
    cut = tmp_path / wheel.name
    for lost in (1, 4096, wheel.stat().st_size // 2):
        cut.write_bytes(wheel.read_bytes()[:-lost])
        code, _, said = command("wheel", "check", cut, home=home)
        assert (code, "is no readable wheel" in said) == (17, True), said


def test_it_is_installed_by_pip_and_by_uv_and_found_from_outside(wheel: Path, home: Path) -> None:
    code, data, said = command("wheel", "verify", wheel, home=home)
    assert code == 0, data or said
    found = {(one["installer"], one["name"]): one["verdict"] for one in data["steps"]}
    done = ("installed", "seen from outside", "version")
    assert {found[installer, name] for installer in ("pip", "uv") for name in done} == {"good"}
    assert "failed" not in found.values()


@pytest.fixture(scope="module")
def torch_site() -> Path:
    """The packages of an environment that has torch for the CPU and the tool's own Python."""
    python = os.environ.get("WINVLLM_TEST_WINSIM_PYTHON")
    if not python:
        pytest.skip("no torch for the CPU: WINVLLM_TEST_WINSIM_PYTHON names an interpreter that has it")
    ask = "import sys, sysconfig; print(*sys.version_info[:2]); print(sysconfig.get_path('platlib'))"
    done = subprocess.run([python, "-I", "-c", ask], capture_output=True, text=True, check=True)
    version, site = done.stdout.splitlines()
    if version != "{} {}".format(*sys.version_info[:2]):
        pytest.skip(f"torch there is for Python {version}, this is another")
    return Path(site)


def installed(wheel: Path, folder: Path, installer: str) -> Path:
    """The interpreter of a new environment with the wheel alone."""
    python = environment(folder)
    words: list[str | Path]
    if installer == "pip":
        words = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel]
    else:
        words = [find_uv(), "pip", "install", "--quiet", "--python", python, "--no-deps", wheel]
    subprocess.run(words, check=True, capture_output=True)
    return python


@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_its_extensions_are_imported_and_register_their_operators(
    installer: str, wheel: Path, torch_site: Path, tmp_path: Path
) -> None:
    """Into a torch for the CPU, with stand-ins for the driver and torch's part for CUDA, never called."""
    python = installed(wheel, tmp_path / "environment", installer)
    ask = "import sysconfig; print(sysconfig.get_path('platlib'))"
    done = subprocess.run([python, "-I", "-c", ask], capture_output=True, text=True, check=True, cwd="/")
    site = Path(done.stdout.strip())
    cudart = next(Path(CUDA).glob("lib64/libcudart.so.13"))
    files = [site / name for name in (KERNELS, ALLOCATOR, FILES, LOOP)]
    words: list[str | Path] = [python, "-I", LOAD, torch_site, cudart, tmp_path, *files]
    loaded = subprocess.run(words, capture_output=True, text=True, check=False, cwd="/")
    assert loaded.returncode == 0, loaded.stderr
    answer = json.loads(loaded.stdout.splitlines()[-1])
    assert Path(answer["vllm"]) == site / "vllm" / "__init__.py"
    assert answer["operators"] == {"_moe_C": 18}
