"""v0.33.0: the memory that processes share for offloaded caches, by what Windows has for it."""

from __future__ import annotations

import ctypes
import mmap
import os
import types
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest

from tests.real_vllm.modules import Modules, Recorder, fake_module
from tests.real_vllm.newest import load_on_windows, patched_modules

pytestmark = pytest.mark.network
REGION = "vllm/v1/kv_offload/cpu/shared_offload_region.py"
ENCODER = "vllm/distributed/ec_transfer/ec_connector/cpu/ec_shared_region.py"
COPIES = "vllm/v1/simple_kv_offload/cuda_mem_ops.py"
PAGE = mmap.PAGESIZE
GIB = 1 << 30
Array: TypeAlias = npt.NDArray[Any]


@pytest.fixture(scope="module")
def newest(checkout: Path, test_cache: Path) -> Modules:
    return patched_modules(checkout, test_cache)


class Section(mmap.mmap):
    """A mapping of Windows: no madvise."""

    madvise = property()


class Sections:
    """`mmap` of Windows: memory by its tagname, with neither flags nor prot."""

    PAGESIZE = PAGE

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mmap(self, fileno: int, length: int, *, tagname: str) -> mmap.mmap:
        assert fileno == -1
        descriptor = os.open(self.folder / tagname, os.O_RDWR | os.O_CREAT)
        os.truncate(descriptor, length)
        made = Section(descriptor, length)
        os.close(descriptor)
        return made


class Tensor:
    """What the regions ask of a tensor, over an array."""

    def __init__(self, array: Array) -> None:
        self.array = array

    def view(self, *shape: int) -> Tensor:
        return Tensor(self.array.reshape(shape))

    def numpy(self) -> Array:
        return self.array

    def data_ptr(self) -> int:
        return int(self.array.ctypes.data)

    @property
    def nbytes(self) -> int:
        return int(self.array.nbytes)


def torch() -> types.ModuleType:
    strided = np.lib.stride_tricks.as_strided
    return fake_module(
        "torch",
        Tensor=Tensor,
        int8=np.int8,
        frombuffer=lambda buffer, dtype: Tensor(np.frombuffer(buffer, dtype=dtype)),
        as_strided=lambda tensor, size, stride, storage_offset: Tensor(
            strided(tensor.array[storage_offset:], size, stride)
        ),
    )


