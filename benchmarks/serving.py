"""The same load on any server of the protocol: answers per second, first token, /health meanwhile, memory.

    python -m benchmarks.serving --base URL --model NAME [--pid N]
    python -m benchmarks.serving --start fallback --python PYTHON    transformers (winvllm_build.fallback)
    python -m benchmarks.serving --start patched --python PYTHON     the set's server in one process, emulated
    python -m benchmarks.serving --start upstream --python PYTHON    `vllm serve` as published
                                   [--requests 200] [--at-once 16] [--tokens 64] [--rounds 1] [--json]

PYTHON has the packages of tests/fallback or, for the last two, of tests/winsim; the model is their small one.
Half of the requests stream. --rounds repeats the load and tells memory, open files and threads after
each, so that growth shows.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx2
import psutil

from tests.fallback.served import served
from tests.tag_trees import published
from tests.winsim.test_serve import arguments as serve_arguments
from tests.winsim.test_serve import free_port, wait_until_up
from tests.winsim.trees import EMULATION, Machine

ROOT = Path(__file__).resolve().parents[1]
TAG = "v0.33.0"
MIB = 2**20
LOOK_SECONDS = 0.02
PATIENCE = 600.0
IDLE_SECONDS = 1.0
"""Less than the 5 s after which uvicorn closes an idle connection, perhaps just when it is used again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    base: str
    model: str
    pid: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    requests: int
    at_once: int
    tokens: int


@dataclass(slots=True, kw_only=True)
class Round:
    """What one load measured: seconds, MiB."""

    wall: float = 0.0
    failed: int = 0
    first: list[float] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    memory: float = 0.0
    handles: int = 0
    threads: int = 0

    def told(self, load: Load) -> dict[str, float]:
        answered = load.requests - self.failed
        return {
            "requests_per_s": round(answered / self.wall, 2),
            "tokens_per_s": round(answered * load.tokens / self.wall, 1),
            "failed": self.failed,
            "first_token_ms_p50": share(self.first, 0.5),
            "first_token_ms_p99": share(self.first, 0.99),
            "health_ms_p50": share(self.health, 0.5),
            "health_ms_p99": share(self.health, 0.99),
            "health_ms_max": share(self.health, 1.0),
            "rss_mib": round(self.memory, 1),
            "handles": self.handles,
            "threads": self.threads,
        }


def share(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return round(1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))], 1) if ordered else 0.0


async def one(client: httpx2.AsyncClient, target: Target, load: Load, number: int, found: Round) -> None:
    body = {
        "model": target.model,
        "messages": [{"role": "user", "content": f"hello world {number} " * (1 + number % 5)}],
        "max_tokens": load.tokens,
        "temperature": 0.0 if number % 4 else 1.0,
        "ignore_eos": True,
        "stream": bool(number % 2),
    }
    begun = time.perf_counter()
    try:
        if not body["stream"]:
            found.failed += (
                await client.post("/v1/chat/completions", json=body)
            ).status_code != httpx2.codes.OK
            return
        async with client.stream("POST", "/v1/chat/completions", json=body) as response:
            lines = [
                time.perf_counter() async for line in response.aiter_lines() if line.startswith("data: ")
            ]
        found.failed += response.status_code != httpx2.codes.OK
        found.first.append(lines[1] - begun)  # the first event is the role
    except (httpx2.HTTPError, IndexError):
        found.failed += 1


async def look(target: Target, found: Round, done: asyncio.Event) -> None:
    """Ask /health at a fixed rate, whatever it answers; each counts from when it was due."""
    limits = httpx2.Limits(keepalive_expiry=IDLE_SECONDS)
    async with httpx2.AsyncClient(base_url=target.base, timeout=PATIENCE, limits=limits) as client:

        async def probe(due: float) -> None:
            await client.get("/health")
            found.health.append(time.perf_counter() - due)

        due = time.perf_counter()
        probes = []
        while not done.is_set():
            probes.append(asyncio.create_task(probe(due)))
            due += LOOK_SECONDS
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
        await asyncio.gather(*probes)


def weigh(pid: int | None, found: Round) -> None:
    """What the server and its children hold."""
    if pid is None:
        return
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    found.memory = float(sum(member.memory_info().rss for member in family)) / MIB
    found.handles = sum(member.num_fds() for member in family)
    found.threads = sum(member.num_threads() for member in family)


async def measured(target: Target, load: Load) -> Round:
    found, done, places = Round(), asyncio.Event(), asyncio.Semaphore(load.at_once)
    limits = httpx2.Limits(max_connections=load.at_once, keepalive_expiry=IDLE_SECONDS)
    async with httpx2.AsyncClient(base_url=target.base, timeout=PATIENCE, limits=limits) as client:

        async def placed(number: int) -> None:
            async with places:
                await one(client, target, load, number, found)

        looking = asyncio.create_task(look(target, found, done))
        begun = time.perf_counter()
        await asyncio.gather(*(placed(number) for number in range(load.requests)))
        found.wall = time.perf_counter() - begun
        done.set()
        await looking
    weigh(target.pid, found)
    return found


def made_model(python: Path, folder: Path) -> Path:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(EMULATION), "WINSIM": "0"}
    command: list[Path | str] = [python, "-m", "winsim.tiny_model", folder]
    subprocess.run(command, check=True, env=environment, capture_output=True, timeout=300)
    return folder


@contextlib.contextmanager
def started(kind: str, python: Path, scratch: Path) -> Iterator[Target]:
    model = made_model(python, scratch / "model")
    if kind == "fallback":
        sizes = ["--max-model-len", "256", "--max-num-seqs", "8", "--dtype", "float32"]
        with served(python, scratch / "run", model, "--served-model-name", "tiny", *sizes) as server:
            yield Target(base=server.base, model="tiny", pid=server.popen.pid)
        return
    cache = Path(os.environ.get("WINVLLM_TEST_CACHE", ROOT / "build" / "test-cache"))
    ours = kind == "patched"
    tree = published(TAG, cache, patched=ours)
    machine = Machine(python=python, tree=tree, tag=TAG, scratch=scratch / "run", emulated=ours)
    port = free_port()
    with machine.start(*serve_arguments(model, port)) as running:
        wait_until_up(running, port)
        yield Target(base=f"http://127.0.0.1:{port}", model="tiny", pid=running.popen.pid)


def run(target: Target, load: Load, rounds: int) -> Iterator[dict[str, float]]:
    asyncio.run(measured(target, Load(requests=load.at_once, at_once=load.at_once, tokens=8)))  # warm
    for _ in range(rounds):
        yield asyncio.run(measured(target, load)).told(load)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--base")
    which.add_argument("--start", choices=["fallback", "patched", "upstream"])
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--pid", type=int)
    parser.add_argument("--python", type=Path, default=Path(sys.executable))
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> None:
    given = arguments()
    load = Load(requests=given.requests, at_once=given.at_once, tokens=given.tokens)
    with contextlib.ExitStack() as stack:
        if given.base:
            target = Target(base=given.base, model=given.model, pid=given.pid)
        else:
            scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            target = stack.enter_context(started(given.start, given.python, scratch))
        rounds = []
        for number, told in enumerate(run(target, load, given.rounds), 1):
            rounds.append(told)
            if not given.json:
                listed = ", ".join(f"{name} {value}" for name, value in told.items())
                print(f"{number}: {listed}", flush=True)
    if given.json:
        print(json.dumps({"load": asdict(load), "rounds": rounds}, indent=1))


if __name__ == "__main__":
    main()
