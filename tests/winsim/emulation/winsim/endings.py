"""How an engine in this process begins and ends: `python -m winsim.endings MODEL ANSWER`.

One engine after the other; ANSWER gets what each left behind.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import vllm
from vllm import AsyncEngineArgs, SamplingParams
from vllm.sampling_params import RequestOutputKind
from vllm.utils import uvloop_compat
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.executor.uniproc_executor import UniProcExecutor

from winsim import loops

SECONDS = 60
LONG = 100
MANY = 8
"""Tokens of the request that ends by itself, and of those that do not."""


def arguments(model: Path, **more: object) -> AsyncEngineArgs:
    settings: dict[str, Any] = {
        "model": str(model),
        "max_model_len": 256,
        "enforce_eager": True,
        "max_num_seqs": 16,
        "dtype": "float32",
        "disable_log_stats": True,
        **more,
    }
    return AsyncEngineArgs(**settings)


def started(model: Path, **more: object) -> AsyncLLM:
    return AsyncLLM.from_engine_args(arguments(model, **more))


def sampling(tokens: int) -> SamplingParams:
    return SamplingParams(
        max_tokens=tokens, temperature=0, ignore_eos=True, output_kind=RequestOutputKind.DELTA
    )


def threads() -> list[str]:
    """Those of an engine."""
    names = sorted(thread.name for thread in threading.enumerate())
    return [name for name in names if name == "EngineCore" or "process_" in name]


def gone() -> list[str]:
    """The engine's threads that do not end."""
    end = time.monotonic() + SECONDS
    while (left := threads()) and time.monotonic() < end:
        time.sleep(0.05)
    return left


async def streamed(engine: AsyncLLM, prompt: Any, tokens: int, name: str = "a") -> list[int]:
    found: list[int] = []
    async for output in engine.generate(prompt, sampling(tokens), request_id=name):
        found += output.outputs[0].token_ids
    return found


async def heard(waiting: Any) -> str:
    """The error that ends it, or nothing."""
    try:
        await asyncio.wait_for(waiting, SECONDS)
    except Exception as error:  # noqa: BLE001 - its name is what is asked for
        return type(error).__name__
    return ""


def core(engine: AsyncLLM) -> Any:
    return engine.engine_core.resources.core


def refused(make: Callable[[], object]) -> str:
    try:
        make()
    except RuntimeError as error:
        return str(error)
    return "not refused"


def interrupted(model: Path) -> dict[str, Any]:
    """Ctrl+C while the weights load."""
    loading, may_load, loaded = threading.Event(), threading.Event(), threading.Event()
    real = UniProcExecutor._init_executor

    def slowly(self: UniProcExecutor) -> None:
        loading.set()
        may_load.wait(SECONDS)
        real(self)
        loaded.set()

    def press() -> None:
        loading.wait(SECONDS)
        os.kill(os.getpid(), signal.SIGINT)

    async def main() -> None:
        started(model)

    UniProcExecutor._init_executor = slowly
    pressed = threading.Thread(target=press)
    pressed.start()
    try:
        uvloop_compat.run(main())
    except BaseException as error:  # noqa: BLE001 - its name is what is asked for
        kind = type(error).__name__
    else:
        kind = "not interrupted"
    finally:
        UniProcExecutor._init_executor = real
    found = {"error": kind, "loaded": loaded.is_set(), "beside it": refused(lambda: started(model))}
    may_load.set()
    pressed.join()
    return {**found, "threads": gone()}


def failed(model: Path) -> dict[str, Any]:
    """No memory for the cache, found out when the weights are there."""
    executors: list[weakref.ref[UniProcExecutor]] = []

    def too_little(self: UniProcExecutor, *_: object, **__: object) -> list[int]:
        executors.append(weakref.ref(self))
        raise ValueError("No available memory for the cache blocks.")

    UniProcExecutor.determine_available_memory = too_little
    kept: Exception | None = None
    try:
        started(model)
    except ValueError as error:
        kept = error  # as a prompt of Python keeps the last one
    finally:
        del UniProcExecutor.determine_available_memory
    return {
        "error": str(kept),
        "weights": [executor() is not None for executor in executors],
        "groups": torch.distributed.is_initialized(),
        "threads": gone(),
    }


