"""Processes over Gloo: every collective for every type, copied through the host's memory."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

PAIR = Path(__file__).resolve().parent / "pair.py"
CHECKOUT = PAIR.parents[2]


def together(interpreter: Path, program: Path, count: int, folder: Path) -> list[dict[str, Any]]:
    """What each of `count` processes says that run `program` with each other."""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "OMP_NUM_THREADS": "1"}
    files = [folder / f"{rank}.json" for rank in range(count)]
    started = [
        subprocess.Popen(
            [interpreter, program, str(rank), folder / "meeting", file],
            env=environment,
            stderr=subprocess.PIPE,
        )
        for rank, file in enumerate(files)
    ]
    said = [process.communicate(timeout=300)[1].decode(errors="replace") for process in started]
    assert not any(process.returncode for process in started), "\n".join(one[-3000:] for one in said)
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


@pytest.fixture(scope="module")
def answers(interpreter: Path, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What both processes say."""
    return together(interpreter, PAIR, 2, tmp_path_factory.mktemp("pair"))


def test_every_collective_is_right_for_every_type(answers: list[dict[str, Any]]) -> None:
    for answer in answers:
        assert answer["wrong"] == []
        assert answer["tried"] > 500


def test_both_ways_go_through_the_hosts_memory(answers: list[dict[str, Any]]) -> None:
    for answer in answers:
        own, through, quiet = answer["staged"]
        assert own > 500
        assert through > 500
        assert quiet == 0, "a tensor of the CPU goes as it is"
        assert answer["left_alone"] == [2.0, 2.0], "a group that is not relayed is torch's"


def test_buffers_serve_again(answers: list[dict[str, Any]]) -> None:
    for answer in answers:
        before, after = answer["buffers"]
        assert before == after


def test_a_capture_is_refused_in_words(answers: list[dict[str, Any]]) -> None:
    for answer in answers:
        assert "no CUDA graph can hold" in answer["refused"]
        assert "--enforce-eager" in answer["refused"]


def test_torchs_functions_are_wrapped_once(answers: list[dict[str, Any]]) -> None:
    for answer in answers:
        assert answer["wrapped"]
        assert "itself" in answer["same_group"]


def test_a_process_has_another_number_in_a_group_than_in_all(interpreter: Path, tmp_path: Path) -> None:
    outside, *inside = together(interpreter, PAIR.with_name("trio.py"), 3, tmp_path)
    assert outside == {"tried": 1, "wrong": []}
    for answer in inside:
        assert answer["wrong"] == []
        assert answer["tried"] > 100


@pytest.mark.parametrize(
    ("said", "wanted"),
    [("", "False"), ("0", "False"), ("yes", "WINVLLM_RELAY=yes: 1 relays the collectives")],
)
def test_without_being_asked_the_plugin_does_not_look_for_vllm(
    said: str, wanted: str, interpreter: Path
) -> None:
    program = (
        "import sys, torch.distributed as d; from winvllm_build.relay import plugin; b = d.broadcast; "
        "plugin.register(); print('vllm' in sys.modules or d.broadcast is not b)"
    )
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), "WINVLLM_RELAY": said}
    ended = subprocess.run(
        [interpreter, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert wanted in ended.stdout + ended.stderr
