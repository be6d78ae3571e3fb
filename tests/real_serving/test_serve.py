"""`serve` runs a real process with a real server: ready, stopped in every way, and its failures."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.serving import CHECKOUT, END_SECONDS, TOOL, environment_with, model, tool
from winvllm_build.serving.plan import START

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX; what is Windows' is in tests/wine")


def is_free(url: str) -> bool:
    """Whether somebody else can listen there at once."""
    address = httpx2.URL(url)
    with contextlib.closing(socket.socket()) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((address.host, address.port or 0))
        except OSError:
            return False
        return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_serves_and_stops(engine_python: Path, tmp_path: Path, number: int) -> None:
    folder = model(tmp_path / "Tiny Model", child=True)
    with tool(tmp_path / "run", "serve", folder, "--python", engine_python, "--port", "0") as running:
        url = running.url()
        family = running.family()
        named = [m["id"] for m in httpx2.get(f"{url}/v1/models").json()["data"]]
        assert named == ["Tiny Model", str(folder)]
        assert running.stop(number) == 0
        assert running.printed.count("ready:") == 1
        assert "naïve 你好 loading\r50 %\r100 %" in running.told  # as it was printed
        assert "ended in order" in running.told
        assert (folder / "asked").exists()
        assert psutil.wait_procs(family, timeout=END_SECONDS)[1] == []  # its child too
        assert len(family) == 2
        assert is_free(url)


def test_the_environment_of_the_server(engine_python: Path, tmp_path: Path) -> None:
    folder = model(tmp_path / "tiny")
    words = ("serve", folder, "--python", engine_python, "--port", "0", "--api-key", "secret-of-mine")
    outside = {"PYTHONUTF8": "0", "PYTHONPATH": os.pathsep.join((str(tmp_path), str(Path.cwd())))}
    with tool(tmp_path / "run", *words, variables=outside) as running:
        url = running.url()
        assert httpx2.get(f"{url}/environment").status_code == 401
        found = httpx2.get(f"{url}/environment", headers={"Authorization": "Bearer secret-of-mine"}).json()
        assert "secret-of-mine" not in running.told + running.printed
        commands = [" ".join(member.cmdline()) for member in running.family()]
        assert not any("secret-of-mine" in command for command in commands)
        assert running.stop() == 0
    assert found["VLLM_API_KEY"] == "secret-of-mine"
    assert found["PYTHONUTF8"] == "0"  # as the user has it
    assert found["CUDA_DEVICE_ORDER"] == "PCI_BUS_ID"
    assert "PYTHONPATH" not in found
    assert "VLLM_ENABLE_V1_MULTIPROCESSING" not in found  # Windows' alone


def test_the_second_ctrl_c_ends_it_at_once(engine_python: Path, tmp_path: Path) -> None:
    folder = model(tmp_path / "tiny", deaf=True, child=True)
    with tool(tmp_path / "run", "serve", folder, "--python", engine_python, "--port", "0") as running:
        url = running.url()
        family = running.family()
        running.popen.send_signal(signal.SIGINT)
        running.wait_for((folder / "asked").exists)
        assert running.stop() == 130
        assert "ended at once" in running.told
        assert psutil.wait_procs(family, timeout=END_SECONDS)[1] == []
        assert is_free(url)


def test_a_server_outlives_the_reader_of_its_output(engine_python: Path, tmp_path: Path) -> None:
    """`serve ... 2>&1 | head -1`: what is printed goes nowhere, and the engine does not block on it."""
    folder = model(tmp_path / "tiny", chatty=3 << 20)
    words = [sys.executable, "-c", TOOL, "serve", str(folder), "--python", str(engine_python), "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as popen:
        assert popen.stderr is not None
        assert popen.stdout is not None
        popen.stderr.readline()
        popen.stderr.close()
        url = popen.stdout.readline().decode().split()[1]
        assert httpx2.get(f"{url}/models").status_code == 200
        popen.send_signal(signal.SIGINT)
        popen.wait(END_SECONDS)
    assert (folder / "asked").exists()


def test_a_killed_tool_leaves_no_server(engine_python: Path, tmp_path: Path) -> None:
    folder = model(tmp_path / "tiny")
    with tool(tmp_path / "run", "serve", folder, "--python", engine_python, "--port", "0") as running:
        url = running.url()
        family = running.family()
        running.stop(signal.SIGKILL)
        assert psutil.wait_procs(family, timeout=END_SECONDS)[1] == []
        assert (folder / "asked").exists()  # it ended in order
        assert is_free(url)


def test_a_stop_before_it_is_up(tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    (slow / "vllm" / "entrypoints" / "cli").mkdir(parents=True)
    for at in ("vllm", "vllm/entrypoints", "vllm/entrypoints/cli"):
        (slow / at / "__init__.py").touch()
    (slow / "vllm/entrypoints/cli/main.py").write_text("import time; print('loading'); time.sleep(600)")
    engine = environment_with(tmp_path / "env", slow)
    with tool(tmp_path / "run", "serve", model(tmp_path / "m"), "--python", engine, "--port", "0") as running:
        running.wait_for(lambda: "loading" in running.told)
        assert running.stop() == 0
    assert "Traceback" not in running.told
    assert "ready:" not in running.printed


@pytest.mark.parametrize(
    ("dies", "words"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried", "--gpu-memory-utilization"),
        ("what nobody knows", "did not start (exit code 1)"),
    ],
)
def test_an_engine_that_does_not_start(engine_python: Path, tmp_path: Path, dies: str, words: str) -> None:
    folder = model(tmp_path / "tiny", dies=dies)
    with tool(tmp_path / "run", "serve", folder, "--python", engine_python, "--port", "0") as running:
        assert running.popen.wait(END_SECONDS) == 18
    assert words in running.told
    assert "fix: " in running.told


def test_a_flag_that_the_engine_does_not_know(engine_python: Path, tmp_path: Path) -> None:
    words = ("serve", model(tmp_path / "tiny"), "--python", engine_python, "--port", "0", "--")
    with tool(tmp_path / "run", *words, "--no-such-flag", "3") as running:
        assert running.popen.wait(END_SECONDS) == 2
    assert "unrecognized arguments: --no-such-flag 3" in running.told
    assert "fix: vllm serve --help" in running.told


def test_an_engine_that_is_killed_later(engine_python: Path, tmp_path: Path) -> None:
    folder = model(tmp_path / "tiny")
    with tool(tmp_path / "run", "serve", folder, "--python", engine_python, "--port", "0") as running:
        running.url()
        running.family()[0].kill()
        assert running.popen.wait(END_SECONDS) == 18
    assert "ended by itself (signal 9)" in running.told


def test_a_module_of_another_folder_is_started_last_in_line(tmp_path: Path) -> None:
    """The fallback engine: the environment's own modules come first, and it gets its words."""
    package = tmp_path / "apart" / "winvllm_probe"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    text = "import json, sys; print(json.dumps([sys.argv[1:], sys.path[-1], sys.stdin.read()]))"
    (package / "__main__.py").write_text(text)
    (package.parent / "json.py").write_text("raise ImportError")
    words = ["-I", str(START), "5", str(package.parent), "winvllm_probe", "--model", "a b"]
    with subprocess.Popen([sys.executable, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as popen:
        assert popen.stdout is not None
        found = json.loads(popen.stdout.read())
    assert found == [["--model", "a b"], str(package.parent), ""]
