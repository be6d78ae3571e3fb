"""Commands of `vllm` on Windows' branches: what works, also with two workers, and what refuses in words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.winsim.conftest import Machines
from tests.winsim.trees import Machine

pytestmark = pytest.mark.network
TAG = "v0.33.0"
SECONDS = 400
SMALL = ["--max-model-len", "256", "--enforce-eager", "--dtype", "float32", "--max-num-seqs", "4"]
GREEDY = {"max_tokens": 16, "temperature": 0, "ignore_eos": True}
REFUSED = {
    "serve --uds a-socket": "--uds is not supported on Windows, use --host and --port",
    "serve --api-server-count 2": "Several API servers cannot share a port on Windows",
    "preload --model": "weight cache",
    "snapshot inspect": "vllm snapshot is not available on Windows",
}


@pytest.mark.parametrize("command", REFUSED)
def test_what_cannot_work_refuses_in_words(machine: Machines, model: Path, command: str) -> None:
    name, *options = command.split()
    arguments = {
        "serve": ["serve", str(model), *SMALL, *options],
        "preload": ["preload", *options, str(model)],
        "snapshot": ["snapshot", *options, "a-folder"],
    }[name]
    with machine(TAG).start(*arguments) as program:
        assert program.popen.wait(SECONDS) != 0
        assert REFUSED[command] in program.text


def batch(emulated: Machine, model: Path, prompts: list[str], workers: int) -> list[str]:
    """What `vllm run-batch` answers."""
    requests, results = emulated.scratch / "in.jsonl", emulated.scratch / f"out-{workers}.jsonl"
    emulated.scratch.mkdir(parents=True, exist_ok=True)
    lines = [
        {
            "custom_id": prompt,
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": str(model), "messages": [{"role": "user", "content": prompt}], **GREEDY},
        }
        for prompt in prompts
    ]
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    requests.write_text(f"{text}\n", encoding="utf-8")
    files = ["-i", str(requests), "-o", str(results), "--model", str(model)]
    parallel = ["--tensor-parallel-size", str(workers), "--distributed-executor-backend", "mp"]
    bound = "|".join(map(str, range(workers)))
    with emulated.start("run-batch", *files, *SMALL, *parallel, VLLM_CPU_OMP_THREADS_BIND=bound) as program:
        assert program.popen.wait(SECONDS) == 0, program.text[-3000:]
    found = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()]
    assert [item["custom_id"] for item in found] == prompts
    return [item["response"]["body"]["choices"][0]["message"]["content"] for item in found]


@pytest.mark.long
def test_two_spawned_workers_answer_as_one(machine: Machines, model: Path) -> None:
    prompts = json.loads((model / "expected.json").read_text(encoding="utf-8"))["prompts"]
    alone = batch(machine(TAG), model, prompts, workers=1)
    assert all(alone)
    assert batch(machine(TAG), model, prompts, workers=2) == alone
