"""The number of jobs, from faked memory, cores and container limits."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from winvllm_build.profile import machine
from winvllm_build.profile.limits import GIB, JobLimit, slots
from winvllm_build.profile.machine import Machine
from winvllm_build.profile.model import Profile


def profile(archs: str = "8.6", threads: int = 1, **build: Any) -> Profile:  # noqa: ANN401 - keys of [build]
    return Profile.model_validate({"build": build, "cuda": {"arch_list": archs, "nvcc_threads": threads}})


def free(gib: float, cores: int) -> Machine:
    return Machine(memory=int(gib * GIB), cores=cores)


def test_the_profile_may_say_the_jobs() -> None:
    limit = slots(profile(max_jobs=40), free(1, 1))
    assert (limit.jobs, limit.reason) == (40, "build.max_jobs = 40")


def test_cores_decide_and_memory_is_told() -> None:
    assert slots(profile(), free(4, 16)) == JobLimit(jobs=16, reason="16 cores; 4.0 GiB free")
    boxed = Machine(memory=8 * GIB, cores=1, limited_by="/sys/fs/cgroup/memory.max")
    assert slots(profile(), boxed).reason == "1 core; 8.0 GiB free by /sys/fs/cgroup/memory.max"


def test_nvcc_threads_count_as_cores_but_never_beyond_the_archs() -> None:
    assert slots(profile("8.6;8.9", threads=2), free(1000, 16)).jobs == 8
    assert slots(profile("8.6", threads=8), free(1000, 16)).jobs == 16
    assert slots(profile("8.6;8.9", threads=2), free(1000, 1)).jobs == 1
    assert "2 nvcc threads each" in slots(profile("8.6;8.9", threads=2), free(1000, 16)).reason


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> None:
    def memory() -> SimpleNamespace:
        return SimpleNamespace(available=32 * GIB)

    monkeypatch.setattr(psutil, "virtual_memory", memory)
    monkeypatch.setattr(machine, "_own_cores", lambda: 16)


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.usefixtures("faked")
def test_without_control_groups_the_machine_decides(tmp_path: Path) -> None:
    assert machine.read(root=tmp_path, own=tmp_path / "none") == Machine(memory=32 * GIB, cores=16)


@pytest.mark.usefixtures("faked")
@pytest.mark.parametrize("folder", ["", "a", "a/b"])
def test_version_2_limits_of_the_group_and_those_above(tmp_path: Path, folder: str) -> None:
    write(tmp_path, {"own": "0::/a/b\n", "root/a/b/memory.max": "max\n", "root/a/memory.max": "max\n"})
    write(
        tmp_path / "root" / folder,
        {
            "memory.max": f"{8 * GIB}\n",
            "memory.current": f"{5 * GIB}\n",
            "memory.stat": f"anon 1\ninactive_file {2 * GIB}\n",
            "cpu.max": "250000 100000\n",
        },
    )
    found = machine.read(root=tmp_path / "root", own=tmp_path / "own")
    assert (found.memory, found.cores) == (5 * GIB, 2)
    assert found.limited_by == str(tmp_path / "root" / folder / "memory.max")


@pytest.mark.usefixtures("faked")
def test_version_1_limits(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "own": "5:memory:/box\n4:cpu,cpuacct:/box\n",
            "root/memory/box/memory.limit_in_bytes": f"{6 * GIB}\n",
            "root/memory/box/memory.usage_in_bytes": f"{GIB}\n",
            "root/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "root/cpu,cpuacct/box/cpu.cfs_quota_us": "150000\n",
            "root/cpu,cpuacct/box/cpu.cfs_period_us": "50000\n",
        },
    )
    found = machine.read(root=tmp_path / "root", own=tmp_path / "own")
    assert (found.memory, found.cores) == (5 * GIB, 3)


@pytest.mark.usefixtures("faked")
def test_no_limit_and_nonsense_change_nothing(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "own": "0::/\n1:memory:/\nnonsense\n",
            "root/memory.max": "max\n",
            "root/cpu.max": "max 100000\n",
            "root/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "root/memory/cpu.cfs_quota_us": "-1\n",
            "root/memory/cpu.cfs_period_us": "100000\n",
        },
    )
    assert machine.read(root=tmp_path / "root", own=tmp_path / "own") == Machine(memory=32 * GIB, cores=16)


@pytest.mark.usefixtures("faked")
def test_a_group_path_of_the_host_leaves_the_mounted_root(tmp_path: Path) -> None:
    write(tmp_path, {"own": "0::/../../host/slice\n", "root/memory.max": f"{4 * GIB}\n"})
    assert machine.read(root=tmp_path / "root", own=tmp_path / "own").memory == 4 * GIB


@pytest.mark.usefixtures("faked")
def test_an_exhausted_group_has_nothing_left(tmp_path: Path) -> None:
    write(tmp_path, {"own": "0::/\n", "root/memory.max": "100\n", "root/memory.current": "200\n"})
    assert machine.read(root=tmp_path / "root", own=tmp_path / "own").memory == 0


def test_this_machine_has_memory_and_cores() -> None:
    found = machine.read()
    assert found.memory > 0
    assert 1 <= found.cores <= (psutil.cpu_count() or 1)
