"""The service behind GitHub's Actions cache, version 2, as far as sccache asks it: entries in memory.

Messages are Protocol Buffers over Twirp (`github.actions.results.api.v1.CacheService`), contents block blobs
of Azure behind signed addresses. Version 1 (`_apis/artifactcache`), which GitHub has shut down, is refused.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final
from urllib.parse import parse_qs, urlsplit

TWIRP: Final = "/twirp/github.actions.results.api.v1.CacheService/"
BYTES_FIELD: Final = 2
VARINT_FIELD: Final = 0


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def texts_of(message: bytes) -> dict[int, bytes]:
    """The fields of a message that hold bytes, texts or messages, by their numbers."""
    found: dict[int, bytes] = {}
    position = 0

    def number() -> int:
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while position < len(message):
        tag = number()
        length = number()
        if tag & 7 == BYTES_FIELD:
            found[tag >> 3] = message[position : position + length]
            position += length
        else:
            assert tag & 7 == VARINT_FIELD
    return found


def answer(*texts: str) -> bytes:
    """`ok`, and texts from field 2 on."""
    fields = [
        varint(2 + i << 3 | BYTES_FIELD) + varint(len(text)) + text.encode() for i, text in enumerate(texts)
    ]
    return b"".join([b"\x08\x01", *fields])


@dataclass(slots=True)
class GitHubCache:
    """What was asked, and what is kept.

    Attributes:
        token: what a request has to show.
        asked: methods and paths, in their order.
        entries: finished entries by key and version, as paths of blobs.
        blobs: contents by path; blocks that are not joined yet by path and number.
    """

    token: str
    base: str = ""
    asked: list[str] = field(default_factory=list)
    entries: dict[tuple[bytes, bytes], str] = field(default_factory=dict)
    begun: dict[tuple[bytes, bytes], str] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self, method: str, message: bytes) -> bytes:
        """The answer to one call; empty, which says not `ok`, for what is not there."""
        texts = texts_of(message)
        match method:
            case "CreateCacheEntry":
                name = texts[2], texts[3]
                if name in self.entries:
                    return b""
                self.begun[name] = f"/blob/{len(self.begun)}"
                return answer(f"{self.base}{self.begun[name]}?sig=signed")
            case "FinalizeCacheEntryUpload":
                name = texts[2], texts[4]
                self.entries[name] = self.begun[name]
                return b"\x08\x01\x10\x01"
            case "GetCacheEntryDownloadURL":
                found = self.entries.get((texts[2], texts[4]))
                return answer(f"{self.base}{found}?sig=signed", texts[2].decode()) if found else b""
            case _:
                raise AssertionError(method)

    def put(self, path: str, query: dict[str, list[str]], content: bytes) -> None:
        """A whole blob, a block of one, or the end of its blocks."""
        what = query.get("comp", [""])[0]
        if what == "block":
            self.blobs[f"{path} {query['blockid'][0]}"] = content
        elif what == "blocklist":
            names = [part.split(b"<")[0].decode() for part in content.split(b"<Latest>")[1:]]
            self.blobs[path] = b"".join(self.blobs.pop(f"{path} {name}") for name in names)
        else:
            self.blobs[path] = content


class _Handler(BaseHTTPRequestHandler):
    cache: GitHubCache

    def answered(self, status: int, content: bytes = b"", kind: str = "application/protobuf") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def handled(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = urlsplit(self.path)
        with self.cache.lock:
            self.cache.asked.append(f"{self.command} {asked.path}")
            if asked.path.startswith(TWIRP):
                if self.headers.get("Authorization") != f"Bearer {self.cache.token}":
                    return self.answered(401)
                return self.answered(200, self.cache.call(asked.path.removeprefix(TWIRP), sent))
            if not asked.path.startswith("/blob/"):
                return self.answered(422, b"this legacy service is shut down", "text/plain")
            if self.command == "PUT":
                self.cache.put(asked.path, parse_qs(asked.query), sent)
                return self.answered(201)
            kept = self.cache.blobs.get(asked.path)
            return (
                self.answered(404) if kept is None else self.answered(200, kept, "application/octet-stream")
            )

    def log_message(self, *_: object) -> None:
        """Nothing: a test asks what was asked."""


@contextlib.contextmanager
def github_cache(token: str) -> Iterator[GitHubCache]:
    """Serve it on a free port of this machine."""
    cache = GitHubCache(token=token)
    methods = {f"do_{method}": _Handler.handled for method in ("GET", "HEAD", "POST", "PUT", "PATCH")}
    handler = type("Handler", (_Handler,), {"cache": cache, **methods})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        cache.base = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield cache
        finally:
            server.shutdown()
