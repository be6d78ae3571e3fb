"""Where downloads, sources, trees, builds and toolchains live; locks, atomic writes, crash journals."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from winvllm_build.errors import BusyError, StorageError

HOME_VARIABLE: Final = "WINVLLM_BUILD_HOME"
TOLD_AFTER: Final = 2.0
"""Seconds of waiting for a lock before it is said."""
LET_GO: Final = 5.0
"""Seconds for a program that a killed run was just starting to let go of the run's lock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """The tool's own folder; nothing outside it is written except what the user names."""

    root: Path

    @classmethod
    def default(cls) -> Workspace:
        """`$WINVLLM_BUILD_HOME`, else the platform's cache folder for this tool."""
        import platformdirs  # noqa: PLC0415 - filelock, platformdirs and psutil cost every command 20 ms

        chosen = os.environ.get(HOME_VARIABLE)
        root = Path(chosen) if chosen else platformdirs.user_cache_path("winvllm-build", appauthor=False)
        return cls(root=root.absolute())

    @property
    def downloads(self) -> Path:
        return self.root / "downloads"

    @property
    def sources(self) -> Path:
        return self.root / "sources"

    @property
    def trees(self) -> Path:
        return self.root / "trees"

    @property
    def builds(self) -> Path:
        return self.root / "builds"

    @property
    def objects(self) -> Path:
        """Finished edges by content, shared by all builds."""
        return self.root / "objects"

    @property
    def toolchains(self) -> Path:
        return self.root / "toolchains"

    @property
    def wheels(self) -> Path:
        return self.root / "wheels"


@contextlib.contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn the operating system's refusals to write into one clear `StorageError`."""
    try:
        yield
    except OSError as error:
        name = error.filename or what
        match error.errno:
            case errno.ENOSPC | errno.EDQUOT:
                raise StorageError(
                    f"the disk is full: cannot write {name}", fix="free space, then run again"
                ) from error
            case errno.EROFS | errno.EACCES | errno.EPERM | errno.ENOENT | errno.EIO:
                raise StorageError(
                    f"cannot write {name}: {error.strerror}",
                    fix=f"make it writable, or set {HOME_VARIABLE} to a folder that is",
                ) from error
            case errno.ENOTDIR | errno.EEXIST | errno.ENAMETOOLONG:
                raise StorageError(
                    f"cannot write {name}: {error.strerror}",
                    fix=f"set {HOME_VARIABLE} to a folder with a short path that nothing else occupies",
                ) from error
            case _:
                raise


def write_atomic(path: Path, content: bytes) -> None:
    """Write a whole file or nothing: temporary sibling, fsync, rename.

    Raises:
        StorageError: the disk is full, read-only or refuses.
    """
    with storage_errors(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def replace(source: Path, target: Path, *, attempts: int = 20) -> None:
    """`os.replace`, retried while a Windows program still reads the target."""
    for attempt in range(attempts):
        try:
            source.replace(target)
        except PermissionError:
            if os.name != "nt" or attempt == attempts - 1:
                raise
            time.sleep(0.05)
        else:
            return


@contextlib.contextmanager
def staged_folder(final: Path) -> Iterator[Path]:
    """A temporary sibling folder that becomes `final` when the block ends well, and vanishes otherwise."""
    with storage_errors(str(final)):
        final.parent.mkdir(parents=True, exist_ok=True)
        for leftover in final.parent.glob(
            f".{final.name}.*.part"
        ):  # of a killed run; the caller holds the lock
            shutil.rmtree(leftover, ignore_errors=True)
        part = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".{final.name}.", suffix=".part"))
        try:
            part.chmod(0o755)
            yield part
            replace(part, final)
        finally:
            shutil.rmtree(part, ignore_errors=True)


@contextlib.contextmanager
def locked(
    path: Path, what: str, *, wait: float = 0.0, on_wait: Callable[[str], None] | None = None
) -> Iterator[None]:
    """Hold an advisory lock; the operating system frees it when the holder dies.

    Args:
        path: the lock file.
        what: what is locked, for the message.
        wait: seconds to wait for another holder.
        on_wait: told who holds it, when that takes longer than `TOLD_AFTER`.

    Raises:
        BusyError: another run holds it.
        StorageError: the lock file cannot be written.
    """
    import filelock  # noqa: PLC0415 - see `Workspace.default`

    with storage_errors(str(path)):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(str(path))
        try:
            try:
                lock.acquire(timeout=min(wait, TOLD_AFTER))
            except filelock.Timeout:
                rest = max(wait - TOLD_AFTER, LET_GO if _has_ended(_holder(path)) else 0.0)
                if rest == 0.0:
                    raise
                if on_wait is not None:
                    on_wait(f"waiting for {what}, which another run uses ({_holder(path)})")
                lock.acquire(timeout=rest)
        except filelock.Timeout as held:
            raise BusyError(
                f"{what} is in use by another run ({_holder(path)})",
                fix="wait for it to finish, or end that process",
            ) from held
    try:
        owner = path.with_name(path.name + ".owner")
        with contextlib.suppress(OSError):
            owner.write_text(f"pid {os.getpid()} since {time.strftime('%H:%M:%S')}\n", encoding="utf-8")
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    try:
        return path.with_name(path.name + ".owner").read_text(encoding="utf-8").strip() or "unknown process"
    except OSError:
        return "unknown process"


def _has_ended(holder: str) -> bool:
    import psutil  # noqa: PLC0415 - see `Workspace.default`

    number = holder.removeprefix("pid ").partition(" ")[0]
    return number.isdecimal() and not psutil.pid_exists(int(number))


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """A crash journal: present exactly while an operation is under way."""

    path: Path

    def begin(self, entry: Mapping[str, Any]) -> None:
        import psutil  # noqa: PLC0415 - see `Workspace.default`

        stamped = {**entry, "pid": os.getpid(), "started": psutil.Process().create_time()}
        write_atomic(self.path, json.dumps(stamped, sort_keys=True, indent=1).encode() + b"\n")

    def read(self) -> dict[str, Any] | None:
        """What was under way, or None; an unreadable journal reads as an empty entry."""
        try:
            loaded = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError:
            return {}
        return loaded if isinstance(loaded, dict) else {}

    def end(self) -> None:
        self.path.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """The sha256 of a file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
