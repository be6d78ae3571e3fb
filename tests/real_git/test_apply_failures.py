"""Applying while something else happens: another run, another git, a full disk, a refused rename, an edit."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.patch_upstream import BASE, Upstream, after, digest
from winvllm_build import process, workspace
from winvllm_build.errors import (
    BusyError,
    StorageError,
    TreeStateError,
)
from winvllm_build.patchset import materialise
from winvllm_build.patchset.status import TreeState
from winvllm_build.patchset.worktree import open_worktree


def test_two_runs_at_once_are_refused(upstream: Upstream) -> None:
    place = open_worktree(upstream.folder)
    with workspace.locked(place.lock_file, "the tree"), pytest.raises(BusyError):
        upstream.apply()
    assert upstream.content() == dict(BASE)


def test_another_git_at_work_is_respected(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(materialise, "LOCK_SECONDS", 0.1)
    lock = upstream.folder / ".git" / "index.lock"
    lock.write_bytes(b"")
    with pytest.raises(BusyError, match=r"index.lock"):
        upstream.apply()
    assert lock.exists()
    assert upstream.content() == dict(BASE)
    lock.unlink()
    upstream.apply()


@pytest.mark.parametrize("after_files", range(5))
def test_a_full_disk_leaves_everything_as_it_was(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, after_files: int
) -> None:
    real = materialise._write
    calls = iter(range(100))

    def full(file: Path, content: bytes, mode: str) -> None:
        if next(calls) == min(after_files, 3):
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(content[:3])
            raise OSError(errno.ENOSPC, "No space left on device", str(file))
        real(file, content, mode)

    before = digest(upstream.folder)
    monkeypatch.setattr(materialise, "_write", full)
    with pytest.raises(StorageError, match="disk is full"):
        upstream.apply()
    left = {
        n: v for n, v in digest(upstream.folder).items() if not n.startswith((".git/objects", ".git/winvllm"))
    }
    assert left == {n: v for n, v in before.items() if not n.startswith((".git/objects", ".git/winvllm"))}
    assert upstream.status().interrupted is None
    monkeypatch.setattr(materialise, "_write", real)
    upstream.apply()
    assert upstream.content() == after()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    if process.capture(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder]).code != 0:
        pytest.skip("mounting is not allowed here")
    try:
        yield folder
    finally:
        process.capture(["umount", folder])


def test_a_really_full_disk(small_disk: Path) -> None:
    """Whatever step runs out of space: one clear error, nothing changed, and it works once there is space."""
    big = b"".join(b"%d a line of a big file\n" % n for n in range(12_000))
    upstream = Upstream.make(small_disk, {**BASE, "big.txt": big})
    wanted = {**BASE, "a.py": b"first\n" + BASE["a.py"], "big.txt": big + b"one more\n"}
    upstream.write(wanted)
    upstream.regen()
    upstream.unapply()
    filler = small_disk / "filler"
    outcomes = []
    for free in (0, 8, 96, 160, 260, 320, 340, 400, 1000):
        filler.write_bytes(b"")
        filler.write_bytes(b"x" * max(0, shutil.disk_usage(small_disk).free - free * 1024))
        try:
            upstream.apply()
            outcomes.append("applied")
        except StorageError:
            outcomes.append("refused")
        filler.unlink()
        assert upstream.status().interrupted is None, free
        assert upstream.content() == (wanted if outcomes[-1] == "applied" else {**BASE, "big.txt": big}), free
        if outcomes[-1] == "applied":
            upstream.unapply()
    assert outcomes[0] == "refused"
    assert outcomes[-1] == "applied"


@pytest.mark.parametrize("failing", range(4))
def test_a_refused_rename_is_rolled_back(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    real = workspace.replace
    count = 0

    def refused(source: Path, target: Path, **more: Any) -> None:  # noqa: ANN401 - handed through
        nonlocal count
        if source.suffix == ".part":
            count += 1
            if count == failing + 1:
                raise PermissionError(errno.EACCES, "in use", str(target))
        real(source, target, **more)

    monkeypatch.setattr(workspace, "replace", refused)
    with pytest.raises(StorageError, match=r"in use|cannot write"):
        upstream.apply()
    assert upstream.content() == dict(BASE)
    assert upstream.status().state is TreeState.PRISTINE
    assert upstream.status().interrupted is None


def test_an_edit_in_the_middle_wins(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    real = materialise._stage

    def edited(*args: Any) -> None:  # noqa: ANN401 - handed through
        real(*args)
        upstream.write({"dos.bat": b"edited while patches were written\n"})

    monkeypatch.setattr(materialise, "_stage", edited)
    with pytest.raises(TreeStateError, match=r"dos.bat was changed by another program"):
        upstream.apply()
    assert upstream.content() == {**BASE, "dos.bat": b"edited while patches were written\n"}
