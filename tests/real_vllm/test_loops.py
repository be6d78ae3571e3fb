"""Event loops and signals without uvloop, `add_reader` of the Proactor loop and SIGTSTP."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import types
from collections.abc import Callable, Iterator

import pytest

from tests.real_vllm.modules import BOTH_PLATFORMS, Modules, fake_module, fake_sys

pytestmark = pytest.mark.network
COMPAT = "vllm/utils/uvloop_compat.py"
VERSIONS = pytest.mark.parametrize("version", [(3, 10, 0), sys.version_info[:3]])
"""Before and after asyncio.Runner, as far as this Python has both."""


@pytest.fixture
def compat(modules: Modules) -> types.ModuleType:
    return modules.load(COMPAT, "uvloop_compat_under_test")


@pytest.fixture
def saved_handlers() -> Iterator[None]:
    numbers = (signal.SIGINT, signal.SIGTERM)
    old = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, old, strict=True):
        signal.signal(number, handler)


def refusal(call: Callable[[], object]) -> str:
    """What the RuntimeError says; its frames are not kept."""
    try:
        call()
    except RuntimeError as error:
        return str(error)
    return ""


@VERSIONS
def test_run_uses_a_selector_loop_and_cleans_up(
    compat: types.ModuleType, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...]
) -> None:
    monkeypatch.setattr(compat, "sys", types.SimpleNamespace(version_info=version))
    seen: list[asyncio.AbstractEventLoop] = []
    tasks: list[asyncio.Task[None]] = []
    cancelled: list[bool] = []

    async def background() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    async def main() -> int:
        seen.append(asyncio.get_running_loop())
        tasks.append(asyncio.create_task(background()))
        await asyncio.sleep(0)
        return 42

    assert compat.run(main()) == 42
    assert isinstance(seen[0], asyncio.SelectorEventLoop)
    assert seen[0].is_closed()
    assert cancelled == [True]


@VERSIONS
def test_run_passes_exceptions_on_and_refuses_to_nest(
    compat: types.ModuleType, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...]
) -> None:
    monkeypatch.setattr(compat, "sys", types.SimpleNamespace(version_info=version))

    async def fail() -> None:
        raise KeyError("x")

    async def nested() -> None:
        inner = fail()
        try:
            compat.run(inner)
        finally:
            inner.close()

    with pytest.raises(KeyError):
        compat.run(fail())
    said = refusal(lambda: compat.run(nested()))
    gc.collect()  # a coroutine that nobody awaited is this test's failure, not the next one's
    assert "cannot be called from a running event loop" in said


@pytest.mark.usefixtures("saved_handlers")
def test_signal_handlers_call_back_in_the_loop(compat: types.ModuleType) -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        got = asyncio.Event()
        compat.add_signal_handlers(loop, (signal.SIGINT, signal.SIGTERM), got.set)
        loop.call_later(0.05, signal.raise_signal, signal.SIGTERM)
        await asyncio.wait_for(got.wait(), 5)
        return "stopped"

    assert compat.run(main()) == "stopped"
    with pytest.raises(KeyboardInterrupt):  # the loop is closed: not swallowed
        signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("saved_handlers")
def test_signal_handlers_wake_a_sleeping_loop(
    compat: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the wake-ups, select() on Windows would sleep on through an interrupt."""
    wake_ups: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        original = loop.call_later

        def call_later(delay: float, callback: Callable[..., object], *args: object) -> asyncio.TimerHandle:
            wake_ups.append(delay)
            return original(delay, callback, *args)

        monkeypatch.setattr(loop, "call_later", call_later)
        compat.add_signal_handlers(loop, (signal.SIGINT,), lambda: None)
        await asyncio.sleep(3 * compat._WAKE_UP_PERIOD_S)

    compat.run(main())
    assert wake_ups.count(compat._WAKE_UP_PERIOD_S) >= 2


def test_a_loop_without_add_reader_is_refused(
    compat: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    class ProactorLike(asyncio.BaseEventLoop):
        pass

    async def main() -> None:
        compat.check_running_loop()

    compat.check_running_loop()  # no loop is running: nothing to say
    compat.run(main())
    loop = ProactorLike()
    try:
        monkeypatch.setattr(asyncio, "get_running_loop", lambda: loop)
        with pytest.raises(RuntimeError, match=r"ProactorLike.*uvloop_compat\.run"):
            compat.check_running_loop()
    finally:
        loop.close()


class InOneProcess:
    """Stands for AsyncInprocClient."""

    def __init__(self, *_: object) -> None:
        pass

    @staticmethod
    def fits(config: types.SimpleNamespace, client_addresses: object) -> bool:
        assert client_addresses is None
        return bool(config.fits)


def test_async_client_checks_the_event_loop_first(modules: Modules, monkeypatch: pytest.MonkeyPatch) -> None:
    def check_running_loop() -> None:
        raise RuntimeError("no add_reader")

    compat = fake_module("vllm.utils.uvloop_compat", check_running_loop=check_running_loop)
    client = fake_module("vllm.v1.engine.inproc_async_client", AsyncInprocClient=InOneProcess)
    for name in ("vllm", "vllm.utils", "vllm.v1", "vllm.v1.engine"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    for module in (compat, client):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    started: list[object] = []
    config = types.SimpleNamespace(parallel_config=types.SimpleNamespace(data_parallel_size=1), fits=False)

    def make(platform: str) -> object:
        return modules.cut(
            "vllm/v1/engine/core_client.py",
            "EngineCoreClient.make_async_mp_client",
            sys=fake_sys(platform),
            AsyncMPClient=lambda *args: started.append(args),
        )(config, None, log_stats=False)

    with pytest.raises(RuntimeError, match="no add_reader"):
        make("win32")
    assert not started
    make("linux")
    assert len(started) == 1
    config.fits = True
    assert isinstance(make("win32"), InOneProcess)
    make("linux")
    assert len(started) == 2


@BOTH_PLATFORMS
def test_sigtstp_is_only_used_where_it_exists(modules: Modules, platform: str) -> None:
    installed: list[int] = []
    numbers = {"SIGINT": 2, "SIGTSTP": 20} if platform == "linux" else {"SIGINT": 2}
    modules.cut(
        "vllm/entrypoints/cli/openai.py",
        "_register_signal_handlers",
        sys=fake_sys(platform),
        signal=types.SimpleNamespace(signal=lambda number, _: installed.append(number), **numbers),
    )()
    assert installed == list(numbers.values())
