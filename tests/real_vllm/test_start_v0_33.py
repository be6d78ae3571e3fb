"""What v0.33.0 does on the way from its command line to the first answer, on Windows and on Linux."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import hashlib
import io
import json
import os
import select
import socket
import stat
import sys
import tempfile
import types
import uuid
from collections.abc import Callable
from pathlib import Path, PureWindowsPath
from string import Template
from typing import Any, TextIO
from urllib.parse import urlsplit

import pytest

from tests.real_vllm.modules import BOTH_PLATFORMS, Modules, Recorder, execute, fake_sys
from winvllm_build.choices import SourceKind
from winvllm_build.patchset.apply import apply
from winvllm_build.patchset.patchset import load
from winvllm_build.sources.pins import read_pins
from winvllm_build.sources.source import acquire, worktree
from winvllm_build.workspace import Workspace, locked

pytestmark = pytest.mark.network
TAG = "v0.33.0"
LOCK_SECONDS = 300.0
FD_SETSIZE = 512
"""Of Python for Windows."""
ENVS = "vllm/envs.py"
RUN_BATCH = "vllm/entrypoints/launchers/run_batch.py"
STORES = "vllm/distributed/utils.py"


def unheard(event: str) -> None:
    assert event


@pytest.fixture(scope="module")
def start(checkout: Path, test_cache: Path) -> Modules:
    """The patched Python modules; tests only read them."""
    patch_set = load(checkout / "patches", TAG)
    state = hashlib.sha256((patch_set.folder / "patchset.lock").read_bytes()).hexdigest()[:12]
    folder = test_cache / "proofs" / f"{TAG}-{state}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_suffix(".lock"), str(folder), wait=LOCK_SECONDS):
        source = acquire(
            read_pins(patch_set.folder / "patchset.toml").upstream,
            kind=SourceKind.SDIST,
            location=None,
            workspace=Workspace(root=test_cache / "workspace"),
            offline=False,
            on_event=unheard,
        )
        apply(patch_set, worktree(source, folder), on_event=unheard)
    return Modules(root=folder)


def rust_path(start: Modules, platform: str) -> Callable[[], str | None]:
    package = start.path("vllm")
    return start.cut(
        ENVS,
        "_resolve_rust_cli_path",
        os=os,
        sys=fake_sys(platform),
        logger=Recorder(),
        __file__=str(package / "envs.py"),
    )


@BOTH_PLATFORMS
def test_the_rust_program_is_looked_for_by_its_name(
    start: Modules, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_USE_RUST_BENCH", "1")
    name = r"vllm-rs\.exe" if platform == "win32" else "vllm-rs"
    with pytest.raises(FileNotFoundError, match=rf"/{name}\."):
        rust_path(start, platform)()


@BOTH_PLATFORMS
def test_the_rust_front_end_is_refused_where_sockets_have_no_descriptors(
    start: Modules, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VLLM_USE_RUST_FRONTEND", "1")
    monkeypatch.setenv("VLLM_RUST_FRONTEND_PATH", sys.executable)
    resolve = rust_path(start, platform)
    if platform == "linux":
        assert resolve() == sys.executable
        return
    with pytest.raises(RuntimeError, match="Unset VLLM_USE_RUST_FRONTEND"):
        resolve()


class CodePage:
    """`open` where text is in a code page unless an encoding is given."""

    def __init__(self, code_page: str) -> None:
        self.code_page = code_page

    def __call__(self, file: str, encoding: str | None = None) -> TextIO:
        return Path(file).open(encoding=encoding or self.code_page)


@pytest.mark.parametrize("code_page", ["cp1252", "cp932", "cp936", "cp949"])
def test_traced_sources_are_hashed_whatever_the_code_page_is(start: Modules, code_page: str) -> None:
    source = start.path("vllm/model_executor/models/qwen3_vl.py")

    def contents(platform: str) -> dict[str, str]:
        hashed = start.cut(
            "vllm/compilation/caching.py",
            "_compute_code_hash",
            os=os,
            sys=fake_sys(platform),
            open=CodePage(code_page),
            logger=Recorder(),
            _compute_code_hash_with_content=dict,
        )
        found: dict[str, str] = hashed({str(source)})
        return found

    assert contents("win32") == {str(source): source.read_text(encoding="utf-8")}
    if code_page != "cp1252":
        with pytest.raises(UnicodeDecodeError):
            contents("linux")


def test_a_json_file_in_a_variable_is_read_in_utf8(start: Modules, tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"name": "Łódź 上海"}', encoding="utf-8")
    read = start.cut(
        ENVS,
        "maybe_convert_json_str_or_file",
        os=os,
        sys=fake_sys("win32"),
        json=json,
        open=CodePage("cp1252"),
    )
    assert read(str(file)) == {"name": "Łódź 上海"}


@BOTH_PLATFORMS
def test_results_that_are_uploaded_can_be_opened_by_their_name(
    start: Modules, tmp_path: Path, platform: str
) -> None:
    once: list[str] = []

    def open_once(prefix: str, **_: object) -> contextlib.AbstractContextManager[None]:
        once.append(prefix)
        return contextlib.nullcontext()

    names = {
        "contextlib": contextlib,
        "sys": fake_sys(platform),
        "tempfile": types.SimpleNamespace(
            NamedTemporaryFile=open_once, TemporaryDirectory=tempfile.TemporaryDirectory
        ),
        "Path": Path,
        "StringIO": io.StringIO,
        "IO": dict,
    }
    body = ast.parse(start.text(RUN_BATCH)).body
    wanted: list[ast.stmt] = [
        node
        for node in body
        if "def staging_file" in ast.unparse(node) or "def _reopenable_file" in ast.unparse(node)
    ]
    staging_file = execute(wanted, RUN_BATCH, names)["staging_file"]
    assert isinstance(staging_file(None, "tmp_"), io.StringIO)
    with staging_file(str(tmp_path), "tmp_") as file:
        assert once == ([] if platform == "win32" else ["tmp_"])
        if platform == "win32":
            file.write("ł\n")
            file.flush()
            assert Path(file.name).read_bytes() == "ł\n".encode()
    assert list(tmp_path.iterdir()) == []


@BOTH_PLATFORMS
def test_stores_are_made_without_libuv_on_windows(start: Modules, platform: str) -> None:
    made: list[dict[str, object]] = []

    def store(*_: object, **options: object) -> None:
        made.append(options)

    names: dict[str, object] = {"sys": fake_sys(platform), "TCPStore": store}
    create = start.cut(STORES, "create_tcp_store", **names)
    client = start.cut(STORES, "get_cached_tcp_store_client", create_tcp_store=create, **names)
    create("host", 1, world_size=2)
    create("host", 1, use_libuv=True)
    client("host", 1)
    wanted = [False, True, False] if platform == "win32" else [None, True, None]
    assert [options.get("use_libuv") for options in made] == wanted


def test_the_file_of_a_group_has_an_address_that_pytorch_reads(
    start: Modules, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = start.cut(
        "vllm/utils/network_utils.py",
        "get_file_store_init_method",
        sys=fake_sys("win32"),
        tempfile=types.SimpleNamespace(gettempdir=lambda: "C:\\Users\\a b\\Temp"),
        uuid4=uuid.uuid4,
    )
    with monkeypatch.context() as on_windows:
        on_windows.setattr("pathlib.Path", PureWindowsPath)
        address = urlsplit(method())
    assert (address.scheme, address.netloc) == ("file", "")
    assert address.path.startswith("/C:/Users/a%20b/Temp/vllm_dist_")


@BOTH_PLATFORMS
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_the_logo_is_left_out_where_stdout_cannot_take_it(
    start: Modules, platform: str, encoding: str
) -> None:
    lines: list[str] = []
    log = start.cut(
        "vllm/entrypoints/common/startup.py",
        "log_version_and_model",
        sys=fake_sys(platform, stdout=types.SimpleNamespace(encoding=encoding)),
        envs=types.SimpleNamespace(VLLM_DISABLE_LOG_LOGO=False),
        current_formatter_type=lambda _: "newline",
        Template=Template,
    )
    log(types.SimpleNamespace(info=lambda text, *_: lines.append(text)), "0.33.0", "model")
    [line] = lines
    assert ("█" in line) == (platform == "linux" or encoding == "utf-8")


@BOTH_PLATFORMS
def test_an_expired_medium_is_replaced(start: Modules, tmp_path: Path, platform: str) -> None:
    def rename(source: str, target: str) -> None:
        if platform == "win32" and Path(target).exists():
            raise FileExistsError(target)
        Path(source).replace(target)

    put = start.cut(
        "vllm/multimodal/media/connector.py",
        "MediaConnector._put_cached_bytes",
        os=types.SimpleNamespace(rename=rename, replace=os.replace, remove=os.remove),
        sys=fake_sys(platform),
        tempfile=tempfile,
        contextlib=contextlib,
    )
    cache = types.SimpleNamespace(
        _media_cache_dir=str(tmp_path),
        _media_cache_path=lambda url: tmp_path / url,
        _maybe_evict=Recorder().evict,
    )
    (tmp_path / "image").write_bytes(b"old")
    put(cache, "image", b"new")
    assert (tmp_path / "image").read_bytes() == b"new"


def test_the_rust_benchmark_is_waited_for(start: Modules, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    program = tmp_path / "vllm-rs"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {seen}\nexit 7\n', encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    run = start.cut(
        "vllm/entrypoints/cli/benchmark/main.py",
        "maybe_exec_rust_bench",
        sys=fake_sys("win32", argv=["vllm", "bench", "serve", "--model", "a b"], exit=sys.exit),
        envs=types.SimpleNamespace(VLLM_USE_RUST_BENCH=True, VLLM_RUST_FRONTEND_PATH=str(program)),
        logger=Recorder(),
        os=Recorder(),
    )
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 7
    assert seen.read_text(encoding="utf-8").splitlines() == ["bench", "serve", "--model", "a b"]


def test_images_of_a_data_set_have_addresses_that_are_loaded_again(start: Modules) -> None:
    process = start.cut(
        "vllm/benchmarks/datasets/datasets.py",
        "process_video",
        sys=fake_sys("win32"),
        Path=type("Local", (PureWindowsPath,), {"absolute": lambda self: self}),
        Any=Any,
        Mapping=dict,
    )
    assert process("C:\\my films\\a.mp4")["video_url"]["url"] == "file:///C:/my%20films/a.mp4"
    assert process("http://a/b.mp4")["video_url"]["url"] == "http://a/b.mp4"


def test_why_a_model_is_not_imported_is_told_in_any_language(
    start: Modules, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = "DLL load failed: Le module spécifié est introuvable.".encode("cp1252")

    class Failed:
        stderr = message

        def check_returncode(self) -> None:
            raise OSError(1)

    inspect_model = start.cut(
        "vllm/model_executor/models/registry.py",
        "_run_in_subprocess",
        os=os,
        sys=fake_sys("win32"),
        tempfile=tempfile,
        subprocess=types.SimpleNamespace(run=lambda *_, **__: Failed()),
        _SUBPROCESS_COMMAND=[],
    )
    monkeypatch.setitem(sys.modules, "cloudpickle", types.SimpleNamespace(dumps=lambda _: b""))
    with pytest.raises(RuntimeError, match="DLL load failed: Le module"):
        inspect_model(lambda: None)


def few_at_once(
    readers: set[int], writers: set[int], failed: set[int], timeout: float | None
) -> list[list[int]]:
    """`select.select` of Windows, with its limit."""
    if max(map(len, (readers, writers, failed))) > FD_SETSIZE:
        raise ValueError("too many file descriptors in select()")
    asked = select.poll()
    for number in set(readers) | set(writers):
        asked.register(number, select.POLLIN * (number in readers) | select.POLLOUT * (number in writers))
    events = asked.poll(None if timeout is None else timeout * 1000)
    return [
        [socket for socket, event in events if event & wanted]
        for wanted in (select.POLLIN, select.POLLOUT, 0)
    ]


@pytest.mark.parametrize("pairs", [1, 300])
def test_more_sockets_are_watched_than_select_takes(
    start: Modules, pairs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    compat = start.load("vllm/utils/uvloop_compat.py", "many_sockets_v0_33")
    monkeypatch.setattr(compat, "select", types.SimpleNamespace(select=few_at_once))

    async def watch(sockets: list[socket.socket]) -> socket.socket:
        loop = asyncio.get_running_loop()
        heard: asyncio.Future[socket.socket] = loop.create_future()

        def hear(each: socket.socket) -> None:
            if not heard.done():
                heard.set_result(each)

        for each in sockets:
            loop.add_reader(each, hear, each)
        loop.call_later(0.05, sockets[0].send, b"x")
        found = await asyncio.wait_for(heard, 10)
        for each in sockets:
            loop.remove_reader(each)
        await asyncio.sleep(0.01)
        return found

    with contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(each) for _ in range(pairs) for each in socket.socketpair()]
        assert compat.run(watch(sockets)) is sockets[1]


def test_the_batch_runner_gets_a_loop_that_watches_sockets(start: Modules) -> None:
    compat = start.load("vllm/utils/uvloop_compat.py", "uvloop_compat_v0_33")

    async def loop_of() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    assert isinstance(compat.run(loop_of()), asyncio.SelectorEventLoop)
