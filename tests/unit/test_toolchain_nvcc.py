"""What an nvcc answers is understood, and what is not an nvcc is said so."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from packaging.version import Version

from tests import toolchain_fakes as fakes
from winvllm_build.errors import ToolchainError
from winvllm_build.toolchain import nvcc

DRYRUN = """\
#$ _NVVM_BRANCH_=nvvm
#$ _HERE_=/usr/local/cuda-13.0/bin
#$ _TARGET_DIR_=targets/x86_64-linux
#$ TOP=/usr/local/cuda-13.0/bin/..
#$ PATH=/usr/local/cuda-13.0/bin/../nvvm/bin:/usr/bin
"""


def test_version_and_architectures_of_a_recorded_answer() -> None:
    assert nvcc.parse_version(fakes.NVCC_VERSION.format(short="13.0", version="13.0.88")) == Version(
        "13.0.88"
    )
    assert nvcc.parse_architectures(fakes.ARCHITECTURES) == (
        "7.5", "8.0", "8.6", "8.7", "8.8", "8.9", "9.0", "10.0", "10.3", "11.0", "12.0", "12.1",
    )  # fmt: skip


def test_windows_line_ends_do_not_matter() -> None:
    assert nvcc.parse_architectures("compute_75\r\ncompute_120\r\n") == ("7.5", "12.0")


@pytest.mark.parametrize("text", ["", "gcc version V12.2.0", "nvcc: release 13.0"])
def test_another_programs_version_is_none(text: str) -> None:
    assert nvcc.parse_version(text) is None


def test_the_dry_run_names_the_toolkit() -> None:
    assert nvcc.parse_top(DRYRUN) == "/usr/local/cuda-13.0"
    assert nvcc.parse_top("nvcc fatal : Cannot find compiler 'cl.exe' in PATH") is None


def test_a_wrapper_leads_to_the_compiler_behind_it(tmp_path: Path) -> None:
    inner = fakes.nvcc(tmp_path / "cuda-13.0")
    wrapper = fakes.script(tmp_path / "bin" / "nvcc", f'exec {inner} "$@"')
    found = nvcc.ask(wrapper)
    assert found.home == tmp_path / "cuda-13.0"
    assert found.program == inner
    assert found.version == Version("13.0.88")
    assert "8.6" in found.architectures


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("echo hello", "does not answer like nvcc"),
        ("printf '\\377\\376\\000nvcc'", "does not answer like nvcc"),
        ("echo 'nvcc fatal: broken' >&2; exit 7", "exit code 7: nvcc fatal: broken"),
        ("exit 1", "exit code 1"),
        ("kill -9 $$", "exit code -9"),
    ],
)
def test_a_broken_compiler_is_one_clear_error(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(ToolchainError, match=message) as caught:
        nvcc.ask(fakes.script(tmp_path / "nvcc", body))
    assert caught.value.fix is not None
    assert "cuda.home" in caught.value.fix


def test_a_compiler_that_hangs_is_ended(tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(ToolchainError, match="did not finish"):
        nvcc.ask(fakes.script(tmp_path / "nvcc", "exec sleep 60"), seconds=0.3)
    assert time.monotonic() - begun < 20


def test_a_file_that_cannot_be_executed(tmp_path: Path) -> None:
    file = tmp_path / "nvcc"
    file.write_text("not a program", encoding="utf-8")
    with pytest.raises(ToolchainError, match="cannot start") as caught:
        nvcc.ask(file)
    assert caught.value.exit_code == 4
