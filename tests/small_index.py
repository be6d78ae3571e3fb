"""A package index of one project: it says what its server is told to say, and misbehaves as it is told."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LINUX = "demo-1.0-cp312-cp312-manylinux_2_28_x86_64.whl"
SDIST = "demo-1.0.tar.gz"
WINDOWS = "demo-1.0-cp312-cp312-win_amd64.whl"
RECORD = "demo-1.0.dist-info/RECORD"
HEADER = b"#pragma once\n" * 100
BULK = 3_000_000
"""Bytes of the member nobody wants; far more than the gap that is fetched along."""


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def wheel(files: dict[str, bytes], *, lie: str | None = None) -> bytes:
    """A stored wheel with a RECORD; the member `lie` is recorded with another content's hash."""
    rows = []
    for name, content in files.items():
        told = base64.urlsafe_b64encode(hashlib.sha256(b"x" if name == lie else content).digest())
        rows.append(f"{name},sha256={told.rstrip(b'=').decode()},{len(content)}")
    record = "\n".join([*rows, f"{RECORD},,"]).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in {**files, RECORD: record}.items():
            archive.writestr(name, content)
    return out.getvalue()


def record_of(content: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return digest(archive.read(RECORD))


FILES = {"demo/include/a.h": HEADER, "demo/lib/big.bin": b"\0" * BULK, "demo/include/z.h": HEADER + b"z"}
WHEEL = wheel(FILES)


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers.get("Range", "")))
        if self.server.fail_first > 0:
            self.server.fail_first -= 1
            self.send_error(503)
            return
        if self.path == "/simple/demo/":
            self._answer(200, self.server.page().encode(), "text/html")
            return
        content = self.server.files.get(self.path.removeprefix("/files/"))
        if content is None:
            self.send_error(404)
            return
        self._file(content)

    def _file(self, content: bytes) -> None:
        asked = self.headers.get("Range")
        if asked is None or not self.server.ranges:
            self._answer(200, content, "application/octet-stream")
            return
        first, _, last = asked.removeprefix("bytes=").partition("-")
        start, end = int(first), int(last) + 1 if last else len(content)
        if start >= len(content):
            self.send_error(416)
            return
        self._answer(
            206, content[start:end], "application/octet-stream", f"bytes {start}-{end - 1}/{len(content)}"
        )

    def _answer(self, status: int, body: bytes, kind: str, content_range: str | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        if content_range is not None:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        cut = self.server.cut_at if kind != "text/html" and len(body) > self.server.cut_at > 0 else len(body)
        if cut < len(body):
            self.server.cut_at = 0
        self.wfile.write(body[:cut])
        self.server.sent += cut

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """`files` by name; `hashes` overrides what the page says; the other fields make it misbehave."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {LINUX: WHEEL, WINDOWS: wheel({"demo/w.h": b"w"})}
        self.hashes: dict[str, str] = {}
        self.ranges = True
        self.fail_first = 0
        self.cut_at = 0
        self.sent = 0
        self.seen: list[tuple[str, str]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/simple"

    def page(self) -> str:
        return "".join(
            f'<a href="/files/{name}{self.fragment(name, content)}">{name}</a>\n'
            for name, content in self.files.items()
        )

    def fragment(self, name: str, content: bytes) -> str:
        """What the page says of a file's hash; an empty override says nothing."""
        told = self.hashes.get(name, digest(content))
        return f"#sha256={told}" if told else ""
