"""The last committed version of a set's files: one more witness, where the set is under version control."""

from __future__ import annotations

import tempfile
from pathlib import Path

from winvllm_build.errors import WinvllmError
from winvllm_build.git import Git, Oid
from winvllm_build.patchset import lock, patchfile
from winvllm_build.patchset.lock import TargetLock
from winvllm_build.patchset.patchset import Place
from winvllm_build.sources.pins import read_pins


def sha256_of(place: Place) -> str | None:
    """Of the diff in the committed patch file."""
    content = _content(place.file)
    if content is None:
        return None
    try:
        return patchfile.parse(content, path=place.path, where="").diff.sha256
    except WinvllmError:
        return None


def target_of(lock_file: Path, target: str) -> TargetLock | None:
    """What the committed lock says about a source tree."""
    copy = _content(lock_file)
    if copy is None:
        return None
    with tempfile.TemporaryDirectory(prefix="winvllm-doctor-") as name:
        file = Path(name, lock_file.name)
        file.write_bytes(copy)
        try:
            found = lock.read(file)
        except WinvllmError:
            return None
    return found.targets.get(target) if found else None


def commit_in(manifest: Path) -> Oid | None:
    """The commit that the committed manifest pins."""
    copy = _content(manifest)
    if copy is None:
        return None
    with tempfile.TemporaryDirectory(prefix="winvllm-doctor-") as name:
        file = Path(name, manifest.name)
        file.write_bytes(copy)
        try:
            return read_pins(file).upstream.commit
        except WinvllmError:
            return None


def _content(file: Path) -> bytes | None:
    if not file.parent.is_dir():
        return None
    done = Git(file.parent).run("cat-file", "blob", f"HEAD:./{file.name}", ok=(0, 128))
    return done.out if done.code == 0 else None
