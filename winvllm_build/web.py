"""The client of the package index: pip's certificates and proxy, short patience, retries, byte ranges."""

from __future__ import annotations

import contextlib
import io
import os
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import httpx2
from unearth.auth import MultiDomainBasicAuth
from unearth.fetchers import PyPIClient

from winvllm_build.errors import OfflineError, RefusedError, ToolchainError
from winvllm_build.pip_settings import PipSettings

ATTEMPTS: Final = 4
BACKOFF_SECONDS: Final = 0.25
CONNECT_SECONDS: Final = 6.0
"""A machine without a network has to notice it within seconds, whatever pip's own patience is."""
TRANSIENT: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
REFUSALS: Final = frozenset({401, 403, 407})
WHOLE: Final = {"Accept-Encoding": "identity"}
"""Ask for the stored bytes: a hash is over those, not over what a proxy compresses."""
GAP: Final = 256 * 1024
"""Two spans closer than this are fetched as one: a request costs more than the bytes between them."""
BLOCK: Final = 1 << 20
PARTIAL_CONTENT: Final = 206
RANGE_NOT_SATISFIABLE: Final = 416


class TruncatedError(httpx2.TransportError):
    """The connection ended before the promised bytes were there."""


class Client(PyPIClient):
    """unearth's client, asking again after a transient failure; `refused` is who answered 401, 403 or 407."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - as overridden
        super().__init__(**options)
        self.refused: dict[str, int] = {}

    def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:  # noqa: ANN401 - as overridden
        for attempt in range(ATTEMPTS):
            last = attempt == ATTEMPTS - 1
            try:
                response = super().send(request, **options)
            except httpx2.TransportError:
                if last or request.url.scheme == "file":
                    raise
            else:
                if response.status_code not in TRANSIENT:
                    if response.status_code in REFUSALS:
                        self.refused[request.url.host] = response.status_code
                    return response
                if last:
                    response.close()
                    raise httpx2.HTTPStatusError(
                        f"the server answers {response.status_code}", request=request, response=response
                    )
                response.close()
            time.sleep(BACKOFF_SECONDS * 2**attempt)
        raise AssertionError  # the last attempt returns or raises


def client(settings: PipSettings, index_urls: Sequence[str]) -> Client:
    """A client that trusts what pip trusts.

    Raises:
        ToolchainError: the configured certificate file cannot be read.
    """
    patience = min(settings.timeout, 60.0)
    made = Client(
        trusted_hosts=settings.trusted_hosts,
        verify=_trust(settings.certificates),
        cert=settings.client_certificate,
        timeout=httpx2.Timeout(patience, connect=min(patience, CONNECT_SECONDS)),
        follow_redirects=True,
        proxy=settings.proxy,
    )
    made.auth = MultiDomainBasicAuth(prompting=False, index_urls=list(index_urls))
    return made


def _trust(certificates: str | None) -> ssl.SSLContext | bool:
    if certificates is None:
        return True
    path = Path(certificates)
    try:
        return ssl.create_default_context(
            cafile=None if path.is_dir() else str(path), capath=str(path) if path.is_dir() else None
        )
    except OSError as error:
        raise ToolchainError(
            f"pip's certificate file {certificates} cannot be read: {error.strerror or error}",
            fix="correct `cert` in pip's configuration or the variable PIP_CERT",
        ) from error


@contextlib.contextmanager
def network_errors(what: str, fix: str) -> Iterator[None]:
    """Turn what the network does into one `OfflineError` (no answer) or `RefusedError`."""
    try:
        yield
    except httpx2.HTTPStatusError as error:
        if error.response.status_code in TRANSIENT:
            raise OfflineError(f"cannot get {what}: {error}", fix=fix) from error
        raise RefusedError(
            f"cannot get {what}: the server answers {error.response.status_code}",
            fix="check pip's index-url and its credentials: `pip config list`",
        ) from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        raise OfflineError(f"cannot get {what}: no answer from the network ({reason})", fix=fix) from error


class Progress:
    """Says how far a transfer is, about every two seconds."""

    def __init__(self, what: str, total: int | None, on_event: Callable[[str], None]) -> None:
        self._what, self._total, self._tell = what, total, on_event
        self._done = 0
        self._begun = self._told = time.monotonic()

    def add(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._told >= 2.0:  # noqa: PLR2004 - the rate the docstring names
            self._told = now
            whole = "" if self._total is None else f" of {megabytes(self._total)}"
            self._tell(f"{self._what}: {megabytes(self._done)}{whole}")

    def finish(self) -> None:
        self._tell(f"{self._what}: {megabytes(self._done)} in {time.monotonic() - self._begun:.1f} s")


def megabytes(count: int) -> str:
    return f"{count / 1e6:.1f} MB"


def transfer(web: Client, url: str, target: Path, *, progress: Callable[[int | None], Progress]) -> None:
    """Fetch `url` into `target`, going on where an earlier run stopped.

    Args:
        web: the client.
        url: what to fetch.
        target: a partial file; kept on failure for the next run.
        progress: makes the reporter once the total size is known.

    Raises:
        httpx2.HTTPError: no answer, a refusal, or less than was promised after all attempts.
    """
    for attempt in range(ATTEMPTS):
        try:
            _transfer_once(web, url, target, progress)
        except httpx2.TransportError:
            if attempt == ATTEMPTS - 1:
                raise
            time.sleep(BACKOFF_SECONDS * 2**attempt)
        else:
            return


def _transfer_once(web: Client, url: str, target: Path, progress: Callable[[int | None], Progress]) -> None:
    have = target.stat().st_size if target.exists() else 0
    headers = WHOLE | ({"Range": f"bytes={have}-"} if have else {})
    with web.get_stream(url, headers=headers) as answer:
        if answer.status_code == RANGE_NOT_SATISFIABLE:
            target.unlink()  # longer than the file, or exactly whole but unproven: start over
            raise TruncatedError("the partial file does not fit", request=answer.request)
        answer.raise_for_status()
        resumed = answer.status_code == PARTIAL_CONTENT
        promised = answer.headers.get("Content-Length")
        expected = None if promised is None else int(promised)
        told = progress(expected)
        got = 0
        with target.open("ab" if resumed else "wb") as file:
            for block in answer.iter_raw(BLOCK):
                file.write(block)
                got += len(block)
                told.add(len(block))
            file.flush()
            os.fsync(file.fileno())
    if expected is not None and got != expected:
        raise TruncatedError(f"{got} of {expected} bytes arrived", request=answer.request)
    told.finish()


class RangedFile(io.RawIOBase):
    """A remote file read like a local one: what is read and not here yet is fetched into a sparse file."""

    def __init__(self, web: Client, url: str, total: int, local: BinaryIO) -> None:
        super().__init__()
        self._web, self._url, self._total, self._local = web, url, total, local
        self._here: list[tuple[int, int]] = []
        self._position = 0
        self.fetched = 0
        self.requests = 0
        local.truncate(total)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._local.close()
        super().close()

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._total}[whence]
        if base + offset < 0:
            raise OSError("seek before the start of the file")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - typeshed's buffer protocol needs Python 3.12
        view = memoryview(buffer)
        count = max(0, min(len(view), self._total - self._position))
        self.ensure([(self._position, self._position + count)])
        self._local.seek(self._position)
        data = self._local.read(count)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def ensure(
        self, spans: Sequence[tuple[int, int]], *, on_bytes: Callable[[int], None] | None = None
    ) -> None:
        """Have these spans of bytes (start, end) locally; neighbours are fetched together."""
        for start, end in coalesce(spans, gap=GAP):
            for missing in self._missing(start, min(end, self._total)):
                self._fetch(*missing, on_bytes=on_bytes)

    def _missing(self, start: int, end: int) -> list[tuple[int, int]]:
        holes: list[tuple[int, int]] = []
        for here_start, here_end in self._here:
            if here_end <= start or here_start >= end:
                continue
            if here_start > start:
                holes.append((start, here_start))
            start = max(start, here_end)
        if start < end:
            holes.append((start, end))
        return holes

    def _fetch(self, start: int, end: int, *, on_bytes: Callable[[int], None] | None) -> None:
        for attempt in range(ATTEMPTS):
            try:
                self._fetch_once(start, end, on_bytes)
            except httpx2.TransportError:
                if attempt == ATTEMPTS - 1:
                    raise
                time.sleep(BACKOFF_SECONDS * 2**attempt)
            else:
                break
        self._here = coalesce([*self._here, (start, end)], gap=0)

    def _fetch_once(self, start: int, end: int, on_bytes: Callable[[int], None] | None) -> None:
        headers = WHOLE | {"Range": f"bytes={start}-{end - 1}"}
        self.requests += 1
        got = 0
        with self._web.get_stream(self._url, headers=headers) as answer:
            answer.raise_for_status()
            if range_total(answer) != self._total:
                raise TruncatedError("the file changed while it was read", request=answer.request)
            self._local.seek(start)
            for block in answer.iter_raw(BLOCK):
                if got + len(block) > end - start:
                    raise TruncatedError("more bytes than asked for", request=answer.request)
                self._local.write(block)
                got += len(block)
                if on_bytes is not None:
                    on_bytes(len(block))
        if got != end - start:
            raise TruncatedError(f"{got} of {end - start} bytes arrived", request=answer.request)
        self.fetched += got


def range_total(answer: httpx2.Response) -> int | None:
    """The whole file's size from the `Content-Range` of a 206 answer; None if it is no such answer."""
    if answer.status_code != PARTIAL_CONTENT:
        return None
    _, _, total = answer.headers.get("Content-Range", "").rpartition("/")
    return int(total) if total.isdigit() else None


def ranged_size(web: Client, url: str) -> int | None:
    """The size of a remote file whose server hands out byte ranges; None where it does not."""
    with web.get_stream(url, headers=WHOLE | {"Range": "bytes=0-0"}) as answer:
        answer.raise_for_status()
        return range_total(answer)


def coalesce(spans: Sequence[tuple[int, int]], *, gap: int) -> list[tuple[int, int]]:
    """Join spans (start, end) that overlap or lie less than `gap` bytes apart; empty ones vanish."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if joined and start - joined[-1][1] <= gap:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined
