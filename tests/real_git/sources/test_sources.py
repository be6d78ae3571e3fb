"""Sources from real repositories, folders and archives, with faults, hostile settings and killed runs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.small_source import (
    FILES,
    PACKING,
    TAG,
    Answers,
    Take,
    bytes_in,
    git,
    make_sdist,
    tree_at,
    unheard,
    unreachable,
)
from winvllm_build import git as door
from winvllm_build.choices import SourceKind
from winvllm_build.errors import (
    BusyError,
    OfflineError,
    RefusedError,
    SourceError,
    TreeStateError,
)
from winvllm_build.git import Git, GitError, Oid
from winvllm_build.index import Index
from winvllm_build.pip_settings import PipSettings
from winvllm_build.sources.local import import_local
from winvllm_build.sources.pins import SdistPin, SourcePin
from winvllm_build.sources.source import acquire, worktree
from winvllm_build.workspace import Workspace, locked, sha256_of


def test_git_is_taken_first_and_shallow(take: Take, pin: SourcePin, upstream: Path) -> None:
    source = take(pin)
    assert (source.kind, source.commit, source.tree) == (SourceKind.GIT, pin.commit, tree_at(upstream, TAG))
    assert git(source.repository, "rev-list", "--count", source.commit) == "1"
    assert git(source.repository, "for-each-ref", "--format=%(refname) %(objectname)") == (
        f"refs/winvllm/{TAG}/base-git {pin.commit}"
    )


def test_cached_source_needs_no_network(take: Take, pin: SourcePin, tmp_path: Path) -> None:
    first = take(pin)
    again = take(unreachable(pin, tmp_path), offline=True)
    assert (again.commit, again.tree) == (first.commit, first.tree)


def test_moved_tag(take: Take, pin: SourcePin, upstream: Path, workspace: Workspace) -> None:
    moved = git(upstream, "rev-parse", "v0.9^{commit}")
    git(upstream, "tag", "-f", "-a", TAG, "-m", "moved", moved)
    for kind in (SourceKind.GIT, SourceKind.AUTO):
        with pytest.raises(SourceError) as caught:
            take(pin, kind)
        assert str(pin.commit) in caught.value.message
        assert moved in caught.value.message
    assert git(workspace.sources / "demo" / "repo.git", "for-each-ref") == ""


def test_unknown_tag_lists_the_known(take: Take, pin: SourcePin) -> None:
    with pytest.raises(SourceError) as caught:
        take(replace(pin, tag="v1.0.1"), SourceKind.GIT)
    assert "v0.9, v1.0" in caught.value.message
    assert 'did you mean "v1.0" or "v0.9"?' in caught.value.message


def test_sdist_is_the_tags_tree(
    take: Take, pin: SourcePin, upstream: Path, events: list[str], tmp_path: Path
) -> None:
    source = take(unreachable(pin, tmp_path))
    assert source.kind is SourceKind.SDIST
    assert source.tree == tree_at(upstream, TAG)
    assert any(event.startswith("not taken: cannot reach") for event in events)
    assert take(unreachable(pin, tmp_path)).description.endswith("cached")


def test_sdist_commit_is_the_same_anywhere(
    take: Take, pin: SourcePin, tmp_path: Path, hostile_git: Path
) -> None:
    assert hostile_git.is_file()
    found = {
        (source.commit, source.tree)
        for source in (
            take(pin, SourceKind.SDIST, into=Workspace(root=tmp_path / name))
            for name in ("a", "b c", "\u00fc")
        )
    }
    assert len(found) == 1


def test_wrong_sdist_hash(take: Take, pin: SourcePin, tmp_path: Path) -> None:
    wrong = SdistPin(project="demo", version="1.0", sha256="0" * 64)
    with pytest.raises(SourceError, match="0" * 64) as caught:
        take(replace(unreachable(pin, tmp_path), sdist=wrong))
    assert not isinstance(caught.value, OfflineError)


def test_nothing_to_be_had_names_every_reason(take: Take, pin: SourcePin, tmp_path: Path) -> None:
    with pytest.raises(OfflineError) as caught:
        take(replace(unreachable(pin, tmp_path), sdist=None))
    assert "cannot reach" in caught.value.message
    assert "no source archive is pinned" in caught.value.message


@pytest.mark.parametrize("bare", [False, True])
def test_local_repository(
    take: Take,
    pin: SourcePin,
    upstream: Path,
    tmp_path: Path,
    bare: bool,  # noqa: FBT001 - a parametrized value
) -> None:
    location = upstream
    if bare:
        location = tmp_path / "a bare copy.git"
        git(upstream, "clone", "--quiet", "--bare", ".", str(location))
    source = take(unreachable(pin, tmp_path), SourceKind.LOCAL, location)
    assert (source.kind, source.commit) == (SourceKind.LOCAL, pin.commit)


def test_local_repository_without_the_commit(take: Take, pin: SourcePin, upstream: Path) -> None:
    with pytest.raises(SourceError, match="does not have commit") as caught:
        take(replace(pin, commit=Oid("1" * 40)), SourceKind.LOCAL, upstream)
    assert "fetch" in (caught.value.fix or "")


def test_local_folder_and_archive(
    take: Take, pin: SourcePin, upstream: Path, sdist: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "plain"
    for name, content in {**FILES, **PACKING, "build/x.o": b"", "src/__pycache__/x.pyc": b""}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "run.sh").chmod(0o755)
    tree = tree_at(upstream, TAG)
    if os.name != "nt":  # a Windows folder has no executable bits to take
        assert take(pin, SourceKind.LOCAL, folder).tree == tree
    from_archive = take(pin, SourceKind.LOCAL, sdist)
    assert from_archive.tree == tree
    assert from_archive.commit == take(pin, SourceKind.SDIST).commit


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_local_folder_with_a_link_is_refused(take: Take, pin: SourcePin, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "link").symlink_to("/etc")
    with pytest.raises(SourceError, match="'link'"):
        take(pin, SourceKind.LOCAL, folder)


def test_missing_local_source(take: Take, pin: SourcePin, tmp_path: Path) -> None:
    for location in (None, tmp_path / "none"):
        with pytest.raises(SourceError):
            take(pin, SourceKind.LOCAL, location)


def test_a_wait_for_another_run_is_said(
    take: Take, pin: SourcePin, workspace: Workspace, events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("winvllm_build.workspace.TOLD_AFTER", 0.1)
    lock = workspace.sources / "demo" / "repo.lock"
    with ExitStack() as held:
        held.enter_context(locked(lock, "held by the test"))
        release = threading.Timer(0.5, held.pop_all().close)
        release.start()
        take(pin)
        release.join()
    waited = [event for event in events if event.startswith("waiting for the source repository")]
    assert len(waited) == 1
    assert f"pid {os.getpid()} since" in waited[0]


def test_a_fetch_says_how_far_it_is(
    take: Take, pin: SourcePin, events: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("winvllm_build.sources.fetch_progress.INTERVAL", 0.0)
    configuration = tmp_path / "users.gitconfig"
    configuration.write_text("[fetch]\n\tunpackLimit = 1\n", encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(configuration))
    take(pin)
    said = [event.removeprefix(f"{pin.url}: ") for event in events if event.startswith(f"{pin.url}: ")]
    assert any(event.startswith("receiving objects 100 %") for event in said), events


def test_two_runs_at_once(
    take: Take, pin: SourcePin, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("winvllm_build.sources.source.LOCK_SECONDS", 0.2)
    with locked(workspace.sources / "demo" / "repo.lock", "held by the test"), pytest.raises(BusyError):
        take(pin)


def test_worktree_has_the_blobs_bytes(
    take: Take, pin: SourcePin, workspace: Workspace, hostile_git: Path
) -> None:
    """Upstream's own `eol=crlf` counts; the user's settings do not."""
    assert hostile_git.is_file()
    folder = worktree(take(pin, SourceKind.SDIST), workspace.trees / "a b" / "demo")
    expected = {**FILES, "run.sh": b"#!/bin/sh\r\n"}
    found = bytes_in(folder)
    assert found.keys() == expected.keys()
    assert found["src/latin.bin"] == FILES["src/latin.bin"]
    assert Git(folder).out("status", "--porcelain") == b""


def test_worktree_is_idempotent_and_keeps_work(take: Take, pin: SourcePin, workspace: Workspace) -> None:
    source = take(pin)
    folder = worktree(source, workspace.trees / "t")
    (folder / "kept.log").write_bytes(b"edited")
    assert worktree(source, folder) == folder
    assert (folder / "kept.log").read_bytes() == b"edited"


def test_worktree_refuses_what_is_not_its_own(
    take: Take, pin: SourcePin, workspace: Workspace, upstream: Path, tmp_path: Path
) -> None:
    source = take(pin)
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "mine.txt").write_text("x")
    foreign = tmp_path / "foreign"
    git(source.repository, "worktree", "add", "--quiet", "--detach", str(foreign), source.commit)
    for folder in (plain, upstream, foreign):
        before = bytes_in(folder)
        with pytest.raises(TreeStateError, match=folder.name):
            worktree(source, folder)
        assert bytes_in(folder) == before
    made = worktree(source, workspace.trees / "t")
    with pytest.raises(TreeStateError, match=source.commit):
        worktree(replace(source, commit=Oid("1" * 40)), made)


def test_what_took_the_place_of_a_half_made_worktree_is_kept(
    take: Take, pin: SourcePin, workspace: Workspace, upstream: Path, tmp_path: Path
) -> None:
    """A run was killed between its mark and git's first file; then the user cloned into that folder."""
    source = take(pin)
    folder = tmp_path / "mine"
    mark = folder.with_name(".mine.begun")
    mark.write_text(f"{source.commit}\n")
    git(upstream, "clone", "--quiet", ".", str(folder))
    (folder / "work.txt").write_text("hours of it")
    before = bytes_in(folder)
    with pytest.raises(TreeStateError, match="is not empty and not a worktree of this tool"):
        worktree(source, folder)
    assert bytes_in(folder) == before
    made = worktree(source, workspace.trees / "t")
    (made / "src").rename(made / "half")
    made.with_name(".t.begun").write_text(f"{source.commit}\n")
    assert (worktree(source, made) / "src").is_dir()
    assert not (made / "half").exists()


