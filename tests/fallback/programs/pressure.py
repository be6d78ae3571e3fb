"""More answers than the cache holds: `python pressure.py MODEL` prints their tokens, together and alone."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from winvllm_build.fallback.engine import Engine
from winvllm_build.fallback.model import load
from winvllm_build.fallback.options import read
from winvllm_build.fallback.sampling import Sampling
from winvllm_build.fallback.sizing import PAGE, Room

TOKENS = 150
SMALL = Room(blocks=14, batch_tokens=32, requests=6)
"""448 tokens, where six answers have up to 1,300; and prompts are read in pieces."""
KINDS = (
    Sampling(temperature=0.0),
    Sampling(seed=5),
    Sampling(temperature=0.0, frequency=0.3, repetition=1.2, logprobs=1),
)


async def answered(engine: Engine, number: int) -> list[int]:
    prompt = [3 + (number * 7 + place) % 250 for place in range(20 + 12 * number)]
    sampling = KINDS[number % len(KINDS)]
    steps = engine.answer(prompt, at_most=TOKENS, ends=frozenset(), sampling=sampling)
    found = [step async for step in steps]
    assert all((step.logprobs is not None) == (sampling.logprobs is not None) for step in found)
    return [step.token for step in found]


async def main(engine: Engine) -> dict[str, Any]:
    engine.start(asyncio.get_running_loop())
    together = await asyncio.gather(*(answered(engine, number) for number in range(6)))
    alone = [await answered(engine, number) for number in range(6)]
    return {"together": together, "alone": alone, "room": SMALL.blocks * PAGE, "left": engine.running}


if __name__ == "__main__":
    made = Engine(load(sys.argv[1], read([sys.argv[1], "--dtype", "float32"])), SMALL, seed=0)
    try:
        sys.stdout.write(json.dumps(asyncio.run(main(made))))
    finally:
        made.stop()
