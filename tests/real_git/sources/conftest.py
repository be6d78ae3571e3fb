"""A small upstream, how its source is taken, and a server that refuses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.small_source import FILES, PACKING, TAG, Answers, Take, commit_files, git, make_sdist
from winvllm_build.choices import SourceKind
from winvllm_build.git import Oid
from winvllm_build.index import Index
from winvllm_build.pip_settings import PipSettings
from winvllm_build.sources.pins import SdistPin, SourcePin
from winvllm_build.sources.source import Source, acquire
from winvllm_build.workspace import Workspace, sha256_of


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    folder.mkdir()
    git(folder, "init", "--quiet")
    commit_files(folder, {"old.txt": b"history\n"}, "v0.9")
    git(folder, "rm", "--quiet", "old.txt")
    commit_files(folder, FILES, TAG)
    return folder


@pytest.fixture
def sdist(tmp_path: Path) -> Path:
    folder = tmp_path / "links"
    folder.mkdir()
    return make_sdist(folder, {**FILES, **PACKING})


@pytest.fixture
def pin(upstream: Path, sdist: Path) -> SourcePin:
    commit = Oid(git(upstream, "rev-parse", f"{TAG}^{{commit}}"))
    archive = SdistPin(project="demo", version="1.0", sha256=sha256_of(sdist))
    return SourcePin(tag=TAG, url=upstream.as_uri(), commit=commit, sdist=archive)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(root=tmp_path / "ws")


@pytest.fixture
def events() -> list[str]:
    return []


@pytest.fixture
def take(workspace: Workspace, sdist: Path, events: list[str]) -> Take:
    """`acquire` with the local folder of links as its package index."""

    def taken(
        pin: SourcePin,
        kind: SourceKind = SourceKind.AUTO,
        location: Path | None = None,
        *,
        offline: bool = False,
        into: Workspace = workspace,
    ) -> Source:
        settings = PipSettings(no_index=True, find_links=(str(sdist.parent),))
        return acquire(
            pin,
            kind=kind,
            location=None if location is None else str(location),
            workspace=into,
            offline=offline,
            on_event=events.append,
            index=Index(into, offline=offline, on_event=events.append, settings=settings),
        )

    return taken


@pytest.fixture
def refusing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    """A server that answers every request with the parameter."""
    status: int = request.param
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield Answers(url=f"http://127.0.0.1:{server.server_port}", seen=seen)
        server.shutdown()
        thread.join()
