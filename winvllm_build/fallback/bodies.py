"""A request's body, read and checked without holding the event loop up."""

from __future__ import annotations

import asyncio
import json
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError

from .errors import Kind, RequestError

Read = TypeVar("Read")
MOST_BYTES = 8 * 2**20
"""Megabytes of JSON take tenths of a second to read, in which nobody else is answered."""
APART_BYTES = 2**16


async def body_of(request: Request, kind: TypeAdapter[Read]) -> Read:
    """The body as `kind`.

    Raises:
        RequestError: another content type, too large, or text that is none.
        RequestValidationError: no JSON, or other fields than those of `kind`.
    """
    declared = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if declared != "application/json":
        raise RequestError("the body must be application/json", kind=Kind.INVALID)
    content = await _content(request)
    if len(content) < APART_BYTES:
        return _understood(content, kind)
    return await asyncio.to_thread(_understood, content, kind)


async def _content(request: Request) -> bytes:
    """All of it is awaited, for a client that still writes does not read its answer."""
    found = bytearray()
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= MOST_BYTES:
            found += part
        else:
            found.clear()
    if size > MOST_BYTES:
        raise RequestError(f"the body has {size} bytes, at most {MOST_BYTES} are read", kind=Kind.TOO_LARGE)
    return bytes(found)


def _understood(content: bytes, kind: TypeAdapter[Read]) -> Read:
    if not content:
        raise RequestValidationError([_fault(("body",), "Field required")])
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        place = error.pos if isinstance(error, json.JSONDecodeError) else 0
        raise RequestValidationError([_fault(("body", place), f"JSON decode error: {error}")]) from error
    if b"\\ud" in content.lower():
        _refuse_halves(value)
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        faults = [_fault(("body", *each["loc"]), each["msg"]) for each in found]
        raise RequestValidationError(faults) from error


def _fault(place: tuple[int | str, ...], message: str) -> dict[str, Any]:
    return {"loc": place, "msg": message}


def _refuse_halves(value: object) -> None:
    """Half of a surrogate pair is valid JSON, and nothing that can be sent back."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise RequestError(f"the request has text that is none: {error.reason}") from error
