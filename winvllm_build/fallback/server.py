"""The HTTP side: paths, checks before the engine is asked, errors in upstream's shape."""

from __future__ import annotations

import logging
import secrets
import time
import traceback
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .aliases import Named
from .answers import Answerer, Asked, unless_gone
from .bodies import body_of
from .chat import Chat, event
from .completions import Completion
from .errors import EngineDeadError, Fault, Kind, RequestError
from .prompts import Prompts, room_left
from .protocol import CHAT, COMPLETION, DETOKENIZE, TOKENIZE, CompletionRequest, TokenizeText
from .wishes import wishes

LOG = logging.getLogger("fallback")
MOST_ERRORS = 10
MOST_CHARACTERS = 300
GUARDED = ("/v1", "/tokenize", "/detokenize")
MOST_ANSWERS = 1024
"""To one request; each of them costs memory before its turn."""
MOST_OPEN = 2048
"""Answers that run or wait, of all requests."""
GONE = 499
"""What others log when the client did not wait; it never sees it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What the paths need."""

    named: Named
    answerer: Answerer
    prompts: Prompts
    api_keys: tuple[str, ...]
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def _length(self) -> int:
        return self.answerer.loaded.length

    def _known(self, model: str | None) -> str:
        name = model or self.named.names[0]
        if not self.named.answers_to(name):
            aliases = ", ".join(self.named.names)
            message = f"The model `{name}` does not exist. Valid aliases: {aliases}."
            raise RequestError(message, param="model", kind=Kind.NOT_FOUND)
        return self.named.names[0]

    async def chat(self, request: Request) -> Response:
        body = await body_of(request, CHAT)
        model = self._known(body.model)
        wanted = wishes(body, self.answerer.loaded)
        prompt = await self.prompts.of_chat(body)
        most = room_left(prompt, body, self._length)
        asked = [
            Asked(index=each, number=each, prompt=prompt, at_most=most) for each in range(wanted.answers)
        ]
        chat = Chat(body=body, model=model, prompt=prompt, asked=asked, wishes=wanted, answerer=self.answerer)
        return await self._answered(chat, request, stream=bool(body.stream))

    async def completion(self, request: Request) -> Response:
        body = await body_of(request, COMPLETION)
        model = self._known(body.model)
        wanted = wishes(body, self.answerer.loaded)
        _refuse_many(body.count * wanted.answers)
        prompts = await self.prompts.of_completion(body)
        most = [room_left(prompt, body, self._length) for prompt in prompts]
        asked = [
            Asked(index=place * wanted.answers + each, number=each, prompt=prompt, at_most=most[place])
            for place, prompt in enumerate(prompts)
            for each in range(wanted.answers)
        ]
        texts = [await self._echoed(body, place, prompt) for place, prompt in enumerate(prompts)]
        completion = Completion(
            body=body,
            model=model,
            prompts=prompts,
            texts=texts,
            asked=asked,
            wishes=wanted,
            answerer=self.answerer,
        )
        return await self._answered(completion, request, stream=bool(body.stream))

    async def _echoed(self, body: CompletionRequest, place: int, prompt: list[int]) -> str:
        if not body.echo:
            return ""
        given = [body.prompt] if isinstance(body.prompt, str) else list(body.prompt or ())
        text = given[place] if place < len(given) else None
        return text if isinstance(text, str) else await self.prompts.text(prompt)

    async def _answered(self, work: Chat | Completion, request: Request, *, stream: bool) -> Response:
        if self.answerer.engine.dead:
            raise EngineDeadError
        if self.answerer.engine.running + len(work.asked) > MOST_OPEN:
            raise RequestError("too many requests wait already, try again later", kind=Kind.OVERLOADED)
        if stream:
            return StreamingResponse(reported(work), media_type="text/event-stream")
        found = await unless_gone(work.whole(), _left(request))
        return Response(status_code=GONE) if found is None else JSONResponse(found)

    async def tokenize(self, request: Request) -> dict[str, Any]:
        body = await body_of(request, TOKENIZE)
        self._known(body.model)
        body.refuse_unsupported()
        if isinstance(body, TokenizeText):
            tokens = await self.prompts.of_text(body.prompt, special=body.add_special_tokens, limit=False)
        else:
            tokens = await self.prompts.of_chat(body, limit=False)
        words = self.prompts.words(tokens) if body.return_token_strs else None
        return {"count": len(tokens), "max_model_len": self._length, "tokens": tokens, "token_strs": words}

    async def detokenize(self, request: Request) -> dict[str, Any]:
        body = await body_of(request, DETOKENIZE)
        self._known(body.model)
        return {"prompt": await self.prompts.text(body.tokens)}

    async def models(self) -> dict[str, Any]:
        root = self.named.target
        return {"object": "list", "data": [self._card(name, root) for name in self.named.names]}

    def _card(self, name: str, root: str) -> dict[str, Any]:
        return {
            "id": name,
            "object": "model",
            "created": self.created,
            "owned_by": "vllm",
            "root": root,
            "parent": None,
            "max_model_len": self._length,
            "permission": [],
        }

    async def health(self) -> Response:
        return Response(status_code=503 if self.answerer.engine.dead else 200)

    async def version(self) -> dict[str, str]:
        return {"version": f"transformers {version('transformers')} (fallback engine, not vLLM)"}

    async def metrics(self) -> Response:
        return Response(self.answerer.metrics.page(), media_type="text/plain; version=1.0.0; charset=utf-8")


