"""The package index against a small server of the test's own: ranges or none, faults, cache, offline."""

from __future__ import annotations

import io
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.small_index import (
    BULK,
    FILES,
    HEADER,
    LINUX,
    SDIST,
    WHEEL,
    WINDOWS,
    Server,
    digest,
    record_of,
    wheel,
)
from winvllm_build.errors import OfflineError, RefusedError, SourceError
from winvllm_build.index import Index, PlatformTag
from winvllm_build.pip_settings import PipSettings
from winvllm_build.web import coalesce
from winvllm_build.workspace import Workspace


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture
def events() -> list[str]:
    return []


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("winvllm_build.web.BACKOFF_SECONDS", 0.01)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def index_of(tmp_path: Path, url: str, events: list[str], *, offline: bool = False) -> Index:
    return Index(
        Workspace(root=tmp_path / "ws"),
        offline=offline,
        on_event=events.append,
        settings=PipSettings(index_url=url, timeout=5.0),
    )


def get(index: Index, sha256: str) -> Path:
    return index.download("demo", "1.0", sha256=sha256, platform=PlatformTag.LINUX_X86_64, python="3.12")


def headers(index: Index, into: Path, record: str) -> Path:
    return index.members(
        "demo",
        "1.0",
        wanted=lambda name: name.startswith("demo/include/"),
        record_sha256=record,
        into=into,
        platform=PlatformTag.LINUX_X86_64,
        python="3.12",
    )


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("platform", "name"), [(PlatformTag.LINUX_X86_64, LINUX), (PlatformTag.WINDOWS_AMD64, WINDOWS)]
)
def test_finds_the_wheel_of_any_platform(
    tmp_path: Path, server: Server, events: list[str], platform: PlatformTag, name: str
) -> None:
    found = index_of(tmp_path, server.url, events).find("demo", "1.0", platform=platform, python="3.12")
    assert (found.filename, found.sha256) == (name, digest(server.files[name]))


def test_an_unknown_version_lists_the_known(tmp_path: Path, server: Server, events: list[str]) -> None:
    with pytest.raises(SourceError, match=r"it has 1\.0"):
        index_of(tmp_path, server.url, events).find(
            "demo", "2.0", platform=PlatformTag.LINUX_X86_64, python="3.12"
        )


def test_a_local_version_is_another_version(tmp_path: Path, server: Server, events: list[str]) -> None:
    server.files = {LINUX.replace("1.0", "1.0+cpu"): WHEEL}
    with pytest.raises(SourceError, match=r"1\.0\+cpu"):
        index_of(tmp_path, server.url, events).find(
            "demo", "1.0", platform=PlatformTag.LINUX_X86_64, python="3.12"
        )


def test_downloads_once(tmp_path: Path, server: Server, events: list[str]) -> None:
    index = index_of(tmp_path, server.url, events)
    path = get(index, digest(WHEEL))
    assert path.read_bytes() == WHEEL
    assert path == tmp_path / "ws" / "downloads" / digest(WHEEL) / LINUX
    asked = len(server.seen)
    assert get(index, digest(WHEEL)) == path
    assert len(server.seen) == asked
    assert any("3.0 MB" in event for event in events)


def test_a_damaged_cached_file_is_replaced(tmp_path: Path, server: Server, events: list[str]) -> None:
    index = index_of(tmp_path, server.url, events)
    path = get(index, digest(WHEEL))
    path.write_bytes(WHEEL[:-1])
    assert get(index, digest(WHEEL)).read_bytes() == WHEEL
    assert any("damaged" in event for event in events)


def test_the_page_names_another_hash(tmp_path: Path, server: Server, events: list[str]) -> None:
    with pytest.raises(SourceError) as caught:
        get(index_of(tmp_path, server.url, events), "0" * 64)
    assert "0" * 64 in caught.value.message
    assert digest(WHEEL) in caught.value.message


def test_the_content_has_another_hash(tmp_path: Path, server: Server, events: list[str]) -> None:
    server.hashes[LINUX] = "a" * 64
    with pytest.raises(SourceError) as caught:
        get(index_of(tmp_path, server.url, events), "a" * 64)
    assert "a" * 64 in caught.value.message
    assert digest(WHEEL) in caught.value.message
    assert [p.name for p in (tmp_path / "ws" / "downloads").rglob("*.whl*")] == []


