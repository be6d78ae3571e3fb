"""v0.33.0: blocks of the KV cache in files, by the calls that Windows has."""

from __future__ import annotations

import os
import threading
import types
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.real_vllm.modules import Modules, Recorder, fake_module
from tests.real_vllm.newest import file_calls, load_on_windows, patched_modules

pytestmark = pytest.mark.network
TIER = "vllm/v1/kv_offload/tiering/fs/io.py"
DISK = "vllm/v1/simple_kv_offload/disk_backend.py"
BLOCK = 4096
SLOTS = 100
O_BINARY, O_TEMPORARY = 1 << 28, 1 << 29
ODD = bytes(range(256)) * (BLOCK // 256)
"""Line ends, NUL and Ctrl+Z, which a descriptor in text mode changes or stops at."""


@pytest.fixture(scope="module")
def newest(checkout: Path, test_cache: Path) -> Modules:
    return patched_modules(checkout, test_cache)


@pytest.fixture
def windows_os(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """`os` without the calls and flags that Windows lacks; the flags of each file that is opened."""
    flags: list[int] = []
    opened = os.open

    def spy(path: str, wanted: int, mode: int = 0o777) -> int:
        flags.append(wanted)
        return opened(path, wanted & ~(O_BINARY | O_TEMPORARY), mode)

    for name in ("readv", "preadv", "writev", "pwritev", "pread", "pwrite", "O_DIRECT", "O_NOFOLLOW"):
        monkeypatch.delattr(os, name, raising=False)
    monkeypatch.setattr(os, "O_BINARY", O_BINARY, raising=False)
    monkeypatch.setattr(os, "O_TEMPORARY", O_TEMPORARY, raising=False)
    monkeypatch.setattr(os, "open", spy)
    return flags


@pytest.fixture
def tier(newest: Modules, windows_os: list[int], monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    assert windows_os == []
    calls = file_calls(newest, monkeypatch)
    return load_on_windows(newest, TIER, monkeypatch, vllm__utils__win32_file=calls)


def rename_of_windows(source: str, target: str) -> None:
    """os.rename where the target may not exist."""
    Path(target).hardlink_to(source)
    Path(source).unlink()


def test_a_block_comes_back_byte_for_byte(
    tier: types.ModuleType, windows_os: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "rename", rename_of_windows)
    paths = [str(tmp_path / "ab" / "cd" / f"{number}.bin") for number in range(3)]
    stored = memoryview(bytearray(ODD * 3))
    assert not tier.probe_o_direct(str(tmp_path))
    tier.batch_store_block(paths, stored, [0, BLOCK, 2 * BLOCK], BLOCK, use_o_direct=False)
    loaded = memoryview(bytearray(3 * BLOCK))
    tier.batch_load_block(paths, loaded, [0, BLOCK, 2 * BLOCK], BLOCK, use_o_direct=False)
    assert bytes(loaded) == bytes(stored)
    assert len(windows_os) == 6
    assert all(flags & O_BINARY for flags in windows_os)
    assert sorted(path.name for path in (tmp_path / "ab" / "cd").iterdir()) == ["0.bin", "1.bin", "2.bin"]


def test_a_block_that_another_writer_published_stays(
    tier: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "block.bin"

    def rename(source: str, target: str) -> None:
        path.write_bytes(b"theirs")
        rename_of_windows(source, target)

    monkeypatch.setattr(os, "rename", rename)
    monkeypatch.setattr(os, "replace", None)
    tier.batch_store_block([str(path)], memoryview(bytearray(ODD)), [0], BLOCK, use_o_direct=False)
    assert path.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_a_short_block_is_closed_before_it_is_removed(
    tier: types.ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "short.bin"
    path.write_bytes(ODD[:100])
    closed: list[int] = []
    close, remove = os.close, os.remove

    def spy(fd: int) -> None:
        closed.append(fd)
        close(fd)

    def removed(name: str) -> None:
        assert closed, "Windows does not remove an open file"
        remove(name)

    monkeypatch.setattr(os, "close", spy)
    monkeypatch.setattr(os, "remove", removed)
    with pytest.raises(OSError, match="Short read: expected 4096 bytes, read 100"):
        tier.batch_load_block([str(path)], memoryview(bytearray(BLOCK)), [0], BLOCK, use_o_direct=False)
    assert len(closed) == 1
    assert not path.exists()


@dataclass(frozen=True, kw_only=True)
class Backend:
    made: types.SimpleNamespace
    path: Path
    log: list[tuple[str, tuple[object, ...]]]


@pytest.fixture
def backend(
    newest: Modules, windows_os: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Backend:
    """A disk backend without tensors on the GPU, its two threads waiting for work."""
    assert windows_os == []
    stubs = {
        "torch": fake_module("torch"),
        "vllm__platforms": fake_module("vllm.platforms", current_platform=Recorder()),
        "vllm__v1__simple_kv_offload__cuda_mem_ops": fake_module(
            "cuda_mem_ops",
            CU_MEMCPY_SRC_ACCESS_ORDER_ANY=3,
            CU_MEMCPY_SRC_ACCESS_ORDER_STREAM=1,
            BatchMemcpyParams=None,
            build_params=lambda *_, **__: None,
            copy_blocks=None,
            pin_tensor=None,
        ),
        "vllm__utils__win32_file": file_calls(newest, monkeypatch),
    }
    module = load_on_windows(newest, DISK, monkeypatch, **stubs)
    made = module.DiskBackend()
    path = tmp_path / "folder" / "slots"
    path.parent.mkdir()
    path.write_bytes(b"of an older run")
    made.init({}, "cuda", None, None, str(path), SLOTS, 2 * BLOCK)
    return Backend(made=made, path=path, log=module.logger.calls)


def test_stores_and_loads_of_the_disk_backend_do_not_move_each_other(backend: Backend) -> None:
    made = backend.made
    made._store_slot_views = [[memoryview(bytearray(ODD)), memoryview(bytearray(ODD[::-1]))]]
    made._load_slot_views = [[memoryview(bytearray(BLOCK)), memoryview(bytearray(BLOCK))]]
    for slot in range(SLOTS // 2):
        made._writev_slot(0, slot * 2 * BLOCK)

    def store() -> None:
        for slot in range(SLOTS // 2, SLOTS):
            made._writev_slot(0, slot * 2 * BLOCK)

    stores = threading.Thread(target=store)
    stores.start()
    for slot in range(SLOTS // 2):
        made._readv_slot(0, slot * 2 * BLOCK)
        assert [bytes(view) for view in made._load_slot_views[0]] == [ODD, ODD[::-1]]
    stores.join()
    assert backend.path.stat().st_size == SLOTS * 2 * BLOCK
    with pytest.raises(OSError, match="Short read"):
        made._readv_slot(0, SLOTS * 2 * BLOCK)
    made.shutdown()


def test_the_file_of_the_disk_backend_goes_with_its_descriptors(
    backend: Backend, windows_os: list[int]
) -> None:
    made = backend.made
    assert backend.path.stat().st_size == 0, "nothing is written before the first store"
    assert [flags & (O_BINARY | O_TEMPORARY) for flags in windows_os] == [O_BINARY | O_TEMPORARY] * 2
    assert windows_os[0] & os.O_EXCL
    assert [call[0] for call in backend.log] == ["warning", "info"]
    descriptors = (made._fd, made._load_fd)
    made.shutdown()
    for descriptor in descriptors:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)
