"""The emulation itself: what a module of vLLM sees of Windows, and that nobody else sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.winsim.trees import EMULATION

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows is emulated where it is not")


def answer(tmp_path: Path, statements: str, *, emulated: bool = True, package: str = "vllm") -> object:
    """What `statements` leave in `answer`, as a module of `package`."""
    folder = tmp_path / package
    folder.mkdir(exist_ok=True)
    (folder / "__init__.py").touch()
    (folder / "asks.py").write_text(f"{statements}\n", encoding="utf-8")
    program = f"import json; from {package} import asks; print(json.dumps(asks.answer))"
    path = os.pathsep.join(map(str, (EMULATION, tmp_path)))
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path, "WINSIM": str(int(emulated))},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    return json.loads(ended.stdout) if ended.returncode == 0 else ended.stderr.splitlines()[-1]


PLATFORM = "import os, platform, sys\nanswer = [sys.platform, os.name, platform.system()]"


def test_vllm_is_on_windows_and_nobody_else(tmp_path: Path) -> None:
    linux = [sys.platform, os.name, "Linux"]
    assert answer(tmp_path, PLATFORM) == ["win32", "nt", "Windows"]
    assert answer(tmp_path, PLATFORM, package="vllm_like") == linux
    assert answer(tmp_path, PLATFORM, emulated=False) == linux


def test_the_standard_library_stays_as_it_is(tmp_path: Path) -> None:
    asked = "import sys, logging, shutil\nanswer = [shutil.os.name, logging.sys.platform]"
    assert answer(tmp_path, asked) == ["posix", sys.platform]


SAID = {
    "from sys import platform as answer": "win32",
    "from os import name as answer": "nt",
    "import os.path\nanswer = os.name": "nt",
    "import os.path as path\nanswer = [path.exists('/proc/self/maps'), path.isfile('asks')]": [False, False],
    "import signal\nanswer = [hasattr(signal, 'SIGKILL'), hasattr(signal, 'SIGTERM')]": [False, True],
    "import socket\nanswer = getattr(socket, 'AF_UNIX', 'none')": "none",
    "import importlib.util\nanswer = importlib.util.find_spec('fcntl')": None,
    "import ctypes.util\nanswer = ctypes.util.find_library('c')": None,
    "import multiprocessing as m\nanswer = [m.get_start_method(), m.get_context().get_start_method()]": [
        "spawn"
    ]
    * 2,
    "from multiprocessing import Process\nanswer = Process.__name__": "SpawnProcess",
    "from multiprocessing import shared_memory\nanswer = 'SharedMemory' in dir(shared_memory)": True,
    "import os\nos.environ['A'] = '1'\nanswer = os.environ['A']": "1",
    "import msvcrt\nanswer = msvcrt.LK_NBLCK": 2,
    "import sys\nsys.winsim_test = 1\nimport sys as again\nanswer = again.winsim_test": 1,
    "import pickle, os\nanswer = pickle.loads(pickle.dumps(os)).name": "posix",
}


@pytest.mark.parametrize("statements", SAID)
def test_what_windows_says(tmp_path: Path, statements: str) -> None:
    assert answer(tmp_path, statements) == SAID[statements]


REFUSED = {
    "import fcntl": "ModuleNotFoundError: No module named 'fcntl'",
    "from resource import getrlimit": "ModuleNotFoundError: No module named 'resource'",
    "import uvloop as loop": "ModuleNotFoundError: No module named 'uvloop'",
    "import importlib\nimportlib.import_module('pwd')": "ModuleNotFoundError: No module named 'pwd'",
    "import os\nos.fork()": "AttributeError: module 'os' has no attribute 'fork'",
    "from os import killpg": "ImportError: cannot import name 'killpg' from 'os'",
    "from signal import SIGQUIT": "ImportError: cannot import name 'SIGQUIT' from 'signal'",
    "import signal\nsignal.signal(signal.SIGUSR1, None)": "AttributeError: module 'signal' has no",
    "import signal\nsignal.signal(10, signal.SIG_IGN)": "ValueError: invalid signal value",
    "import multiprocessing\nmultiprocessing.get_context('fork')": "ValueError: cannot find context for",
    "import subprocess\nsubprocess.Popen('x', preexec_fn=print)": "ValueError: preexec_fn is not supported",
    "import subprocess\nsubprocess.run('x', preexec_fn=print)": "ValueError: preexec_fn is not supported",
    "import ctypes\nctypes.CDLL('libc.so.6')": "FileNotFoundError: Could not find module 'libc.so.6'",
    "open('/proc/self/maps')": "FileNotFoundError: [Errno 2]",
    "import os\nos.mkdir('a')\nos.mkdir('b')\nos.rename('a', 'b')": "FileExistsError: [Errno 17]",
    "open('t', 'wb').write(b'\\x9d')\nopen('t').read()": "UnicodeDecodeError: 'charmap' codec",
    "import os\nos.kill(os.getpid(), 0)": "OSError: [Errno 22]",
    "import asyncio\nasyncio.new_event_loop().add_signal_handler(2, print)": "NotImplementedError",
    "import asyncio\nasyncio.SelectorEventLoop().add_signal_handler(2, print)": "NotImplementedError",
    "import asyncio\nasyncio.new_event_loop().add_reader(0, print)": "NotImplementedError",
}


@pytest.mark.parametrize("statements", REFUSED)
def test_what_windows_refuses(tmp_path: Path, statements: str) -> None:
    found = answer(tmp_path, f"{statements}\nanswer = 1")
    assert isinstance(found, str)
    assert found.startswith(REFUSED[statements])
    assert answer(tmp_path, "answer = 1", emulated=False) == 1


def test_a_selector_loop_watches_sockets(tmp_path: Path) -> None:
    asked = "import asyncio, os\nloop = asyncio.SelectorEventLoop()\nloop.add_reader(os.pipe()[0], print)"
    assert answer(tmp_path, f"{asked}\nanswer = 1") == 1


def test_who_asked_is_known(tmp_path: Path) -> None:
    asked = (
        "import os, sys\nfrom winsim.finder import ASKED\n"
        "found = sys.platform, hasattr(os, 'fork')\nanswer = sorted(map(list, ASKED))"
    )
    assert answer(tmp_path, asked) == [["vllm.asks", "os.fork"], ["vllm.asks", "sys.platform"]]


def test_spawned_processes_are_on_windows_too(tmp_path: Path) -> None:
    asked = (
        "import subprocess, sys\nprogram = 'from vllm import other; print(other.name)'\n"
        "answer = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True).stdout"
    )
    (tmp_path / "vllm").mkdir()
    (tmp_path / "vllm" / "other.py").write_text("from os import name\n", encoding="utf-8")
    assert answer(tmp_path, asked) == "nt\n"
