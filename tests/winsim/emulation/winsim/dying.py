"""`vllm serve --middleware winsim.dying.die`: POST /die makes every later step of the engine fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import Request, Response


def fail() -> None:
    raise ValueError("a step that fails")


async def die(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    if request.url.path != "/die":
        return await call_next(request)
    request.app.state.engine_client.engine_core.resources.core.step_fn = fail
    return Response()
