"""A regeneration that was killed between two patch files: finished before the next one reads them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from winvllm_build.workspace import Journal, storage_errors, write_atomic


def begin(journal: Journal, folder: Path, files: Mapping[Path, bytes | None]) -> None:
    """Note every file that is about to change: what it has now, and what it gets (None: it goes).

    Args:
        journal: of the worktree.
        folder: the patch set's.
        files: the new contents, the lock last.
    """
    entry = [
        [
            str(file.relative_to(folder)),
            _digest(file),
            None if new is None else base64.b64encode(new).decode(),
        ]
        for file, new in files.items()
    ]
    journal.begin({"operation": "regen", "folder": str(folder), "files": entry})


def finish(journal: Journal, folder: Path) -> str | None:
    """Write what a killed run had left to write; says so, None if there was nothing.

    Only where some files are new and the others are as they were: what somebody changed or took back since
    counts more. The caller holds the worktree's lock.

    Raises:
        StorageError: the disk refuses.
    """
    entry = journal.read()
    if entry is None or entry.get("folder") != str(folder):
        return None
    steps = [(folder / name, old, _content(new)) for name, old, new in entry.get("files", [])]
    present = {file: _digest(file) for file, _, _ in steps}
    new = {file: None if content is None else _hex(content) for file, _, content in steps}
    known = all(present[file] in (old, new[file]) for file, old, _ in steps)
    done = [file for file, old, _ in steps if present[file] == new[file] != old]
    left = [(file, content) for file, _, content in steps if present[file] != new[file]]
    half = known and bool(done) and bool(left)
    if half:
        with storage_errors(str(folder)):
            for file, content in left:
                if content is None:
                    file.unlink(missing_ok=True)
                else:
                    write_atomic(file, content)
    journal.end()
    return f"an interrupted regen was finished: {len(left)} files" if half else None


def _digest(file: Path) -> str | None:
    try:
        return _hex(file.read_bytes())
    except FileNotFoundError:
        return None


def _hex(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _content(text: Any) -> bytes | None:  # noqa: ANN401 - from JSON
    return None if text is None else base64.b64decode(text)
