"""v0.33.0: features that Windows cannot have say so when they are asked for; what is beside them works."""

from __future__ import annotations

import functools
import itertools
import sys
import types
from pathlib import Path

import pytest

from tests.real_vllm.modules import BOTH_PLATFORMS, Modules, fake_module, fake_sys
from tests.real_vllm.newest import FILE_CALLS, FILE_CALLS_NAME, load_on_windows, patched_modules
from tests.real_vllm.test_imports import unguarded, users_of

pytestmark = pytest.mark.network
CACHE = "vllm/model_executor/model_loader/weight_cache"
FACTORY = "vllm/distributed/weight_transfer/factory.py"
HIDDEN = "vllm/distributed/kv_transfer/kv_connector/v1/example_hidden_states_connector.py"
HF3FS = "vllm/distributed/kv_transfer/kv_connector/v1/hf3fs/hf3fs_connector.py"


@pytest.fixture(scope="module")
def newest(checkout: Path, test_cache: Path) -> Modules:
    return patched_modules(checkout, test_cache)


class UnsupportedError(Exception):
    """Stands in for UnsupportedPlatformForIPCError."""


@BOTH_PLATFORMS
def test_snapshots_are_refused_before_anything_is_imported(newest: Modules, platform: str) -> None:
    run = newest.cut("vllm/entrypoints/cli/snapshot.py", "SnapshotSubcommand.cmd", sys=fake_sys(platform))
    dispatched: list[object] = []
    args = types.SimpleNamespace(snapshot_dispatch=dispatched.append)
    if platform == "win32":
        with pytest.raises(ValueError, match="vllm snapshot is not available on Windows: it needs CRIU"):
            run(args)
    else:
        run(args)
    assert dispatched == ([] if platform == "win32" else [args])


@pytest.mark.parametrize(
    ("platform", "device", "refused"),
    [("win32", "cuda", "on Windows"), ("linux", "cuda", ""), ("linux", "xpu", "xpu")],
)
def test_the_weight_cache_says_which_platforms_it_has(
    newest: Modules, platform: str, device: str, refused: str
) -> None:
    current = types.SimpleNamespace(is_cuda_alike=lambda: device == "cuda", device_name=device)
    check = newest.cut(
        f"{CACHE}/protocol.py",
        "check_ipc_platform_support",
        sys=fake_sys(platform),
        current_platform=current,
        UnsupportedPlatformForIPCError=UnsupportedError,
    )
    if refused:
        with pytest.raises(UnsupportedError, match=refused):
            check()
    else:
        check()


def raises_unsupported() -> None:
    raise UnsupportedError


def test_the_weight_cache_is_refused_by_its_loader_and_by_preload(newest: Modules) -> None:
    names = {"sys": fake_sys("win32"), "check_ipc_platform_support": raises_unsupported}
    preload = newest.cut("vllm/entrypoints/cli/preload.py", "PreloadSubcommand.cmd", **names)
    with pytest.raises(UnsupportedError):
        preload(types.SimpleNamespace())
    base = types.SimpleNamespace(__init__=lambda _: None)
    made = newest.cut(f"{CACHE}/ipc_loader.py", "IpcModelLoader.__init__", super=lambda: base, **names)
    with pytest.raises(UnsupportedError):
        made(types.SimpleNamespace(), types.SimpleNamespace(model_loader_extra_config={}))


