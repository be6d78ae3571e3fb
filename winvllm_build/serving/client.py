"""The client of a chat: one request at a time to any server of OpenAI's protocol, its answer as it comes."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from winvllm_build.errors import EngineError, UsageError

CONNECT_SECONDS: Final = 5.0
SILENT_SECONDS: Final = 600.0
"""A long prompt on a slow machine says nothing for so long."""
DONE: Final = "[DONE]"
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
    """How the next token is drawn; None leaves it to the server."""

    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None

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
            UsageError: that is no address.
        """
        self.url = base_url(url)
        self._client = httpx2.Client(
            headers={} if api_key is None else {"Authorization": f"Bearer {api_key}"},
            timeout=httpx2.Timeout(SILENT_SECONDS, connect=CONNECT_SECONDS),
            trust_env=not _is_here(self.url),
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
            answer = self._client.get(f"{self.url}/v1/models")
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
        try:
            with self._client.stream("POST", f"{self.url}/v1/chat/completions", json=body) as answer:
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
    """An address without `/v1` or a slash at its end.

    Raises:
        UsageError: it is none.
    """
    named = text if "://" in text else f"http://{text}"
    try:
        found = httpx2.URL(named)
    except httpx2.InvalidURL as error:
        raise UsageError(
            f'--url "{text}" is no address: {error}', fix="--url http://127.0.0.1:8100"
        ) from error
    if found.scheme not in {"http", "https"} or not found.host:
        raise UsageError(f'--url "{text}" is no address', fix="--url http://127.0.0.1:8100")
    return named.rstrip("/").removesuffix("/v1").rstrip("/")


def _is_here(url: str) -> bool:
    """This machine, which no proxy stands before."""
    host = httpx2.URL(url).host
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _pieces(answer: httpx2.Response) -> Iterator[Piece]:
    for event in httpx2.EventSource(answer):
        if event.data == DONE:
            return
        try:
            data = json.loads(event.data)
        except ValueError as error:
            raise EngineError(
                f"the server sent what is no JSON: {event.data[:100]}", fix=START_FIX
            ) from error
        if "error" in data:
            raise EngineError(
                f"the answer broke off: {_message(data)}", fix="look at the server's own output"
            )
        yield _piece(data)


def _piece(data: Mapping[str, Any]) -> Piece:
    choice: Mapping[str, Any] = next(iter(data.get("choices") or ()), {})
    delta = choice.get("delta") or {}
    return Piece(
        text=delta.get("content") or "",
        reasoning=delta.get("reasoning") or delta.get("reasoning_content") or "",
        finish=choice.get("finish_reason"),
        usage=data.get("usage"),
    )


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
