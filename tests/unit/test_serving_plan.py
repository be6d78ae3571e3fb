"""What `serve` would start: settings by precedence, command, variables; every refusal before a start."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kv_caches import model as caches_model
from tests.serving_plans import BARE, CARD, HOST, LINUX, NO_CARD, ONE, WINDOWS, WITH_GLOO, made, profile
from winvllm_build.errors import ToolchainError, UsageError
from winvllm_build.fallback import options as fallback_options
from winvllm_build.runtime import stated
from winvllm_build.serving import choice, environment, port, target, values
from winvllm_build.serving.options import EngineKind, Options
from winvllm_build.serving.plan import Plan
from winvllm_build.serving.target import Candidate, Target
from winvllm_build.serving.values import Machine
from winvllm_build.shells import of_system, typed

ALL = "0.0.0.0"  # noqa: S104 - bound for a moment, to be warned of


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return caches_model(tmp_path / "Qwen-Tiny").folder


def shown(found: Plan) -> dict[str, object]:
    return {flag: setting.value for flag, setting in found.settings.items()}


def test_the_launchers_defaults_without_a_card(folder: Path) -> None:
    found = made(folder)
    assert found.host == "127.0.0.1"
    assert shown(found) == {
        "gpu-memory-utilization": 0.6, "max-model-len": "auto", "max-num-seqs": 64, "dtype": "auto",
        "enforce-eager": False, "kv-cache-dtype": "auto",
    }  # fmt: skip
    assert found.plain_command == (
        "vllm", "serve", str(folder), "--served-model-name", "Qwen-Tiny", str(folder), "--host", "127.0.0.1",
        "--port", str(found.port), "--gpu-memory-utilization", "0.6", "--max-num-seqs", "64",
    )  # fmt: skip
    assert "no NVIDIA card can be seen" in found.notes[0]


def test_a_card_decides_and_then_a_profile_and_then_flags(folder: Path, tmp_path: Path) -> None:
    computed = made(folder, machine=ONE)
    assert "RTX 3060" in computed.settings["gpu-memory-utilization"].reason
    assert computed.settings["max-model-len"].value != "auto"
    own = profile(tmp_path, "gpu_memory_utilization = 0.5", "max_num_seqs = 3", "enforce_eager = true")
    layered = made(folder, machine=ONE, profile=own, max_num_seqs=9)
    assert layered.settings["gpu-memory-utilization"].value == 0.5
    assert "my.toml:2" in layered.settings["gpu-memory-utilization"].reason
    assert layered.settings["max-num-seqs"].value == 9
    assert layered.settings["max-model-len"] == computed.settings["max-model-len"]
    assert "--enforce-eager" in layered.arguments


def test_what_is_passed_on_wins_and_is_said_once(folder: Path) -> None:
    passed = ("--max_num_seqs=5", "--seed", "-1", "--port", "0", "--enforce-eager")
    found = made(folder, machine=ONE, port=None, max_num_seqs=7, passed=passed)
    assert found.arguments[-6:-2] == ("--max_num_seqs=5", "--seed", "-1", "--port")
    assert found.arguments[-2] == str(found.port) != "0"
    assert found.arguments.count("--port") == 1
    assert "--max-num-seqs" not in found.arguments
    assert shown(found)["enforce-eager"] is True
    assert shown(found)["max-num-seqs"] == "5"


def test_what_is_passed_on_is_what_is_told(folder: Path) -> None:
    passed = ("--served-model-name", "a", "b", "--host=127.0.0.2", "--config", "c.yaml", "--no-enforce-eager")
    found = made(folder, host=ALL, served_model_name=("x",), enforce_eager=True, passed=passed)
    assert (found.served.names, found.host, found.url) == (
        ("a", "b"), "127.0.0.2", f"http://127.0.0.2:{found.port}",
    )  # fmt: skip
    assert any("of c.yaml counts only" in note for note in found.notes)
    assert not any("whoever" in note for note in found.notes)
    assert "--enforce-eager" not in found.arguments
    assert found.settings["enforce-eager"].value is False


def test_secrets_that_are_passed_on_are_not_shown(folder: Path) -> None:
    passed = ("--api-key", "one", "two", "--hf_token=three", "--seed", "-1", "--ssl-keyfile-password", "four")
    found = made(folder, passed=passed)
    hidden = ("--api-key", "***", "***", "--hf_token=***", "--seed", "-1", "--ssl-keyfile-password", "***")
    assert found.plain_command[-8:] == hidden
    assert tuple(found.as_data()["command"][-8:]) == hidden
    assert found.command[-8:] == passed


def test_windows_needs_more_variables(folder: Path) -> None:
    here = made(folder, found=WINDOWS, inherited={"PYTHONUTF8": "0"}).variables
    assert {name: here[name].value for name in environment.WINDOWS} == {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0", "VLLM_HOST_IP": "127.0.0.1", "USE_LIBUV": "0",
        "HF_HUB_DISABLE_SYMLINKS_WARNING": "1",
    }  # fmt: skip
    assert "PYTHONUTF8" not in here  # as the user has it
    assert not set(environment.WINDOWS).intersection(made(folder).variables)
    whole = environment.complete({"PATH": "p", "PYTHONHOME": "x"}, here)
    assert whole["PATH"] == "p"
    assert "PYTHONHOME" not in whole


def test_on_windows_the_installed_triton_decides(folder: Path) -> None:
    windows = Machine(cards=(CARD,), host=dataclasses.replace(HOST, windows=True))
    assert made(folder, found=WINDOWS, machine=windows).settings["enforce-eager"].value is True
    with_triton = dataclasses.replace(WINDOWS, triton=True)
    assert made(folder, found=with_triton, machine=windows).settings["enforce-eager"].value is False


def test_no_vllm_means_the_fallback(folder: Path) -> None:
    found = made(folder, found=BARE, api_key="k", kv_cache_dtype="fp8")
    assert found.engine is EngineKind.TRANSFORMERS
    assert "k" not in found.command
    assert found.variables["VLLM_API_KEY"].value == "k"
    assert found.as_data()["environment"]["VLLM_API_KEY"] == "***"
    assert found.arguments[:2] == ("--model", str(folder))
    assert not {"--enforce-eager", "--kv-cache-dtype", "--max-num-seqs"}.intersection(found.arguments)
    assert any("--kv-cache-dtype" in note for note in found.notes)


@pytest.mark.parametrize(
    ("found", "engine", "words"),
    [
        (BARE, EngineKind.VLLM, "has no vLLM"),
        (
            dataclasses.replace(BARE, packages={"torch": "2"}),
            None,
            "no vLLM, nor fastapi, jinja2",
        ),
        (dataclasses.replace(LINUX, packages={}), EngineKind.TRANSFORMERS, "has no fastapi, jinja2"),
    ],
)
def test_a_python_without_the_engine(
    folder: Path, found: Target, engine: EngineKind | None, words: str
) -> None:
    with pytest.raises(ToolchainError, match=words) as caught:
        made(folder, found=found, engine=engine)
    assert "--python" in str(caught.value.fix)


def test_what_is_missing_can_be_typed_as_it_is_told(folder: Path) -> None:
    old = {**BARE.packages, "transformers": "5.19.9", "torch": None}
    place = Path("/a b/python")
    with pytest.raises(ToolchainError, match=r"no vLLM, nor torch, transformers>=5\.20") as caught:
        made(folder, found=dataclasses.replace(BARE, packages=old, python=place))
    uv = ["uv", "pip", "install", "--python", str(place), "torch", "transformers>=5.20,<6"]
    assert typed(uv, of_system())[-1] in str(caught.value.fix)
    windows = dataclasses.replace(BARE, packages={**old, "pip": "25"}, python=place, windows=True)
    with pytest.raises(ToolchainError) as caught:
        made(folder, found=windows)
    pip = [str(place), "-m", "pip", "install", "transformers>=5.20,<6"]
    assert typed(pip, of_system())[-1] in str(caught.value.fix)
    assert "without CUDA" in str(caught.value.fix)


@pytest.mark.parametrize(
    ("options", "found", "machine", "words"),
    [
        ({"tensor_parallel_size": 2}, LINUX, ONE, "2 cards, and 1 card can be seen"),
        ({"passed": ("-tp", "2")}, LINUX, NO_CARD, "2 cards, and no card can be seen"),
        ({"tensor_parallel_size": 2}, WINDOWS, ONE, "without Gloo"),
        ({"tensor_parallel_size": 2}, WITH_GLOO, ONE, "a plugin that"),
        ({"tensor_parallel_size": 2}, BARE, ONE, "on one card"),
        ({"passed": ("-pp", "2", "-dp=2")}, LINUX, ONE, "size 2: that is 4 cards"),
        ({"tensor_parallel_size": 1, "passed": ("-tp", "2")}, LINUX, ONE, "that is 2 cards"),
        ({"passed": ("-pp", "2")}, WINDOWS, ONE, "without Gloo"),
        ({"tensor_parallel_size": 0}, LINUX, ONE, "at least 1"),
        ({"passed": ("--tensor-parallel-size=x",)}, LINUX, ONE, "at least 1"),
        ({"passed": ("--uds", "x.sock")}, LINUX, ONE, "--uds is not for this"),
        ({"port": 70000}, LINUX, ONE, "is no port"),
        ({"port": None, "passed": ("--port", "http")}, LINUX, ONE, "is no number"),
        ({"host": "no.such.host.invalid"}, LINUX, ONE, "is no address"),
        ({"host": "a..b"}, LINUX, ONE, "is no address"),
        ({"host": "192.0.2.1"}, LINUX, ONE, "is no address of this machine"),
        ({"gpu_memory_utilization": 60.0}, LINUX, ONE, "60.0 is no share"),
        ({"max_model_len": "4k5"}, LINUX, ONE, "neither a number"),
        ({"max_num_seqs": 0}, LINUX, ONE, "less than 1"),
        ({"dtype": "float8"}, LINUX, ONE, r'"float8" is none of auto, .*; did you mean "float32"\?'),
    ],
)
def test_what_cannot_be_is_refused(
    folder: Path, options: dict[str, Any], found: Target, machine: Machine, words: str
) -> None:
    with pytest.raises(UsageError, match=words) as caught:
        made(folder, found=found, machine=machine, **options)
    assert caught.value.fix


def test_all_wrong_values_at_once() -> None:
    with pytest.raises(UsageError, match=r"(?s)utilization.*max-num-seqs.*dtype"):
        Options(gpu_memory_utilization=2.0, max_num_seqs=-1, dtype="x").given()


@pytest.mark.parametrize(
    ("text", "tokens"), [("4096", 4096), ("32K", 32768), ("32k", 32000), ("auto", "auto")]
)
def test_lengths_as_vllm_reads_them(text: str, tokens: object) -> None:
    assert Options(max_model_len=text).given() == {"max_model_len": tokens}


def test_two_cards_compute_together(folder: Path) -> None:
    second = stated.gpu("RTX 3060,8GB,8.6", index=1, windows=False)
    found = made(folder, machine=Machine(cards=(CARD, second), host=HOST), tensor_parallel_size=2)
    assert found.arguments[-2:] == ("--tensor-parallel-size", "2")
    assert "8.0 GiB" in found.settings["gpu-memory-utilization"].reason  # the smaller of the two
    relayed = dataclasses.replace(WITH_GLOO, packages={target.RELAY: "1"})
    windows = made(
        folder, found=relayed, machine=Machine(cards=(CARD, second), host=HOST), passed=("-tp", "2")
    )
    assert windows.variables["WINVLLM_RELAY"].value == "1"
    assert "--enforce-eager" in windows.arguments
    assert "main memory" in windows.settings["enforce-eager"].reason
    with pytest.raises(UsageError, match="--no-enforce-eager"):
        made(
            folder, found=relayed, machine=Machine(cards=(CARD, second), host=HOST),
            tensor_parallel_size=2, enforce_eager=False,
        )  # fmt: skip
    assert "WINVLLM_RELAY" not in found.variables
    alone = made(folder, machine=Machine(cards=(CARD, second), host=HOST))
    assert "12.0 GiB" in alone.settings["gpu-memory-utilization"].reason  # the first, which it will be


@pytest.mark.parametrize(
    ("said", "indexes"),
    [(None, [0, 1]), ("1,0", [1, 0]), ("1", [1]), ("", []), ("-1", []), ("0,7,1", [0]), ("GPU-b", [1])],
)
def test_the_cards_that_cuda_shows(said: str | None, indexes: list[int]) -> None:
    cards = [dataclasses.replace(CARD, index=i, uuid=f"GPU-{letter}") for i, letter in enumerate("ab")]
    assert [card.index for card in values.visible(cards, said)] == indexes


@contextlib.contextmanager
def listener() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number: int = server.getsockname()[1]
        yield number


def test_a_taken_port_is_told_with_its_program(folder: Path) -> None:
    with listener() as number, pytest.raises(UsageError, match=f"port {number} .* is taken") as caught:
        made(folder, port=number)
    assert f"(process {os.getpid()})" in caught.value.message
    assert caught.value.fix is not None
    other = int(caught.value.fix.split()[1].rstrip(","))
    assert port.free("127.0.0.1", other) == other


@pytest.mark.parametrize(
    ("host", "address"), [(ALL, "127.0.0.1"), ("::1", "[::1]"), ("::", "[::1]"), ("a.b", "a.b")]
)
def test_the_address_for_clients(host: str, address: str) -> None:
    assert port.client_host(host) == address


def test_an_open_server_is_warned_of(folder: Path) -> None:
    assert any("--api-key" in note for note in made(folder, host=ALL).notes)
    assert not any("--api-key" in note for note in made(folder, host=ALL, api_key="k").notes)


def test_a_python_is_asked_without_importing() -> None:
    found = target.ask(Candidate(python=Path(sys.executable), reason="here"))
    assert found.version == ".".join(map(str, sys.version_info[:3]))
    assert found.vllm is None
    assert "fastapi" in found.missing


def test_what_is_no_python(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho no python >&2\n")
    program.chmod(0o755)
    if os.name != "nt":
        with pytest.raises(ToolchainError, match="does not answer like Python: no python"):
            target.ask(Candidate(python=program, reason="--python"))
    with pytest.raises(UsageError, match="folder without a Python"):
        target.interpreter(str(tmp_path))
    with pytest.raises(UsageError, match="there is no Python"):
        target.interpreter("no-such-python")


def test_a_flag_is_found_however_it_is_written() -> None:
    with pytest.raises(UsageError, match="api-server-count"):
        choice.refuse(("--seed", "-1", "--api_server_count=2"))


def test_the_fallback_reads_its_key_from_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_API_KEY", "-k")
    assert fallback_options.read(["m"]).api_keys == ("-k",)
    assert fallback_options.read(["m", "--api-key", "a", "b"]).api_keys == ("a", "b")
    monkeypatch.delenv("VLLM_API_KEY")
    assert fallback_options.read(["m"]).api_keys == ()