def test_goes_on_where_a_killed_run_stopped(tmp_path: Path, server: Server, events: list[str]) -> None:
    folder = tmp_path / "ws" / "downloads" / digest(WHEEL)
    folder.mkdir(parents=True)
    (folder / f".{LINUX}.part").write_bytes(WHEEL[:2_000_000])
    assert get(index_of(tmp_path, server.url, events), digest(WHEEL)).read_bytes() == WHEEL
    assert (f"/files/{LINUX}", "bytes=2000000-") in server.seen
    assert server.sent < len(WHEEL)


@pytest.mark.parametrize("left", [b"torn" * 1000, WHEEL, WHEEL + b"more"])
def test_a_torn_partial_file_is_started_over(
    tmp_path: Path, server: Server, events: list[str], left: bytes
) -> None:
    folder = tmp_path / "ws" / "downloads" / digest(WHEEL)
    folder.mkdir(parents=True)
    (folder / f".{LINUX}.part").write_bytes(left)
    assert get(index_of(tmp_path, server.url, events), digest(WHEEL)).read_bytes() == WHEEL


@pytest.mark.parametrize("ranges", [True, False])
def test_a_truncated_answer_is_completed(
    tmp_path: Path,
    server: Server,
    events: list[str],
    ranges: bool,  # noqa: FBT001 - a parametrized value
) -> None:
    server.ranges = ranges
    server.cut_at = 1_000_000
    assert get(index_of(tmp_path, server.url, events), digest(WHEEL)).read_bytes() == WHEEL


def test_a_transient_failure_is_asked_again(tmp_path: Path, server: Server, events: list[str]) -> None:
    server.fail_first = 2
    assert get(index_of(tmp_path, server.url, events), digest(WHEEL)).read_bytes() == WHEEL


def test_a_failing_server_is_no_network(tmp_path: Path, server: Server, events: list[str]) -> None:
    server.fail_first = 1000
    with pytest.raises(OfflineError, match="503"):
        get(index_of(tmp_path, server.url, events), digest(WHEEL))


def test_a_missing_file(tmp_path: Path, server: Server, events: list[str]) -> None:
    page = server.page()
    server.files = {}
    server.page = lambda: page  # type: ignore[method-assign]
    with pytest.raises(RefusedError, match="404"):
        get(index_of(tmp_path, server.url, events), digest(WHEEL))


def test_no_network_is_noticed_within_seconds(tmp_path: Path, server: Server, events: list[str]) -> None:
    url = server.url
    server.server_close()
    begun = time.monotonic()
    with pytest.raises(OfflineError, match=r"demo 1\.0") as caught:
        get(index_of(tmp_path, url, events), digest(WHEEL))
    assert time.monotonic() - begun < 10
    assert caught.value.fix is not None


def test_offline_takes_the_cache_alone(tmp_path: Path, server: Server, events: list[str]) -> None:
    offline = index_of(tmp_path, server.url, events, offline=True)
    with pytest.raises(OfflineError, match=r"demo 1\.0"):
        get(offline, digest(WHEEL))
    assert server.seen == []
    path = get(index_of(tmp_path, server.url, events), digest(WHEEL))
    assert get(offline, digest(WHEEL)) == path


def test_a_folder_of_links_works_offline(tmp_path: Path, events: list[str]) -> None:
    links = tmp_path / "wheels"
    links.mkdir()
    (links / LINUX).write_bytes(WHEEL)
    settings = PipSettings(no_index=True, find_links=(str(links),))
    index = Index(Workspace(root=tmp_path / "ws"), offline=True, on_event=events.append, settings=settings)
    assert get(index, digest(WHEEL)).read_bytes() == WHEEL
    into = headers(index, tmp_path / "headers", record_of(WHEEL))
    assert names_in(into) == {"demo/include/a.h", "demo/include/z.h"}


@pytest.mark.parametrize("ranges", [True, False])
def test_takes_members_of_a_wheel(
    tmp_path: Path,
    server: Server,
    events: list[str],
    ranges: bool,  # noqa: FBT001 - a parametrized value
) -> None:
    server.ranges = ranges
    into = headers(index_of(tmp_path, server.url, events), tmp_path / "headers", record_of(WHEEL))
    assert names_in(into) == {"demo/include/a.h", "demo/include/z.h"}
    assert (into / "demo/include/z.h").read_bytes() == HEADER + b"z"
    assert (server.sent < BULK / 2) is ranges


def test_taken_members_are_not_taken_again(tmp_path: Path, server: Server, events: list[str]) -> None:
    index = index_of(tmp_path, server.url, events)
    headers(index, tmp_path / "headers", record_of(WHEEL))
    asked = len(server.seen)
    headers(index, tmp_path / "headers", record_of(WHEEL))
    assert len(server.seen) == asked


