"""Many requests at once: `python -m winsim.concurrent MODEL ANSWER`; ANSWER gets what became of each.

It runs as `asyncio.run` does on Windows: on an event loop that watches no sockets.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import zmq
from vllm import AsyncEngineArgs, SamplingParams
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError

from winsim import loops

STREAMS = 10
ENDLESS = 200


def sampling(tokens: int) -> SamplingParams:
    return SamplingParams(
        max_tokens=tokens, temperature=0, ignore_eos=True, output_kind=RequestOutputKind.DELTA
    )


def expected(model: Path) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = json.loads((model / "expected.json").read_text(encoding="utf-8"))
    return found


async def streamed(engine: AsyncLLM, name: str, prompt: str, tokens: int) -> list[int]:
    """Token by token."""
    found: list[int] = []
    async for output in engine.generate(prompt, sampling(tokens), request_id=name):
        found += output.outputs[0].token_ids
    return found


async def cancelled(engine: AsyncLLM) -> dict[str, Any]:
    """What became of a request that was given up: its engine is slow, so that it cannot end by itself."""
    core = engine.engine_core.resources.core
    step = core.step_fn

    def slowly() -> Any:
        time.sleep(0.05)
        return step()

    core.step_fn = slowly
    task = asyncio.create_task(streamed(engine, "given-up", "hello", ENDLESS))
    await until(engine, busy=True)
    (request,) = scheduler(engine).requests.values()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await until(engine, busy=False)
    core.step_fn = step
    return {
        "left": int(scheduler(engine).get_num_unfinished_requests()),
        "status": request.status.name,
        "whole": request.num_output_tokens == ENDLESS,
    }


async def until(engine: AsyncLLM, *, busy: bool) -> None:
    while scheduler(engine).has_requests() != busy:  # noqa: ASYNC110 - the engine's thread sets no event
        await asyncio.sleep(0.01)


def scheduler(engine: AsyncLLM) -> Any:
    return engine.engine_core.resources.core.scheduler


async def killed(engine: AsyncLLM) -> list[str]:
    """What those hear whose engine fails in a step, and who asks afterwards."""

    def fail() -> None:
        raise ValueError("a step that fails")

    engine.engine_core.resources.core.step_fn = fail
    heard = []
    for name in ("first", "second"):
        try:
            await streamed(engine, name, "hello", 4)
        except EngineDeadError as error:
            heard.append(type(error).__name__)
    return [*heard, str(engine.errored)]


async def main(model: Path) -> dict[str, Any]:
    golden = expected(model)
    arguments = AsyncEngineArgs(
        model=str(model),
        max_model_len=256,
        enforce_eager=True,
        max_num_seqs=16,
        dtype="float32",
        disable_log_stats=True,
    )
    engine = AsyncLLM.from_engine_args(arguments)
    prompts = [(index, golden["prompts"][index % len(golden["prompts"])]) for index in range(STREAMS)]
    length = len(golden["tokens"][0])
    tokens = await asyncio.gather(
        *[streamed(engine, str(index), prompt, length) for index, prompt in prompts]
    )
    try:
        loras = str(await engine.list_loras())
    except Exception as error:  # noqa: BLE001 - what upstream raises for a call that fails in the engine
        loras = str(error)
    utilities = {
        "loras": loras,
        "asleep": await engine.is_sleeping(),
        "reset": bool(await engine.reset_prefix_cache()),
        "tasks": sorted(await engine.get_supported_tasks()),
    }
    children = [
        child.name()
        for child in psutil.Process().children(recursive=True)
        if "tracker" not in " ".join(child.cmdline())
    ]
    found = {
        "tokens": tokens,
        "client": type(engine.engine_core).__name__,
        "loop": type(asyncio.get_running_loop()).__name__,
        "children": children,
        "utilities": utilities,
        "given up": await asyncio.wait_for(cancelled(engine), 60),
        "killed": await asyncio.wait_for(killed(engine), 60),
    }
    engine.shutdown()
    found["threads"] = [
        thread.name
        for thread in threading.enumerate()
        if thread.name == "EngineCore" or "process_" in thread.name
    ]
    return found


def counted() -> list[zmq.Context[Any]]:
    """Gets every context of ZMQ that is made from now on."""
    made: list[zmq.Context[Any]] = []
    real = zmq.Context.__init__

    def counting(self: zmq.Context[Any], *given: Any, **named: Any) -> None:
        made.append(self)
        real(self, *given, **named)

    zmq.Context.__init__ = counting
    return made


if __name__ == "__main__":
    contexts = counted()
    found = loops.run(main(Path(sys.argv[1])))
    found["contexts"] = {"of the engine": len(contexts)}
    zmq.Context().term()
    found["contexts"]["seen"] = len(contexts)
    Path(sys.argv[2]).write_text(json.dumps(found), encoding="utf-8")
