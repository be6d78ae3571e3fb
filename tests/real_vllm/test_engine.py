"""Processes, sockets and the engine's start without fork, ipc:// and pollable process handles."""

from __future__ import annotations

import contextlib
import multiprocessing
import ntpath
import socket
import sys
import types
from typing import NoReturn

import pytest

from tests.real_vllm.modules import BOTH_PLATFORMS, Modules, Recorder, fake_sys

pytestmark = pytest.mark.network
SYSTEM = "vllm/utils/system_utils.py"
CLIENT = "vllm/v1/engine/core_client.py"
SERVER = "vllm/entrypoints/openai/api_server.py"


class GoneError(Exception):
    """psutil.NoSuchProcess."""


class DeniedError(Exception):
    """psutil.AccessDenied."""


def test_get_mp_context_always_spawns_on_windows(modules: Modules) -> None:
    asked: list[str] = []
    for platform in ("win32", "linux"):
        modules.cut(
            SYSTEM,
            "get_mp_context",
            sys=fake_sys(platform),
            envs=types.SimpleNamespace(VLLM_WORKER_MULTIPROC_METHOD="fork"),
            multiprocessing=types.SimpleNamespace(get_context=asked.append),
            _maybe_force_spawn=lambda: None,
        )()
    assert asked == ["spawn", "fork"]


def test_kill_process_tree_without_sigkill(modules: Modules) -> None:
    killed: list[int] = []

    class Process:
        def __init__(self, pid: int) -> None:
            self.pid = pid

        def children(self, *, recursive: bool) -> list[Process]:
            assert self.pid == 10
            assert recursive
            return [Process(11), Process(12), Process(13)]

        def kill(self) -> None:
            if self.pid == 11:
                raise GoneError
            if self.pid == 12:
                raise DeniedError
            killed.append(self.pid)

    modules.cut(
        SYSTEM,
        "kill_process_tree",
        sys=fake_sys("win32"),
        psutil=types.SimpleNamespace(Process=Process, NoSuchProcess=GoneError, AccessDenied=DeniedError),
        contextlib=contextlib,
        os=types.SimpleNamespace(),
        signal=types.SimpleNamespace(),
    )(10)
    assert killed == [13, 10]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("libcudart", r"C:\py\Lib\site-packages\torch\lib\cudart64_12.dll"),
        ("cumem_allocator", r"C:\py\Lib\site-packages\vllm\cumem_allocator.pyd"),
        ("libamdhip64", None),
    ],
)
def test_find_loaded_library_without_proc(modules: Modules, name: str, expected: str | None) -> None:
    paths = [
        r"C:\Windows\System32\ntdll.dll",
        r"C:\cudart64_12.dll.mui",
        r"C:\py\Lib\site-packages\torch\lib\cudart64_12.dll",
        r"C:\py\Lib\site-packages\vllm\cumem_allocator.pyd",
    ]
    process = types.SimpleNamespace(memory_maps=lambda: [types.SimpleNamespace(path=path) for path in paths])

    def refused(path: str) -> NoReturn:
        raise FileNotFoundError(path)

    find = modules.cut(
        SYSTEM,
        "find_loaded_library",
        sys=fake_sys("win32"),
        os=types.SimpleNamespace(path=ntpath),
        psutil=types.SimpleNamespace(Process=lambda: process),
        open=refused,
    )
    assert find(name) == expected


def test_zmq_path_is_loopback_tcp_on_windows(modules: Modules) -> None:
    def make(platform: str) -> str:
        path: str = modules.cut(
            "vllm/utils/network_utils.py",
            "get_open_zmq_ipc_path",
            sys=fake_sys(platform),
            socket=socket,
            envs=types.SimpleNamespace(VLLM_RPC_BASE_PATH="/base"),
            uuid4=lambda: "id",
            get_tcp_uri=lambda ip, port: f"tcp://{ip}:{port}",
        )()
        return path

    assert make("linux") == "ipc:///base/id"
    scheme, _, port = make("win32").rpartition(":")
    assert scheme == "tcp://127.0.0.1"
    with socket.socket() as free:
        free.bind(("127.0.0.1", int(port)))


@pytest.mark.parametrize("has_call", [True, False])
def test_sched_yield_without_the_system_call(modules: Modules, *, has_call: bool) -> None:
    slept: list[float] = []
    modules.cut(
        "vllm/distributed/utils.py",
        "sched_yield",
        sys=fake_sys("win32"),
        os=types.SimpleNamespace(),
        time=types.SimpleNamespace(sleep=slept.append),
        USE_SCHED_YIELD=has_call,
    )()
    assert slept == [0]