async def reported(work: Chat | Completion) -> AsyncGenerator[str, None]:
    """The events of an answer; an error in their midst is one more."""
    try:
        async for line in work.events():
            yield line
    except Exception as error:  # noqa: BLE001 - the status is sent already
        message = str(error) if isinstance(error, EngineDeadError) else unexpected(error)
        yield event(Fault(message=message, kind=Kind.INTERNAL).body())
        yield "data: [DONE]\n\n"


def _refuse_many(answers: int) -> None:
    if answers > MOST_ANSWERS:
        raise RequestError(f"a request has at most {MOST_ANSWERS} answers, {answers} were asked for.")


def unexpected(error: Exception) -> str:
    """What clients are told of a fault in this server; its log says where."""
    frame = traceback.extract_tb(error.__traceback__)[-1:]
    place = "".join(f" at {each.filename}:{each.lineno}" for each in frame)
    said = " ".join(str(error).split())[:MOST_CHARACTERS].encode("ascii", "backslashreplace").decode()
    LOG.error("unexpected: %s: %s%s", type(error).__name__, said, place)
    return f"unexpected {type(error).__name__}; the server's log says more"


async def _left(request: Request) -> None:
    """Ends when the client has gone; its request has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _fault(fault: Fault) -> JSONResponse:
    return JSONResponse(fault.body(), status_code=fault.status)


async def refused(request: Request, error: Exception) -> Response:
    del request
    assert isinstance(error, RequestError)  # noqa: S101 - registered for it
    return _fault(error.fault)


async def dead(request: Request, error: Exception) -> Response:
    del request
    return _fault(Fault(message=str(error), kind=Kind.INTERNAL))


async def invalid(request: Request, error: Exception) -> Response:
    """What pydantic says, cut where a body has thousands of faults or a fault is long."""
    del request
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    found = list(error.errors())
    shown = [f"{_place(each)}: {str(each.get('msg'))[:MOST_CHARACTERS]}" for each in found[:MOST_ERRORS]]
    more = [f"and {len(found) - MOST_ERRORS} more"] if len(found) > MOST_ERRORS else []
    message = f"the request is not valid: {'; '.join([*shown, *more])}"
    return _fault(Fault(message=message, kind=Kind.INVALID, param=_place(found[0]) if found else None))


def _place(found: dict[str, Any]) -> str:
    """body.messages.0, without the names of pydantic's types that were tried."""
    return ".".join(
        str(part) for part in found["loc"] if not str(part)[:1].isupper() and "[" not in str(part)
    )


class Caught:
    """Answers what nobody else did, in the shape of errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except ClientDisconnect:
            pass
        except Exception as error:
            message = unexpected(error)
            if begun:
                raise
            await _fault(Fault(message=message, kind=Kind.INTERNAL))(scope, receive, send)


class Keys:
    """Refuses what has no key, before anything is read."""

    def __init__(self, app: ASGIApp, keys: tuple[str, ...]) -> None:
        self._app = app
        self._keys = [key.encode() for key in keys]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        guarded = (
            scope["type"] == "http" and scope["method"] != "OPTIONS" and scope["path"].startswith(GUARDED)
        )
        if guarded and not self._has_key(scope):
            await JSONResponse({"error": "Unauthorized"}, status_code=401)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _has_key(self, scope: Scope) -> bool:
        value = dict(scope["headers"]).get(b"authorization", b"")
        scheme, _, given = value.partition(b" ")
        same = [secrets.compare_digest(given, key) for key in self._keys]
        return scheme.lower() == b"bearer" and any(same)