@pytest.fixture
def factory(newest: Modules, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    base = fake_module("base", TrainerWeightTransferEngine=object, WeightTransferEngine=object)
    return load_on_windows(newest, FACTORY, monkeypatch, vllm__distributed__weight_transfer__base=base)


@pytest.mark.parametrize("backend", ["nccl", "sparse_nccl", "nccl_m2n", "ipc", "sharded_rdt"])
def test_weight_transfer_is_refused_in_worker_and_trainer(factory: types.ModuleType, backend: str) -> None:
    chosen = types.SimpleNamespace(backend=backend)
    with pytest.raises(ValueError, match=f"backend '{backend}' is not available on Windows"):
        factory.WeightTransferEngineFactory.create_engine(chosen, None, None, None)
    with pytest.raises(ValueError, match="is not available on Windows"):
        factory.WeightTransferTrainerFactory.trainer_init(chosen, client=None)


def test_no_backend_of_upstream_is_forgotten(factory: types.ModuleType) -> None:
    both = factory.WeightTransferEngineFactory._registry | factory.WeightTransferTrainerFactory._registry
    assert both.keys() - factory._NEEDS_LINUX.keys() == {"modelexpress"}


def test_an_engine_that_is_registered_by_hand_is_made(factory: types.ModuleType) -> None:
    class Engine:
        def __init__(self, *given: object) -> None:
            self.given = given

    engines = factory.WeightTransferEngineFactory
    engines.register_engine("files", Engine)
    chosen = types.SimpleNamespace(backend="files")
    made = engines.create_engine(chosen, None, None, None)
    assert isinstance(made, Engine)
    assert made.given == (chosen, None, None, None)


def test_hf3fs_is_refused_when_the_connector_is_made(newest: Modules) -> None:
    made = newest.cut(
        HF3FS,
        "HF3FSKVConnector.__init__",
        sys=fake_sys("win32"),
        VllmConfig=None,
        KVConnectorRole=None,
        KVCacheConfig=None,
    )
    with pytest.raises(ValueError, match="HF3FSKVConnector is not available on Windows"):
        made(types.SimpleNamespace(), None, None, None)


@BOTH_PLATFORMS
def test_each_rank_of_hisparse_has_a_pool_of_its_own(newest: Modules, platform: str) -> None:
    decide = newest.cut(
        "vllm/v1/hisparse/runtime.py",
        "use_shared_hisparse_host_pool",
        sys=fake_sys(platform),
        current_platform=types.SimpleNamespace(is_cuda_alike=lambda: True),
    )
    parallel = types.SimpleNamespace(
        tensor_parallel_size=2,
        pipeline_parallel_size=1,
        prefill_context_parallel_size=1,
        decode_context_parallel_size=1,
        world_size=2,
        distributed_executor_backend="mp",
        nnodes_within_dp=1,
    )
    assert decide(types.SimpleNamespace(parallel_config=parallel)) is (platform == "linux")


class Msvcrt:
    """msvcrt where a writer holds the lock for two attempts."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        self.positions: list[int] = []
        self.attempts = itertools.count()

    def locking(self, fd: int, mode: int, count: int) -> None:
        assert (mode, count) == (self.LK_NBLCK, 1)
        self.positions.append(fd)
        if next(self.attempts) < 2:
            raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("by", ["descriptor", "file"])
def test_a_reader_of_hidden_states_waits_for_the_writer(
    newest: Modules, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    calls = newest.load(FILE_CALLS, FILE_CALLS_NAME)
    msvcrt = Msvcrt()
    slept: list[float] = []
    monkeypatch.setitem(sys.modules, "msvcrt", msvcrt)
    monkeypatch.setattr(calls, "time", types.SimpleNamespace(sleep=slept.append))
    path = tmp_path / "states.lock"
    path.touch()
    with path.open() as file:
        calls.flock(file.fileno() if by == "descriptor" else file, calls.LOCK_SH)
        assert msvcrt.positions == [file.fileno()] * 3
    assert slept == [calls._LOCK_POLL_S] * 2


class Mapped:
    """A tensor that maps its file."""

    def clone(self) -> str:
        return "copy"


@BOTH_PLATFORMS
def test_hidden_states_do_not_keep_their_file(newest: Modules, platform: str, tmp_path: Path) -> None:
    (tmp_path / "states.lock").touch()
    locked: list[object] = []
    mapped = Mapped()
    load = newest.cut(
        HIDDEN,
        "load_hidden_states",
        sys=fake_sys(platform),
        torch=None,
        fcntl=types.SimpleNamespace(LOCK_SH=1, flock=lambda _, how: locked.append(how)),
        load_file=lambda _, **__: {"token_ids": mapped, "device": mapped},
    )
    loaded = load(str(tmp_path / "states"))
    assert locked == [1]
    assert set(loaded.values()) == {"copy" if platform == "win32" else mapped}


def test_rays_store_is_made_without_libuv(newest: Modules) -> None:
    text = newest.text("vllm/v1/executor/ray_executor_v2.py")
    head = text[text.index('if sys.platform == "win32":\n    # PyTorch') : text.index("\nlogger =")]
    made: list[object] = []
    scope: dict[str, object] = {
        "sys": fake_sys("win32"),
        "functools": functools,
        "TCPStore": lambda **given: made.append(given),
    }
    exec(head, scope)  # noqa: S102 - the patch's lines, with a stand-in for PyTorch's class
    store = scope["TCPStore"]
    assert callable(store)
    store(host_name="localhost", port=0)
    assert made == [{"use_libuv": False, "host_name": "localhost", "port": 0}]


def test_file_calls_are_imported_only_on_windows(newest: Modules) -> None:
    users = users_of(newest, {FILE_CALLS_NAME})
    assert set(users) == {
        HIDDEN,
        "vllm/v1/kv_offload/tiering/fs/io.py",
        "vllm/v1/simple_kv_offload/disk_backend.py",
    }
    assert {path for path, body in users.items() if FILE_CALLS_NAME in unguarded(body)} == set()
