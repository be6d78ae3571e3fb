"""The CPU relay as a plugin of real vLLM: its groups, and two workers that answer as one."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.winsim.conftest import Machines
from tests.winsim.trees import Machine

pytestmark = pytest.mark.network
CHECKOUT = Path(__file__).resolve().parents[2]
TAG = "v0.33.0"
ENTRY = "[vllm.general_plugins]\nwinvllm-relay = winvllm_build.relay.plugin:register\n"
NAME = "winvllm_build.relay.communicator.RelayCommunicator"


def environment(machine: Machine, **more: str) -> dict[str, str]:
    """With the plugin as an installation of this package has it; without the rest of the package's needs."""
    information = machine.scratch / "plugin" / "winvllm_build-0.dist-info"
    information.mkdir(parents=True, exist_ok=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: winvllm-build\nVersion: 0\n", "utf-8")
    (information / "entry_points.txt").write_text(ENTRY, encoding="utf-8")
    found = machine.environment(**more)
    return {**found, "PYTHONPATH": f"{found['PYTHONPATH']}:{information.parent}:{CHECKOUT}"}


def pair(machine: Machine, folder: Path, **more: str) -> list[dict[str, Any]]:
    answers = [folder / f"{rank}.json" for rank in range(2)]
    started = [
        subprocess.Popen(
            [machine.python, "-m", "winsim.relay", str(rank), folder / "meeting", answer],
            cwd=folder,
            env=environment(machine, **more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for rank, answer in enumerate(answers)
    ]
    for process in started:
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said.decode(errors="replace")[-3000:]
    return [json.loads(answer.read_text(encoding="utf-8")) for answer in answers]


def test_the_package_offers_the_plugin() -> None:
    assert ENTRY.splitlines()[1].replace(" = ", ' = "') + '"' in (CHECKOUT / "pyproject.toml").read_text(
        "utf-8"
    )


@pytest.mark.parametrize("tag", ["v0.14.1", "v0.19.1", TAG])
def test_groups_of_a_tag_are_relayed(tag: str, machine: Machines, tmp_path: Path) -> None:
    for answer in pair(machine(tag), tmp_path, WINVLLM_RELAY="all"):
        assert answer["class"] == NAME
        assert answer["wrong"] == []
        assert answer["tried"] > 50
        assert answer["staged"] > 50
        before, after = answer["groups"]
        assert before > 0
        assert after == 0, "a later group may have the name of one that is gone"


def generated(machine: Machine, model: Path, relay: str) -> tuple[list[list[int]], str]:
    """The tokens of two workers, and what they say."""
    ended = machine.run(
        "winsim.generate",
        model,
        PYTHONPATH=environment(machine)["PYTHONPATH"],
        VLLM_CPU_OMP_THREADS_BIND="0|1",
        WINSIM_OPTIONS=json.dumps({"tensor_parallel_size": 2, "distributed_executor_backend": "mp"}),
        WINVLLM_RELAY=relay,
    )
    assert ended.status == 0, ended.text[-3000:]
    return ended.answer["tokens"], ended.text


def test_two_relayed_workers_generate_as_one(machine: Machines, model: Path) -> None:
    wanted = json.loads((model / "expected.json").read_text(encoding="utf-8"))["tokens"]
    tokens, text = generated(machine(TAG), model, "all")
    assert tokens == wanted
    for rank in range(2):
        assert f"tp:0 is relayed through the CPU, process {rank} of 2" in text


def test_nothing_is_relayed_unless_asked_for(machine: Machines, tmp_path: Path) -> None:
    settings = machine(TAG)
    program = (
        "from vllm.plugins import load_general_plugins; load_general_plugins(); "
        "from vllm.platforms import current_platform; print(current_platform.get_device_communicator_cls())"
    )
    for asked, wanted in (("0", "CpuCommunicator"), ("1", NAME)):
        ended = subprocess.run(
            [settings.python, "-c", program],
            cwd=tmp_path,
            env=environment(settings, WINVLLM_RELAY=asked),
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert wanted in ended.stdout, ended.stderr[-3000:]
