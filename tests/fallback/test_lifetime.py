"""A server's start and end: signals, keys and names, a dead engine, and what keeps it from starting."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from tests.fallback.conftest import ARGUMENTS
from tests.fallback.served import MODULE, ROOT, environment, refused, served
from winvllm_build.fallback.errors import StartError
from winvllm_build.fallback.listening import bound

END_SECONDS = 60
CODE = """
from transformers import Qwen3ForCausalLM


class FragileForCausalLM(Qwen3ForCausalLM):
    def forward(self, input_ids=None, **more):
        if (input_ids == 42).any():
            raise RuntimeError("token 42 came")
        return super().forward(input_ids=input_ids, **more)
"""


@pytest.fixture
def fragile(model: Path, tmp_path: Path) -> Path:
    """The small model with Python of its own, which does not like token 42."""
    folder = tmp_path / "fragile"
    shutil.copytree(model, folder)
    (folder / "fragile.py").write_text(CODE, encoding="utf-8")
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    settings["auto_map"] = {"AutoModelForCausalLM": "fragile.FragileForCausalLM"}
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def test_a_dead_engine_is_reported_and_ends_the_process(
    interpreter: Path, fragile: Path, tmp_path: Path
) -> None:
    arguments: list[Path | str] = [fragile, *ARGUMENTS, "--trust-remote-code"]
    with (
        served(interpreter, tmp_path / "run", *arguments) as server,
        httpx2.Client(base_url=server.base, timeout=END_SECONDS) as client,
    ):
        body = {"model": "tiny", "temperature": 0, "ignore_eos": True, "max_tokens": 200, "stream": True}
        with client.stream("POST", "/v1/completions", json={**body, "prompt": [7]}) as response:
            lines = response.iter_lines()
            next(lines)
            died = httpx2.post(
                f"{server.base}/v1/completions",
                json={"model": "tiny", "prompt": [42], "max_tokens": 4},
                timeout=END_SECONDS,
            )
            rest = [line for line in lines if line]
        assert died.status_code == 500
        assert died.json()["error"]["type"] == "InternalServerError"
        assert died.json()["error"]["code"] == 500
        assert json.loads(rest[-2].removeprefix("data: "))["error"]["code"] == 500
        assert rest[-1] == "data: [DONE]"
        late = time.monotonic() + END_SECONDS
        while (health := client.get("/health").status_code) == 200 and time.monotonic() < late:
            time.sleep(0.01)  # the answer may come before the engine's thread has ended
        assert health == 503
        assert client.post("/v1/completions", json={"model": "tiny", "prompt": "x"}).status_code == 500
        assert server.popen.wait(END_SECONDS) == 70
        said = [line for line in server.text.splitlines() if "error" in line.lower()]
        assert len(said) == 1
        assert "token 42 came" in said[0]
        assert "Traceback" not in server.text


@pytest.mark.skipif(sys.platform == "win32", reason="a signal cannot be sent to another process there")
def test_sigterm_ends_a_busy_server_with_keys_and_other_names(
    interpreter: Path, model: Path, tmp_path: Path
) -> None:
    template, aliases = tmp_path / "shout.jinja", tmp_path / "names.json"
    template.write_text("{% for m in messages %}{{ m['content'] | upper }}{% endfor %}", encoding="utf-8")
    aliases.write_text(json.dumps({"my-model": str(model)}), encoding="utf-8")
    arguments: list[Path | str] = ["My-Model", "--alias-file", aliases, "--api-key", "one", "two"]
    arguments += ["--chat-template", template, "--max-num-seqs", "2"]
    with served(interpreter, tmp_path / "run", *arguments) as server:
        assert httpx2.get(f"{server.base}/health").status_code == 200
        assert httpx2.get(f"{server.base}/v1/models").status_code == 401
        headers = {"Authorization": "Bearer two"}
        with httpx2.Client(base_url=server.base, headers=headers, timeout=END_SECONDS) as client:
            names = [each["id"] for each in client.get("/v1/models").json()["data"]]
            assert names == ["My-Model", str(model)]
            chat = {"model": "My-Model", "messages": [{"role": "user", "content": "hello"}]}
            tokens = client.post("/tokenize", json=chat).json()["tokens"]
            assert client.post("/detokenize", json={"tokens": tokens}).json() == {"prompt": "HELLO"}
            found = client.post("/v1/completions", json={"model": str(model), "prompt": "x"}).json()
            assert found["model"] == "My-Model"
            asked = {"model": f"{model}/", "prompt": "hello", "max_tokens": 500, "ignore_eos": True}
            with client.stream("POST", "/v1/completions", json={**asked, "stream": True}) as response:
                next(response.iter_lines())
                server.process.send_signal(signal.SIGTERM)
                assert server.popen.wait(END_SECONDS) == 0
        assert "Traceback" not in server.text
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", int(server.base.rpartition(":")[2])))


@pytest.mark.skipif(sys.platform == "win32", reason="a signal cannot be sent to another process there")
def test_ctrl_c_ends_a_server_that_was_started_by_its_folder(
    interpreter: Path, model: Path, tmp_path: Path
) -> None:
    shutil.copytree(ROOT / "winvllm_build" / "fallback", tmp_path / "alone")
    with served(interpreter, tmp_path / "run", model, program=[tmp_path / "alone"]) as server:
        body = {"model": str(model), "prompt": "hello", "max_tokens": 4}
        found = httpx2.post(f"{server.base}/v1/completions", json=body, timeout=END_SECONDS)
        assert found.status_code == 200
        server.process.send_signal(signal.SIGINT)
        assert server.popen.wait(END_SECONDS) == 0
        assert "Traceback" not in server.text


@pytest.mark.skipif(sys.platform == "win32", reason="a signal cannot be sent to another process there")
def test_sigterm_ends_a_server_that_is_still_loading(interpreter: Path, model: Path, tmp_path: Path) -> None:
    command: list[Path | str] = [interpreter, *MODULE, model, "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE) as loading:
        assert loading.stderr is not None
        assert loading.stderr.readline().startswith(b"fallback: loading")
        loading.terminate()
        assert loading.wait(END_SECONDS) == 0
        assert loading.stderr.read() == b""


def one_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line and not line.startswith("fallback: loading")]
    assert len(lines) == 1, text
    assert lines[0].startswith("fallback: error: ")
    assert "(fix: " in lines[0]
    return lines[0]


def test_a_model_that_is_shorter_than_asked(interpreter: Path, model: Path, tmp_path: Path) -> None:
    status, text = refused(interpreter, tmp_path, model, "--port", "0", "--max-model-len", "4k")
    assert status == 1
    assert "--max-model-len 512" in one_line(text)


def test_python_of_a_model_is_not_run_unasked(interpreter: Path, fragile: Path, tmp_path: Path) -> None:
    settings = json.loads((fragile / "config.json").read_text(encoding="utf-8"))
    settings |= {"model_type": "fragile", "auto_map": {"AutoConfig": "fragile.FragileConfig"}}
    (fragile / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    status, text = refused(interpreter, tmp_path, fragile, "--port", "0")
    assert status == 1
    assert "--trust-remote-code" in one_line(text)


def test_half_a_file_of_weights_is_refused(interpreter: Path, model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "half"
    shutil.copytree(model, folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
    status, text = refused(interpreter, tmp_path, folder, "--port", "0")
    assert status == 1
    assert "SafetensorError" in one_line(text)


def test_a_model_that_cannot_make_a_token_is_never_ready(
    interpreter: Path, fragile: Path, tmp_path: Path
) -> None:
    code = fragile / "fragile.py"
    code.write_text(CODE.replace("== 42", ">= 0").replace("token 42 came", "nothing works"), encoding="utf-8")
    status, text = refused(interpreter, tmp_path, fragile, *ARGUMENTS, "--trust-remote-code", "--port", "0")
    assert status == 1
    assert "nothing works" in one_line(text)


def test_an_address_is_taken_once() -> None:
    with bound("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(StartError, match=f"127.0.0.1:{port} cannot be used"):
            bound("127.0.0.1", port)


def test_missing_packages_are_named_in_one_line(tmp_path: Path) -> None:
    status, text = refused(Path(sys.executable), tmp_path, tmp_path, "--port", "0")
    assert status == 3
    assert "is not installed in" in one_line(text)


def test_a_taken_port_is_said_before_anything_is_loaded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, text = refused(Path(sys.executable), tmp_path, tmp_path, "--port", str(port))
    assert status == 1
    assert f"127.0.0.1:{port} cannot be used" in one_line(text)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["model.gguf"], "GGUF"),
        ([str(Path("nothing").absolute())], "no such folder"),
        (["x", "--alias-file", "missing.json"], "missing.json"),
        (["x", "--host", "no.such.host.invalid"], "no.such.host.invalid"),
    ],
)
def test_a_start_that_cannot_be_is_refused_in_one_line(
    tmp_path: Path, arguments: list[str], word: str
) -> None:
    status, text = refused(Path(sys.executable), tmp_path, *arguments, "--port", "0")
    assert status == 1
    assert word in one_line(text)


@pytest.mark.parametrize(
    "arguments", [[], ["a", "--model", "b"], ["a", "--port", "70000"], ["a", "--max-model-len", "x"]]
)
def test_a_command_line_that_makes_no_sense(tmp_path: Path, arguments: list[str]) -> None:
    status, text = refused(Path(sys.executable), tmp_path, *arguments)
    assert status == 2
    assert "error:" in text.splitlines()[-1]