async def overwritten(engine: AsyncLLM, model: Path, prompt: str, tokens: int) -> list[int]:
    """A prompt of embeddings, whose memory the caller uses again at once."""
    weights = safetensors.torch.load_file(model / "model.safetensors")["model.embed_tokens.weight"]
    ids = engine.get_tokenizer()
    tokenizer = await ids if asyncio.iscoroutine(ids) else ids
    embeddings = weights[tokenizer(prompt)["input_ids"]].repeat(1, 1).contiguous()
    queue = await engine.add_request("embeddings", {"prompt_embeds": embeddings}, sampling(tokens))
    embeddings.zero_()
    found: list[int] = []
    while True:
        output = await asyncio.wait_for(queue.get(), SECONDS)
        found += output.outputs[0].token_ids
        if output.finished:
            return found


async def alone(model: Path, golden: dict[str, Any]) -> dict[str, Any]:
    """One engine: who may be beside it, what it shares with its caller, and its end without a word."""
    engine = started(model, enable_prompt_embeds=True)
    tokens = golden["tokens"][0]
    found = {
        "second": refused(lambda: started(model)),
        "llm": refused(lambda: vllm.LLM(model=str(model), max_model_len=256, enforce_eager=True)),
        "overwritten": await overwritten(engine, model, golden["prompts"][0], len(tokens)) == tokens,
        "unspeakable": await heard(engine.collective_rpc("get_model")),
        "shared": core(engine).structured_output_manager.tokenizer is engine_tokenizer(engine),
    }
    del engine
    gc.unfreeze()
    gc.collect()
    await asyncio.sleep(0)
    return {**found, "threads": gone()}


def engine_tokenizer(engine: AsyncLLM) -> object:
    return engine.output_processor.tokenizer


async def drained(model: Path) -> dict[str, Any]:
    """The end of a server with `--shutdown-timeout` while requests run."""
    engine = started(model, shutdown_timeout=SECONDS)
    long = asyncio.create_task(streamed(engine, "hello", LONG, "long"))
    given_up = asyncio.create_task(streamed(engine, "hello world", 200, "given up"))
    while core(engine).scheduler.get_num_unfinished_requests() < 2:  # noqa: ASYNC110 - the engine's thread sets no event
        await asyncio.sleep(0.01)
    scheduler, step = core(engine).scheduler, core(engine).step_fn

    def slowly() -> Any:
        time.sleep(0.02)
        return step()

    core(engine).step_fn = slowly
    loop = asyncio.get_running_loop()
    ending = loop.run_in_executor(None, partial(engine.engine_core.shutdown, timeout=SECONDS))
    await asyncio.sleep(0.2)
    healthy = await heard(engine.check_health())
    given_up.cancel()
    tokens = await asyncio.wait_for(long, SECONDS)
    await asyncio.wait_for(ending, SECONDS)
    left = scheduler.get_num_unfinished_requests()
    engine.shutdown()
    return {"healthy": healthy, "tokens": len(tokens), "left": left, "threads": gone()}


async def cut(model: Path) -> dict[str, Any]:
    """The end of a server while requests run."""
    engine = started(model)
    running = [asyncio.create_task(streamed(engine, "hello", 200, str(number))) for number in range(MANY)]
    while core(engine).scheduler.get_num_unfinished_requests() < MANY:  # noqa: ASYNC110 - the engine's thread sets no event
        await asyncio.sleep(0.01)
    engine.engine_core.shutdown()
    ends = await asyncio.gather(*[heard(task) for task in running])
    engine.shutdown()
    return {"ends": sorted(set(ends)), "threads": gone()}


async def left_by_its_thread(model: Path) -> dict[str, Any]:
    """A step that calls sys.exit()."""
    engine = started(model)

    def leave() -> None:
        raise SystemExit

    core(engine).step_fn = leave
    ends = [await heard(streamed(engine, "hello", 4, name)) for name in ("first", "second")]
    engine.shutdown()
    return {"ends": ends, "threads": gone()}


def main() -> None:
    model, answer = Path(sys.argv[1]), Path(sys.argv[2])
    golden = json.loads((model / "expected.json").read_text(encoding="utf-8"))
    found: dict[str, Any] = {
        "interrupted": interrupted(model),
        "failed": failed(model),
        "alone": loops.run(alone(model, golden)),
        "cut": loops.run(cut(model)),
        "exit": loops.run(left_by_its_thread(model)),
    }
    if hasattr(AsyncEngineArgs, "shutdown_timeout"):
        found["drained"] = loops.run(drained(model))
    found["groups"] = torch.distributed.is_initialized()
    answer.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