@BOTH_PLATFORMS
def test_server_socket_options(modules: Modules, platform: str) -> None:
    """SO_REUSEADDR on Windows would let another process take the port over."""
    options: list[str] = []
    bound: list[tuple[str, int]] = []

    class Socket:
        def setsockopt(self, level: str, option: str, value: int) -> None:
            assert (level, value) == ("SOL_SOCKET", 1)
            options.append(option)

        def bind(self, address: tuple[str, int]) -> None:
            bound.append(address)

    wanted = ["SO_EXCLUSIVEADDRUSE"] if platform == "win32" else ["SO_REUSEADDR", "SO_REUSEPORT"]
    known = ("AF_INET", "AF_INET6", "SOCK_STREAM", "SOL_SOCKET", "SO_REUSEADDR", *wanted)
    fake = types.SimpleNamespace(socket=lambda **_: Socket(), **{name: name for name in known})
    modules.cut(
        SERVER,
        "create_server_socket",
        sys=fake_sys(platform),
        socket=fake,
        is_valid_ipv6_address=lambda _: False,
    )(("127.0.0.1", 8000))
    assert bound == [("127.0.0.1", 8000)]
    assert options == wanted


def test_unix_sockets_are_refused_on_windows(modules: Modules) -> None:
    create = modules.cut(
        SERVER, "create_server_unix_socket", sys=fake_sys("win32"), socket=types.SimpleNamespace()
    )
    with pytest.raises(ValueError, match="--uds"):
        create("a.sock")


@pytest.mark.parametrize(
    ("platform", "processes", "expected"),
    [
        ("win32", True, "counted"),
        ("win32", False, "counted"),
        ("linux", True, "sync"),
        ("linux", False, "inproc"),
    ],
)
def test_engine_client_of_llm(
    modules: Modules, monkeypatch: pytest.MonkeyPatch, platform: str, *, processes: bool, expected: str
) -> None:
    if platform == "win32":
        counted = types.SimpleNamespace(CountedInprocClient=lambda *_: "counted")
        monkeypatch.setitem(sys.modules, "vllm.v1.engine.inproc_async_client", counted)
        for name in ("vllm", "vllm.v1", "vllm.v1.engine"):
            monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    make = modules.cut(
        CLIENT,
        "EngineCoreClient.make_client",
        sys=fake_sys(platform),
        EngineCoreClient=types.SimpleNamespace(make_async_mp_client=lambda *_: "async"),
        SyncMPClient=lambda *_: "sync",
        InprocClient=lambda *_: "inproc",
    )
    rest = {"vllm_config": None, "executor_class": None, "log_stats": False}
    assert make(processes, asyncio_mode=False, **rest) == expected
    assert make(multiprocess_mode=True, asyncio_mode=True, **rest) == "async"
    with pytest.raises(NotImplementedError):
        make(multiprocess_mode=False, asyncio_mode=True, **rest)


@BOTH_PLATFORMS
def test_a_dead_engine_is_noticed(modules: Modules, platform: str) -> None:
    """Process handles are no sockets: on Windows they are asked, not polled."""
    registered: list[object] = []
    timeouts: list[int] = []

    class Poller:
        def register(self, item: object, _: int) -> None:
            if platform == "win32" and not isinstance(item, str):
                raise TypeError("not a socket")
            registered.append(item)

        def poll(self, timeout: int) -> list[tuple[int, int]]:
            timeouts.append(timeout)
            assert len(timeouts) < 5, "the exit was not noticed"
            return [] if platform == "win32" else [(123, 1)]  # a dead process is readable on POSIX

    wait = modules.cut(
        "vllm/v1/engine/utils.py",
        "wait_for_engine_startup",
        sys=fake_sys(platform),
        zmq=types.SimpleNamespace(Poller=Poller, POLLIN=1),
        STARTUP_POLL_PERIOD_MS=10000,
        logger=Recorder(),
    )
    parallel = types.SimpleNamespace(
        data_parallel_size_local=1, data_parallel_hybrid_lb=False, data_parallel_external_lb=False
    )
    manager = types.SimpleNamespace(sentinels=lambda: [123], finished_procs=lambda: {"EngineCore_DP0": 1})
    coordinator = types.SimpleNamespace(sentinel=124, exitcode=None, name="dp")
    coordinated_dp = False
    with pytest.raises(RuntimeError, match=r"initialization failed.*EngineCore_DP0"):
        wait("socket", None, [object()], parallel, coordinated_dp, None, manager, coordinator)
    assert registered == (["socket"] if platform == "win32" else ["socket", 123, 124])


@BOTH_PLATFORMS
def test_device_properties_are_read_in_a_spawned_process(modules: Modules, platform: str) -> None:
    methods: list[str] = []

    class Executor(contextlib.nullcontext["Executor"]):
        def __init__(self, **_: object) -> None:
            super().__init__(self)

        def submit(self, *_: object) -> object:
            return types.SimpleNamespace(result=lambda: ("GPU",))

    def get_context(method: str) -> object:
        methods.append(method)
        return multiprocessing.get_context("spawn")

    get = modules.cut(
        "vllm/utils/platform_utils.py",
        "cuda_get_device_properties",
        sys=fake_sys(platform),
        cuda_is_initialized=lambda: False,
        multiprocessing=types.SimpleNamespace(get_context=get_context),
        ProcessPoolExecutor=Executor,
    )
    assert get(0, ("name",)) == ("GPU",)
    assert methods == ["spawn" if platform == "win32" else "fork"]