def test_a_plain_folder_on_windows_is_refused(take: Take, pin: SourcePin, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "a.py").write_text("")
    with pytest.raises(SourceError, match="which files are executable"):
        import_local(Git(take(pin).repository), tmp_path / "plain", pin, ref="refs/x", windows=True)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="gives a folder to another account"
)
def test_a_repository_of_another_account_is_told_and_may_be_trusted(
    upstream: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in [upstream, *upstream.rglob("*")]:
        os.chown(path, 12345, -1)
    config = tmp_path / "config"
    config.touch()
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("GIT_CONFIG_COUNT", raising=False)
    door._trusted.cache_clear()
    try:
        with pytest.raises(GitError, match=r"safe\.directory"):
            Git(upstream).run("rev-parse", "HEAD", ok=(0, 128))
        git(tmp_path, "config", "--file", str(config), "--add", "safe.directory", "*")
        door._trusted.cache_clear()
        assert Git(upstream).run("rev-parse", "HEAD").code == 0
    finally:
        door._trusted.cache_clear()


SCRIPT = """
import sys
from pathlib import Path
from winvllm_build.choices import SourceKind
from winvllm_build.git import Oid
from winvllm_build.index import Index
from winvllm_build.pip_settings import PipSettings
from winvllm_build.sources.pins import SdistPin, SourcePin
from winvllm_build.sources.source import acquire, worktree
from winvllm_build.workspace import Workspace
root, links, url, commit, sha256 = sys.argv[1:]
workspace = Workspace(root=Path(root))
sdist = SdistPin(project="demo", version="1.0", sha256=sha256)
pin = SourcePin(tag="v1.0", url=url, commit=Oid(commit), sdist=sdist)
index = Index(workspace, on_event=str, settings=PipSettings(no_index=True, find_links=(links,)))
print("go", flush=True)
source = acquire(
    pin, kind=SourceKind.SDIST, location=None, workspace=workspace, offline=False, on_event=str, index=index
)
worktree(source, workspace.trees / "t")
"""


@pytest.mark.skipif(os.name == "nt", reason="kills with a POSIX signal")
def test_a_run_killed_anywhere_is_finished_by_the_next(pin: SourcePin, tmp_path: Path) -> None:
    """From before the extraction to after the checkout, the next run ends in the same bytes."""
    folder = tmp_path / "big"
    folder.mkdir()
    many = {**FILES, **{f"many/{i // 50}/{i}.txt": os.urandom(2000) for i in range(800)}}
    archive = make_sdist(folder, many)
    big = replace(pin, sdist=SdistPin(project="demo", version="1.0", sha256=sha256_of(archive)))
    args = [sys.executable, "-c", SCRIPT]
    settings = PipSettings(no_index=True, find_links=(str(folder),))

    def values(root: Path) -> list[str]:
        return [str(root), str(folder), big.url, str(big.commit), sha256_of(archive)]

    begun = time.monotonic()
    subprocess.run([*args, *values(tmp_path / "whole")], check=True, capture_output=True)
    whole = time.monotonic() - begun
    expected = bytes_in(tmp_path / "whole" / "trees" / "t")
    assert len(expected) == len(many)
    killed = 0
    for step in range(8):
        root = tmp_path / f"killed{step}"
        with subprocess.Popen(
            [*args, *values(root)], stdout=subprocess.PIPE, start_new_session=True
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"go\n"
            time.sleep(whole * step / 10)
            killed += child.poll() is None
            child.kill()
        own = Workspace(root=root)
        index = Index(own, on_event=unheard, settings=settings)
        source = acquire(
            big,
            kind=SourceKind.SDIST,
            location=None,
            workspace=own,
            offline=False,
            on_event=unheard,
            index=index,
        )
        assert bytes_in(worktree(source, own.trees / "t")) == expected
        assert Git(own.trees / "t").out("status", "--porcelain") == b""
    assert killed >= 1


def test_the_keep_file_of_a_killed_import_does_not_block_the_next(take: Take, pin: SourcePin) -> None:
    """A kill between writing the pack and moving the ref; the next run writes a pack of the same name."""
    repository = take(pin, kind=SourceKind.SDIST).repository
    ref = f"refs/winvllm/{pin.tag}/base-sdist"
    commit = git(repository, "rev-parse", ref)
    packs = list((repository / "objects" / "pack").glob("*.pack"))
    assert packs != []
    for pack in packs:
        pack.with_suffix(".keep").write_bytes(b"fast-import")
        pack.unlink()
        pack.with_suffix(".idx").unlink()
    (repository / ref).unlink()
    assert git(take(pin, kind=SourceKind.SDIST).repository, "rev-parse", ref) == commit
    assert list((repository / "objects" / "pack").glob("*.keep")) == []


@pytest.mark.parametrize("refusing", [403, 404], indirect=True)
def test_a_source_that_is_refused(take: Take, pin: SourcePin, refusing: Answers) -> None:
    with pytest.raises(RefusedError, match="cannot reach"):
        take(replace(pin, url=f"{refusing.url}/demo.git"), SourceKind.GIT)
    assert take(replace(pin, url=f"{refusing.url}/demo.git")).kind is SourceKind.SDIST