def test_record_can_be_pinned(tmp_path: Path, server: Server, events: list[str]) -> None:
    index = index_of(tmp_path, server.url, events)
    found = index.record_sha256("demo", "1.0", platform=PlatformTag.LINUX_X86_64, python="3.12")
    assert found == record_of(WHEEL)
    assert server.sent < BULK / 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (wheel(FILES, lie="demo/include/a.h"), "demo/include/a.h"),
        (wheel({"demo/include/../../x.h": b""}), "demo/include/../../x.h"),
        (wheel({"demo/include/A.h": b"", "demo/include/a.h": b""}), "demo/include/a.h"),
        (wheel({"demo/lib/x": b""}), "none of the wanted"),
        (b"not a zip at all" * 10_000, "not a readable wheel"),
    ],
)
def test_a_wheel_that_is_not_what_it_says(
    tmp_path: Path, server: Server, events: list[str], content: bytes, said: str
) -> None:
    server.files[LINUX] = content
    record = record_of(content) if zipfile.is_zipfile(io.BytesIO(content)) else "0" * 64
    with pytest.raises(SourceError, match=said.replace(".", r"\.")):
        headers(index_of(tmp_path, server.url, events), tmp_path / "headers", record)
    assert not (tmp_path / "headers").exists()


def test_another_record_shows_both_hashes(tmp_path: Path, server: Server, events: list[str]) -> None:
    with pytest.raises(SourceError) as caught:
        headers(index_of(tmp_path, server.url, events), tmp_path / "headers", "0" * 64)
    assert record_of(WHEEL) in caught.value.message
    assert "0" * 64 in caught.value.message
    assert not (tmp_path / "headers").exists()


def test_every_file_of_a_project_whatever_it_runs_on(
    tmp_path: Path, server: Server, events: list[str]
) -> None:
    server.files |= {SDIST: b"archive", "demo-0.9-cp38-cp38-macosx_11_0_arm64.whl": b"old", "x.txt": b""}
    found = index_of(tmp_path, server.url, events).files("demo")
    assert {(one.version, one.filename, one.is_wheel) for one in found} == {
        ("1.0", LINUX, True), ("1.0", WINDOWS, True), ("1.0", SDIST, False),
        ("0.9", "demo-0.9-cp38-cp38-macosx_11_0_arm64.whl", True),
    }  # fmt: skip
    assert found[-1].version == "0.9"
    assert index_of(tmp_path, server.url, events, offline=True).files("demo") == ()


def test_the_list_of_an_index_that_does_not_answer(tmp_path: Path, events: list[str]) -> None:
    with pytest.raises(OfflineError, match="the list of demo"):
        index_of(tmp_path, "http://127.0.0.1:9/simple", events).files("demo")


def test_a_file_without_a_hash_is_believed_once(tmp_path: Path, server: Server, events: list[str]) -> None:
    """What was hashed is what later runs take from the cache, whatever the index has then."""
    server.files[SDIST], server.hashes[SDIST] = b"archive", ""
    index = index_of(tmp_path, server.url, events)
    (archive,) = [one for one in index.files("demo") if not one.is_wheel]
    assert archive.sha256 is None
    made = index.hashed(archive)
    assert made.sha256 == digest(b"archive")
    server.files[SDIST] = b"another"
    offline = index_of(tmp_path, server.url, events, offline=True)
    taken = offline.download("demo", "1.0", sha256=made.sha256, sdist=True)
    assert (taken.name, taken.read_bytes()) == (SDIST, b"archive")


def test_a_hash_the_index_says_needs_no_download(tmp_path: Path, server: Server, events: list[str]) -> None:
    index = index_of(tmp_path, server.url, events)
    wheel_of = next(one for one in index.files("demo") if one.filename == WINDOWS)
    assert index.hashed(wheel_of) is wheel_of
    assert not any(path.startswith("/files/") for path, _ in server.seen)


def test_a_file_of_a_folder_is_hashed_where_it_lies(tmp_path: Path, events: list[str]) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / SDIST).write_bytes(b"archive")
    settings = PipSettings(no_index=True, find_links=(str(tmp_path / "links"),))
    index = Index(Workspace(root=tmp_path / "ws"), on_event=events.append, settings=settings)
    assert index.hashed(index.files("demo")[0]).sha256 == digest(b"archive")


def test_near_spans_are_fetched_together() -> None:
    assert coalesce([(50, 60), (0, 10), (12, 20), (5, 5)], gap=5) == [(0, 20), (50, 60)]
