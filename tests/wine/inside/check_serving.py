"""A server on Windows: started by start.py, answering, stopped by the end of its input, or at once."""

from __future__ import annotations

import json
import socket
import sys
import time
from pathlib import Path

import httpx2
import psutil
import pytest

from winvllm_build import attended
from winvllm_build.attended import Attended
from winvllm_build.errors import UsageError
from winvllm_build.serving import port, target
from winvllm_build.serving.plan import START
from winvllm_build.serving.target import Candidate

ENGINE = Path(__file__).resolve().parents[2] / "serving_engine"
SECONDS = 60.0


def command(folder: Path, number: int) -> list[str]:
    start = [
        sys.executable,
        "-I",
        "-u",
        "-X",
        "utf8",
        str(START),
        "5",
        str(ENGINE),
        "vllm.entrypoints.cli.main",
    ]
    return [
        *start,
        "serve",
        str(folder),
        "--host",
        "127.0.0.1",
        "--port",
        str(number),
        "--served-model-name",
        "tiny",
    ]


def answering(child: Attended, url: str) -> None:
    end = time.monotonic() + SECONDS
    while True:
        try:
            assert httpx2.get(f"{url}/health", trust_env=False).status_code == 200
        except httpx2.HTTPError:
            assert time.monotonic() < end
            assert child.code() is None
            time.sleep(0.1)
        else:
            return


def ended(child: Attended) -> int:
    end = time.monotonic() + SECONDS
    while (code := child.code()) is None:
        assert time.monotonic() < end
        time.sleep(0.05)
    return code


def test_it_ends_in_order_when_its_input_does(tmp_path: Path) -> None:
    number = port.free("127.0.0.1", 0)
    with attended.attended(command(tmp_path, number)) as child:
        answering(child, f"http://127.0.0.1:{number}")
        with pytest.raises(UsageError, match="is taken"):
            port.free("127.0.0.1", number)
        child.close_input()
        assert ended(child) == 0
    assert (tmp_path / "asked").exists()
    assert port.free("127.0.0.1", number) == number


def test_one_that_does_not_stop_is_ended(tmp_path: Path) -> None:
    (tmp_path / "behaviour.json").write_text(json.dumps({"deaf": True}), encoding="utf-8")
    number = port.free("127.0.0.1", 0)
    with attended.attended(command(tmp_path, number)) as child:
        answering(child, f"http://127.0.0.1:{number}")
        child.close_input()
        assert ended(child) == 130  # after the five seconds that it was given
    with socket.socket() as tried:
        assert tried.connect_ex(("127.0.0.1", number)) != 0


@pytest.mark.parametrize("how", ["it is killed", "it crashes"])
def test_what_an_engine_started_ends_with_it(tmp_path: Path, how: str) -> None:
    """Its workers would keep the card's memory and the port."""
    (tmp_path / "behaviour.json").write_text(json.dumps({"child": True}), encoding="utf-8")
    number = port.free("127.0.0.1", 0)
    with attended.attended(command(tmp_path, number)) as child:
        answering(child, f"http://127.0.0.1:{number}")
        worker = psutil.Process(int((tmp_path / "child").read_text(encoding="ascii")))
        assert worker.is_running()
        if how == "it is killed":
            child.kill()
        else:
            child.child.kill()  # the engine alone, as a crash of its own would end it
            ended(child)
            assert worker.is_running()
    assert psutil.wait_procs([worker], timeout=SECONDS)[1] == []


def test_a_module_that_waits_ends_as_by_ctrl_c(tmp_path: Path) -> None:
    (tmp_path / "winvllm_waits.py").write_text("import time\nprint('up')\nwhile True: time.sleep(0.1)\n")
    words = [sys.executable, "-I", "-u", str(START), "5", str(tmp_path), "winvllm_waits"]
    with attended.attended(words) as child:
        assert child.read().split() == [b"up"]
        child.close_input()
        assert ended(child) == 130


def test_this_python_is_asked() -> None:
    found = target.ask(Candidate(python=Path(sys.executable), reason="here"))
    assert found.windows
    assert found.vllm is None
