"""torch.distributed where no Gloo transport works: one process only, and more are refused."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.real_vllm.modules import Modules, Recorder, fake_module

pytestmark = pytest.mark.network
MODULE = "vllm/distributed/win32_process_group.py"
NOBODY = "tcp://192.0.2.1:1"
"""An address that must not be used."""


def create_default_device(*_: object) -> None:
    """What PyTorch 2.9 and 2.10 for Windows do."""
    raise RuntimeError("makeDeviceForHostname(): unsupported gloo device")


def loaded(modules: Modules, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    logger = fake_module("vllm.logger", init_logger=lambda _: Recorder())
    monkeypatch.setitem(sys.modules, "vllm", types.ModuleType("vllm"))
    monkeypatch.setitem(sys.modules, "vllm.logger", logger)
    return modules.load(MODULE, "groups_under_test")


class FakeDistributed(types.ModuleType):
    """The part of torch.distributed that the module uses; Gloo exists and cannot make a device."""

    def __init__(self) -> None:
        super().__init__("torch.distributed")
        self.begun: list[dict[str, object]] = []
        self.Store = object
        self.world = 0
        self.ProcessGroupGloo = types.SimpleNamespace(create_default_device=create_default_device)

    @staticmethod
    def is_gloo_available() -> bool:
        return True

    @staticmethod
    def is_backend_available(name: str) -> bool:
        return name == "gloo"

    def is_initialized(self) -> bool:
        return self.world > 0

    def get_world_size(self) -> int:
        return self.world

    @staticmethod
    def FileStore(path: str, _: int) -> str:  # noqa: N802 - torch's name
        return path

    def init_process_group(self, **given: object) -> None:
        self.begun.append(given)


@pytest.fixture
def stand_in(modules: Modules, monkeypatch: pytest.MonkeyPatch) -> tuple[types.ModuleType, FakeDistributed]:
    """The module over a stand-in for torch, so that the refusal is tested everywhere."""
    dist = FakeDistributed()
    parts = ("testing", "testing._internal", "testing._internal.distributed")
    names = [f"torch.{part}" for part in (*parts, f"{parts[-1]}.fake_pg")]
    for name in names:
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    torch = fake_module("torch", distributed=dist, __version__="2.9.1+cu130")
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch.distributed", dist)
    return loaded(modules, monkeypatch), dist


Pair = tuple[types.ModuleType, FakeDistributed]


@pytest.mark.parametrize("backend", ["nccl", "gloo", "fake"])
@pytest.mark.parametrize("size", [2, 8])
def test_a_larger_world_is_refused_before_anything_is_begun(stand_in: Pair, backend: str, size: int) -> None:
    groups, dist = stand_in
    with pytest.raises(RuntimeError, match=rf"world of {size} processes needs a working Gloo") as raised:
        groups.init_process_group(backend, "tcp://127.0.0.1:1", size, 0, None)
    assert "--tensor-parallel-size 1" in str(raised.value)
    assert dist.begun == []


def test_the_size_in_the_environment_is_refused_too(stand_in: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    groups, dist = stand_in
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(RuntimeError, match="world of 2"):
        groups.init_process_group("nccl", "env://", -1, -1, None)
    assert dist.begun == []


@pytest.mark.parametrize("size", [0, 1, 2])
def test_groups_of_a_world_that_another_began(stand_in: Pair, size: int) -> None:
    groups, dist = stand_in
    dist.world = size
    if size < 2:
        assert groups.get_cpu_backend() == "fake"
        return
    with pytest.raises(RuntimeError, match="world of 2 processes needs"):
        groups.get_cpu_backend()


@pytest.mark.parametrize("backend", ["nccl", "gloo"])
def test_one_process_gets_the_fake_backend_and_a_store_of_its_own(stand_in: Pair, backend: str) -> None:
    groups, dist = stand_in
    groups.check_world_size(1)
    assert groups.init_process_group(backend, NOBODY, 1, 0, None) == "fake"
    (given,) = dist.begun
    assert (given["backend"], given["world_size"], given["rank"]) == ("fake", 1, 0)
    assert Path(str(given["store"])).name == "store"
    assert "init_method" not in given


@pytest.fixture
def dist() -> Any:  # noqa: ANN401 - torch may be missing
    pytest.importorskip("torch")
    return pytest.importorskip("torch.distributed")


@pytest.fixture
def groups(
    modules: Modules,
    monkeypatch: pytest.MonkeyPatch,
    dist: Any,  # noqa: ANN401 - torch may be missing
) -> Iterator[types.ModuleType]:
    """The module over the real torch, which has no NCCL on Windows."""
    known = dist.is_backend_available
    monkeypatch.setattr(dist, "is_backend_available", lambda name: name != "nccl" and known(name))
    yield loaded(modules, monkeypatch)
    if dist.is_initialized():
        dist.destroy_process_group()


@pytest.fixture
def no_gloo(monkeypatch: pytest.MonkeyPatch, dist: Any) -> None:  # noqa: ANN401 - torch may be missing
    monkeypatch.setattr(dist.ProcessGroupGloo, "create_default_device", staticmethod(create_default_device))


@pytest.mark.usefixtures("no_gloo")
def test_torchs_fake_backend_serves_one_process(
    groups: types.ModuleType,
    dist: Any,  # noqa: ANN401 - torch may be missing
) -> None:
    torch = importlib.import_module("torch")
    assert groups.init_process_group("nccl", NOBODY, 1, 0, None) == "fake" == dist.get_backend()
    assert (dist.get_rank(), dist.get_world_size()) == (0, 1)
    cpu_group = dist.new_group([0], backend=groups.get_cpu_backend())
    assert dist.get_backend(cpu_group) == "fake"
    tensor = torch.arange(4)  # what vLLM reaches in a group of one
    dist.all_reduce(tensor, group=cpu_group, op=dist.ReduceOp.MIN)
    dist.broadcast(tensor, src=0, group=cpu_group)
    dist.barrier(group=cpu_group)
    assert tensor.tolist() == [0, 1, 2, 3]
    gathered: list[object] = [None]
    dist.all_gather_object(gathered, {"a": 1}, group=cpu_group)
    assert gathered == [{"a": 1}]
    dist.destroy_process_group(cpu_group)


@pytest.mark.usefixtures("no_gloo")
@pytest.mark.parametrize("backend", ["nccl", "gloo", "fake"])
def test_torchs_fake_backend_is_refused_for_two(
    groups: types.ModuleType,
    dist: Any,  # noqa: ANN401 - torch may be missing
    backend: str,
) -> None:
    with pytest.raises(RuntimeError, match=r"world of 2 processes needs.*Gloo"):
        groups.init_process_group(backend, "tcp://127.0.0.1:1", 2, 0, None)
    assert not dist.is_initialized()


def test_gloo_is_used_where_it_works(
    groups: types.ModuleType,
    dist: Any,  # noqa: ANN401 - torch may be missing
) -> None:
    torch = importlib.import_module("torch")
    if not groups.is_gloo_usable():
        pytest.skip("no Gloo in this PyTorch")
    assert groups.init_process_group("nccl", NOBODY, 1, 0, None) == "gloo"
    out = [torch.zeros(2)]
    dist.gather(torch.ones(2), out, dst=0)
    assert out[0].tolist() == [1, 1]
    groups.check_world_size(2)


def test_stores_are_private(groups: types.ModuleType) -> None:
    first, second = groups._make_private_store(), groups._make_private_store()
    assert first.path != second.path
    first.set("key", "1")
    other = Path(second.path)
    assert not other.exists() or b"key" not in other.read_bytes()
