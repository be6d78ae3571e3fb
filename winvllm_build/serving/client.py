"""The client of a chat: one request at a time to any server of OpenAI's protocol, its answer as it comes."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import math
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from winvllm_build.errors import EngineError, UsageError
from winvllm_build.serving.background import Line, apart

CONNECT_SECONDS: Final = 5.0
SILENT_SECONDS: Final = 600.0
"""A long prompt on a slow machine says nothing for so long."""
MODELS_SECONDS: Final = 30.0
DONE: Final = "[DONE]"
URL_FIX: Final = "--url http://127.0.0.1:8100"
ENDS: Final = ("/chat/completions", "/completions", "/models", "/v1")
"""What addresses are copied with, the longer before what is left of it."""
USER: Final = re.compile(r"(?<=//)[^/?#]*@")
"""The name and password in an address."""
START_FIX: Final = "start one: winvllm-build serve MODEL; or name another: --url"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of an answer.

    Attributes:
        text: of the answer itself.
        reasoning: of what a model thinks before it.
        finish: why the answer ended.
        usage: what it took, told once at the end.
    """

    text: str = ""
    reasoning: str = ""
    finish: str | None = None
    usage: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How the next token is drawn; None leaves it to the server.

    Raises:
        UsageError: a value is no number, or below what any server takes.
    """

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        for name, value, fits in (
            ("--max-tokens", self.max_tokens, (self.max_tokens or 0) >= 1),
            ("--temperature", self.temperature, 0 <= (self.temperature or 0) < math.inf),
            ("--top-p", self.top_p, 0 < (self.top_p or 0) <= 1),
        ):
            if value is not None and not fits:
                raise UsageError(
                    f"{name} {value} is out of range", fix=f"{name} 1, or leave it to the server"
                )

    def as_data(self) -> dict[str, object]:
        named = dataclasses.asdict(self)
        return {name: value for name, value in named.items() if value is not None}


class ChatClient:
    """A connection to one server; closing it cancels what runs."""

    def __init__(self, url: str, *, api_key: str | None) -> None:
        """Nothing is sent yet.

        Args:
            url: the server, with or without `/v1` at its end.
            api_key: what it asks for.

        Raises:
            UsageError: that is no address, or no key.
        """
        self._base = base_url(url)
        self.url = USER.sub("", self._base)
        key = _checked(api_key)
        self._client = httpx2.Client(
            headers={} if key is None else {"Authorization": f"Bearer {key}"},
            timeout=httpx2.Timeout(SILENT_SECONDS, connect=CONNECT_SECONDS),
            trust_env=not _is_here(self._base),
            limits=httpx2.Limits(max_keepalive_connections=0),  # one that a server closed while we were idle
        )

    def close(self) -> None:
        self._client.close()

    def models(self) -> tuple[str, ...]:
        """The names that the server's model answers to.

        Raises:
            EngineError: there is no such server.
            UsageError: it asks for another key.
        """
        try:
            answer = self._client.get(f"{self._base}/v1/models", timeout=MODELS_SECONDS)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error
        self._check(answer)
        try:
            return tuple(str(entry["id"]) for entry in answer.json()["data"])
        except (ValueError, KeyError, TypeError) as error:
            raise EngineError(f"{self.url} is no server of OpenAI's protocol", fix=START_FIX) from error

    def chat(
        self, model: str, messages: Sequence[Mapping[str, str]], sampling: Sampling
    ) -> Generator[Piece, None, None]:
        """The answer to the last message, piece by piece; closed earlier, the server stops computing it.

        Raises:
            EngineError: the server has gone, or fails.
            UsageError: it refuses the request.
        """
        body = {
            "model": model, "messages": list(messages), "stream": True,
            "stream_options": {"include_usage": True}, **sampling.as_data(),
        }  # fmt: skip
        line = Line()
        yield from apart(self._answered(body, line), line.cut)

    def _answered(self, body: Mapping[str, object], line: Line) -> Iterator[Piece]:
        place, traced = f"{self._base}/v1/chat/completions", {"trace": line.trace}
        try:
            with self._client.stream("POST", place, json=body, extensions=traced) as answer:
                if answer.status_code != httpx2.codes.OK:
                    answer.read()
                    self._check(answer)
                yield from _pieces(answer)
        except httpx2.HTTPError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: httpx2.HTTPError) -> EngineError:
        if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout):
            return EngineError(f"no server answers at {self.url}", fix=START_FIX)
        return EngineError(
            f"{self.url}: {str(error) or type(error).__name__}", fix="look at the server's own output"
        )

    def _check(self, answer: httpx2.Response) -> None:
        if answer.status_code == httpx2.codes.OK:
            return
        said = _said(answer)
        if answer.status_code in {httpx2.codes.UNAUTHORIZED, httpx2.codes.FORBIDDEN}:
            raise UsageError(f"{self.url} asks for another key: {said}", fix="--api-key KEY, or VLLM_API_KEY")
        if answer.status_code < httpx2.codes.INTERNAL_SERVER_ERROR:
            raise UsageError(
                f"{self.url} refuses: {said}", fix="/clear begins anew; --model names another model"
            )
        raise EngineError(
            f"{self.url} fails ({answer.status_code}): {said}", fix="look at the server's own output"
        )


def base_url(text: str) -> str:
    """An address without `/v1`, what follows it, or a slash at its end.

    Raises:
        UsageError: it is none.
    """
    text = text.strip()
    named = text if "://" in text else f"http://{text}"
    shown = USER.sub("", named)
    try:
        found = httpx2.URL(named)
        found.raw_host.decode("ascii").encode("idna")  # as it is looked up
    except (httpx2.InvalidURL, UnicodeError) as error:
        raise UsageError(f'--url "{shown}" is no address: {USER.sub("", str(error))}', fix=URL_FIX) from error
    if found.scheme not in {"http", "https"} or not found.host:
        raise UsageError(f'--url "{shown}" is no address', fix=URL_FIX)
    named = named.rstrip("/")
    for end in ENDS:
        named = named.removesuffix(end).rstrip("/")
    return named


def _checked(key: str | None) -> str | None:
    """A key as a header can carry it; one that was read from a file has a line end.

    Raises:
        UsageError: it has letters that no header takes; they are not told.
    """
    key = (key or "").strip()
    if not (key.isascii() and key.isprintable()):
        raise UsageError(
            "the API key has letters that no server takes: a line end inside, or others than ASCII's",
            fix="copy it again: --api-key KEY, or VLLM_API_KEY",
        )
    return key or None


def _is_here(url: str) -> bool:
    """This machine, which no proxy stands before."""
    host = httpx2.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _pieces(answer: httpx2.Response) -> Iterator[Piece]:
    finished = False
    for event in httpx2.EventSource(answer):
        if event.data == DONE:
            return
        try:
            data = json.loads(event.data)
        except ValueError as error:
            raise EngineError(
                f"the server sent what is no JSON: {event.data[:100]}", fix=START_FIX
            ) from error
        if not isinstance(data, Mapping):
            raise EngineError(f"the server sent what is no answer: {event.data[:100]}", fix=START_FIX)
        if data.get("error"):
            raise EngineError(
                f"the answer broke off: {_message(data)}", fix="look at the server's own output"
            )
        piece = _piece(data)
        finished = finished or piece.finish is not None
        yield piece
    if not finished:  # without a length, a server that dies ends its answer as one that is done
        raise EngineError("the answer broke off: the server hung up", fix="look at the server's own output")


def _piece(data: Mapping[str, Any]) -> Piece:
    """What a chunk holds; what has another type than the protocol says counts as left out."""
    choices = data.get("choices")
    choice = _mapping(choices[0]) if isinstance(choices, list) and choices else {}
    delta = _mapping(choice.get("delta"))
    return Piece(
        text=_text(delta.get("content")),
        reasoning=_text(delta.get("reasoning")) or _text(delta.get("reasoning_content")),
        finish=_text(choice.get("finish_reason")) or None,
        usage=_mapping(data.get("usage")) or None,
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _said(answer: httpx2.Response) -> str:
    try:
        return _message(answer.json())
    except ValueError:
        return answer.text.strip()[:300] or answer.reason_phrase


def _message(data: object) -> str:
    """The message of an error, in the shapes that servers give it."""
    if not isinstance(data, Mapping):
        return str(data)
    inner = data.get("error", data)
    found = inner.get("message") or inner.get("detail") if isinstance(inner, Mapping) else inner
    return str(found or data)
