"""The openai package against a server: `python openai_client.py BASE` prints what it got as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine
from typing import Any

from openai import APIStatusError, AsyncOpenAI

MODEL = "tiny"
MANY = 32
TOKENS = 24


def greeting(number: int) -> dict[str, Any]:
    return {
        "model": MODEL,
        "messages": [{"role": "user", "content": f"hello {number}"}],
        "temperature": 0,
        "max_completion_tokens": TOKENS,
    }


async def streamed_chat(client: AsyncOpenAI, number: int) -> dict[str, Any]:
    stream = await client.chat.completions.create(
        **greeting(number),
        stream=True,
        stream_options={"include_usage": True},
    )
    text, ends, roles, tokens = "", [], [], 0
    async for chunk in stream:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            roles += [choice.delta.role] if choice.delta.role else []
            ends += [choice.finish_reason] if choice.finish_reason else []
        tokens = chunk.usage.completion_tokens if chunk.usage else tokens
    return {"text": text, "ends": ends, "roles": roles, "tokens": tokens}


async def whole_chat(client: AsyncOpenAI, number: int) -> dict[str, Any]:
    found = await client.chat.completions.create(**greeting(number))
    choice = found.choices[0]
    ends, tokens = [choice.finish_reason], found.usage.completion_tokens
    return {"text": choice.message.content, "ends": ends, "roles": [choice.message.role], "tokens": tokens}


async def seeded(client: AsyncOpenAI, number: int, *, stream: bool) -> list[str]:
    """Two answers drawn by chance, joined from a stream or whole."""
    asked: dict[str, Any] = {
        "model": MODEL,
        "prompt": f"the {number}",
        "seed": number,
        "n": 2,
        "max_tokens": TOKENS,
    }
    asked |= {"temperature": 1.5, "top_p": 0.9}
    if not stream:
        found = await client.completions.create(**asked)
        return [choice.text for choice in found.choices]
    texts = ["", ""]
    async for chunk in await client.completions.create(**asked, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.text
    return texts


async def refused(client: AsyncOpenAI, number: int) -> dict[str, Any]:
    model, prompt = ("nothing", "x") if number % 2 else (MODEL, "x " * 4000)
    try:
        await client.completions.create(model=model, prompt=prompt)
    except APIStatusError as error:
        return {"status": error.status_code, "kind": type(error).__name__}
    return {"status": 200}


async def mixed(client: AsyncOpenAI) -> dict[str, list[Any]]:
    """Four kinds at once, so that the engine has answers of every length and age."""
    kinds: dict[str, list[Coroutine[Any, Any, Any]]] = {
        "streamed": [streamed_chat(client, number) for number in range(MANY // 4)],
        "whole": [whole_chat(client, number) for number in range(MANY // 4)],
        "seeded": [seeded(client, number, stream=bool(number % 2)) for number in range(MANY // 4)],
        "refused": [refused(client, number) for number in range(MANY // 4)],
    }
    found = iter(await asyncio.gather(*(work for works in kinds.values() for work in works)))
    return {kind: [next(found) for _ in works] for kind, works in kinds.items()}


async def main(base: str) -> dict[str, Any]:
    async with AsyncOpenAI(base_url=f"{base}/v1", api_key="none", timeout=100, max_retries=0) as client:
        models = [model.id async for model in client.models.list()]
        return {
            "models": models,
            "mixed": await mixed(client),
            "alone": [await whole_chat(client, number) for number in range(3)],
            "seeded alone": [await seeded(client, number, stream=not number % 2) for number in range(3)],
        }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(sys.argv[1]))))