@pytest.fixture
def region(newest: Modules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = load_on_windows(
        newest,
        REGION,
        monkeypatch,
        torch=torch(),
        vllm__distributed__device_communicators__shm_broadcast=fake_module(
            "shm_broadcast", check_shm_free_space=lambda *_, **__: None
        ),
        vllm__utils__math_utils=newest.load("vllm/utils/math_utils.py", "math_utils"),
        vllm__v1__kv_offload__cpu__host_register=fake_module("host_register", host_unregister=None),
    )
    monkeypatch.setattr(module, "mmap", Sections(tmp_path))
    monkeypatch.setattr(module, "os", types.SimpleNamespace())
    return module


def offload(module: types.ModuleType, **more: object) -> types.SimpleNamespace:
    given = {"num_chunks": 3, "kv_bytes_per_chunk": 2 * PAGE, "cpu_page_size": PAGE, **more}
    made: types.SimpleNamespace = module.SharedOffloadRegion("0123-engine", **given)
    return made


def test_workers_and_scheduler_see_one_region(region: types.ModuleType, tmp_path: Path) -> None:
    workers = [offload(region, rank=rank) for rank in range(2)]
    scheduler = offload(region, rank=None)
    for rank, worker in enumerate(workers):
        worker.create_next_worker_view(PAGE).array[:] = rank + 1
    rows = np.frombuffer(scheduler.create_kv_memoryview(), dtype=np.int8).reshape(3, 2, PAGE)
    assert (rows[:, 0] == 1).all()
    assert (rows[:, 1] == 2).all()
    assert [path.name for path in tmp_path.iterdir()] == ["vllm_offload_0123-engine"]


def test_filling_the_pages_of_a_worker_changes_nothing(region: types.ModuleType) -> None:
    first = offload(region, rank=0)
    first._base.array[:] = 7
    offload(region, rank=1)
    assert (first._base.array == 7).all()


def test_a_region_without_a_file_is_cleaned_up(region: types.ModuleType) -> None:
    asked: list[int] = []
    barriers: list[str] = []
    made = offload(
        region,
        rank=0,
        barrier=lambda: barriers.append("reached"),
        creator_memory_check=asked.append,
        populate_shard=(0, 1),
    )
    assert asked == [3 * 2 * PAGE]
    assert barriers == ["reached", "reached"]
    assert made.fd is None
    made.cleanup()
    assert made.mmap_obj is None


def test_a_region_that_cannot_be_mapped_says_why(region: types.ModuleType) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(1455, "The paging file is too small for this operation to complete")

    region.mmap.mmap = full
    with pytest.raises(OSError, match="paging file is too small"):
        offload(region, rank=0, barrier=lambda: None)


def test_a_large_region_is_one_segment(region: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(region, "_get_populate_write_fn", lambda _: lambda *_: None)
    made = offload(region, rank=0, num_chunks=4 * GIB // (2 * PAGE), num_segments=4)
    assert [length for _, _, length in made._segments] == [4 * GIB]
    made.cleanup()


def test_processes_share_the_encoder_cache(
    newest: Modules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load_on_windows(newest, ENCODER, monkeypatch, torch=torch())
    monkeypatch.setattr(module, "mmap", Sections(tmp_path))
    monkeypatch.setattr(module, "os", types.SimpleNamespace())
    regions = [module.ECSharedRegion("0123", 4, PAGE) for _ in range(2)]
    regions[0].blocks.array[2] = 5
    assert (regions[1].blocks.array == regions[0].blocks.array).all()
    assert [path.name for path in tmp_path.iterdir()] == ["vllm_ec_0123"]
    for made in regions:
        made.cleanup()
        assert made._mmap_obj is None


@pytest.fixture
def copies(newest: Modules, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    return load_on_windows(
        newest,
        COPIES,
        monkeypatch,
        torch=fake_module("torch", Tensor=Tensor, cuda=types.SimpleNamespace(Stream=object)),
        vllm__envs=fake_module("vllm.envs", VLLM_KV_OFFLOAD_MAX_BATCH_DESCRIPTORS=0),
        vllm__platforms=fake_module(
            "vllm.platforms", current_platform=types.SimpleNamespace(is_rocm=lambda: False)
        ),
    )


class Driver:
    """cuMemcpyAsync for memory of the host; its streams and the copy that fails."""

    def __init__(self, failing: int = -1) -> None:
        self.streams: list[int] = []
        self.failing = failing

    def __call__(self, target: int, source: int, size: int, stream: int) -> int:
        if len(self.streams) == self.failing:
            return 719
        self.streams.append(stream)
        ctypes.memmove(target, source, size)
        return 0


def parameters(copies: types.ModuleType, sources: list[Array], targets: list[Array]) -> object:
    def addresses(arrays: list[Array]) -> Array:
        return np.array([array.ctypes.data for array in arrays], dtype=np.uint64)

    return copies.BatchMemcpyParams(
        src_bases=addresses(sources),
        dst_bases=addresses(targets),
        bpb=np.array([array.strides[0] for array in sources], dtype=np.uint64),
        num_layers=len(sources),
        attrs=copies._CUmemcpyAttributes(srcAccessOrder=1),
        attrs_idx=ctypes.c_size_t(0),
        num_attrs=1,
        fail_idx=ctypes.c_size_t(0),
        stream_handle=99,
    )


def test_blocks_are_copied_one_by_one(copies: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [np.arange(5 * width, dtype=np.uint8).reshape(5, width) for width in (8, 24)]
    targets = [np.zeros_like(array) for array in sources]
    driver = Driver()
    monkeypatch.setattr(copies, "_batch_memcpy", (copies._copy_one_by_one(driver), 1))
    copies.copy_blocks([4, 0], [1, 3], parameters(copies, sources, targets))
    for source, target in zip(sources, targets, strict=True):
        assert (target[[1, 3]] == source[[4, 0]]).all()
        assert not target[[0, 2, 4]].any()
    assert driver.streams == [99] * 4


def test_the_copy_that_fails_is_named(copies: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [np.zeros((5, 8), dtype=np.uint8)]
    monkeypatch.setattr(copies, "_batch_memcpy", (copies._copy_one_by_one(Driver(failing=2)), 1))
    with pytest.raises(RuntimeError, match="err=719 failIdx=2"):
        copies.copy_blocks([0, 1, 2], [2, 3, 4], parameters(copies, blocks, blocks))


def test_the_driver_is_asked_for_copies_by_its_library(
    copies: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []

    def library(name: str) -> object:
        loaded.append(name)
        return types.SimpleNamespace(cuMemcpyAsync=Driver())

    monkeypatch.setattr(copies, "ctypes", types.SimpleNamespace(**{**vars(ctypes), "CDLL": library}))
    made, attributes = copies._resolve_batch_memcpy()
    assert (callable(made), attributes, loaded) == (True, 1, ["nvcuda"])


def test_small_blocks_are_loaded_by_copies(newest: Modules) -> None:
    ops = types.SimpleNamespace(swap_blocks_batch=Recorder())
    given = {"ops": ops, "HAS_TRITON": True, "current_platform": types.SimpleNamespace()}
    choose = newest.cut(
        "vllm/v1/kv_offload/cpu/gpu_worker.py",
        "_select_swap_blocks_fn",
        sys=types.SimpleNamespace(platform="win32"),
        **given,
    )
    assert choose([[types.SimpleNamespace(page_size_bytes=64)]], gpu_to_cpu=False) is ops.swap_blocks_batch
