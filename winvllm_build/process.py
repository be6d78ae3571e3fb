"""The one door to other programs: list arguments only, captured or streamed, ended with all they started."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from winvllm_build.errors import ToolchainError
from winvllm_build.process_trees import (
    TERMINATE_SECONDS,
    ancestors,
    end_orphans,
    end_session,
    end_tree,
    kill_tree,
    orphans,
)

__all__ = [
    "Background", "Completed", "ancestors", "background", "capture", "end_orphans", "end_session", "end_tree",
    "environment_difference", "interactive", "kill_tree", "orphans", "started", "stream", "which",
]  # fmt: skip

log = logging.getLogger(__name__)

SECRET = re.compile(r"(^|_)(TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|ACCESS_KEY|API_KEY|USERNAME)(_|$)")
"""Names of variables whose values no log gets."""
NEW_GROUP: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
"""Ctrl-C on Windows reaches us alone; we end the tree ourselves."""


SPELL = 0.2
"""Seconds for which Windows does not hear Ctrl-C."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """What a finished program left behind; `out` and `err` are the exact bytes."""

    args: tuple[str, ...]
    code: int
    out: bytes
    err: bytes
    seconds: float

    @property
    def text(self) -> str:
        return self.out.decode("utf-8", "replace")

    @property
    def error_text(self) -> str:
        return self.err.decode("utf-8", "replace").strip()


def which(name: str, *, path: str | None = None) -> Path | None:
    """The program `name` as an absolute path, searched on `path` (default: PATH)."""
    found = shutil.which(name, path=path)
    return Path(os.path.abspath(found)) if found else None  # noqa: PTH100 - resolve() would leave the symlink's folder


def environment_difference(env: Mapping[str, str] | None) -> str:
    """`env` as the assignments that differ from this process's environment, for the log; no secrets."""
    if env is None:
        return ""
    changed = {k: v for k, v in sorted(env.items()) if os.environ.get(k) != v or SECRET.search(k.upper())}
    return " ".join(
        f"{k}={'***' if SECRET.search(k.upper()) else shlex.quote(v)}" for k, v in changed.items()
    )


def capture(
    args: Sequence[str | os.PathLike[str]],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    timeout: float | None = None,
) -> Completed:
    """Run a program to its end and return its exit code and exact output.

    Args:
        args: program and arguments; never a shell string.
        cwd: working folder.
        env: the complete environment; None inherits.
        stdin: bytes given to the program.
        timeout: seconds after which the tree is ended.

    Raises:
        ToolchainError: the program does not exist, cannot be started or ran out of time.
    """
    argv = tuple(os.fspath(a) for a in args)
    if log.isEnabledFor(logging.DEBUG):
        log.debug("+ %s %s", shlex.join(argv), environment_difference(env))
    begun = time.monotonic()
    with started(argv, cwd=cwd, env=env, merge=False) as child:
        try:
            out, err = child.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired as late:
            raise ToolchainError(f"{argv[0]} did not finish within {timeout:.0f} s") from late
    return Completed(args=argv, code=child.returncode, out=out, err=err, seconds=time.monotonic() - begun)


def stream(
    args: Sequence[str | os.PathLike[str]],
    *,
    on_line: Callable[[str], None],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    on_start: Callable[[int], None] | None = None,
    overwritten: bool = False,
) -> int:
    """Run a program, hand over each line of its joined output, return its exit code.

    Args:
        args: program and arguments; never a shell string.
        on_line: called with each line, its end removed.
        cwd: working folder.
        env: the complete environment; None inherits.
        on_start: called once with the process id.
        overwritten: a carriage return ends a line too: a progress display is one line each time it changes.

    Raises:
        ToolchainError: the program does not exist or cannot be started.
    """
    argv = tuple(os.fspath(a) for a in args)
    log.debug("+ %s %s", shlex.join(argv), environment_difference(env))
    with started(argv, cwd=cwd, env=env, merge=True) as child:
        if on_start is not None:
            on_start(child.pid)
        if child.stdin is not None:
            child.stdin.close()
        if child.stdout is not None:
            for line in _lines(child.stdout, newline=None if overwritten else "\n"):
                on_line(line.rstrip("\r\n"))
        return child.wait()


def _lines(pipe: IO[bytes], *, newline: str | None) -> Iterator[str]:
    """The lines of a pipe as they come; waited for in short spells, since on Windows Ctrl-C ends no read."""
    found: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    # The pipe may be closed while something that the program left holds its other end.
    own = os.dup(pipe.fileno())

    def read() -> None:
        try:
            with os.fdopen(own, encoding="utf-8", errors="replace", newline=newline) as lines:
                for line in lines:
                    found.put(line)
        finally:
            found.put(None)

    threading.Thread(target=read, daemon=True).start()
    while True:
        with contextlib.suppress(queue.Empty):
            line = found.get(timeout=SPELL)
            if line is None:
                return
            yield line


@dataclass(frozen=True, slots=True)
class Background:
    """A program that runs beside us."""

    child: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self.child.pid

    def code(self) -> int | None:
        """Its exit code, None while it runs."""
        return self.child.poll()


@contextlib.contextmanager
def background(
    args: Sequence[str | os.PathLike[str]], *, output: Path, env: Mapping[str, str] | None = None
) -> Iterator[Background]:
    """A program that runs beside the block, in a session of its own, and is ended with all it started.

    Args:
        args: program and arguments; never a shell string.
        output: file for everything it prints.
        env: the complete environment; None inherits.

    Raises:
        ToolchainError: the program does not exist or cannot be started.
    """
    argv = tuple(os.fspath(a) for a in args)
    log.debug("+ %s %s &", shlex.join(argv), environment_difference(env))
    with output.open("wb") as file:
        try:
            child = subprocess.Popen(
                argv,
                env=None if env is None else dict(env),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=sys.platform != "win32",
                creationflags=NEW_GROUP,
            )
        except OSError as error:
            raise _unstartable(argv, error) from error
    try:
        yield Background(child)
    finally:
        end_tree(child.pid)
        child.wait()


def interactive(
    args: Sequence[str | os.PathLike[str]], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> int:
    """Run a program on our own terminal, such as a shell, and return its exit code.

    Ctrl-C is the program's: it gets the signal from the terminal, and we go on waiting. What ends us ends it.

    Args:
        args: program and arguments; never a shell string.
        cwd: working folder.
        env: the complete environment; None inherits.

    Returns:
        The exit code; 128 and the signal's number where a signal ended it, as shells say it.

    Raises:
        ToolchainError: the program does not exist or cannot be started.
    """
    argv = tuple(os.fspath(a) for a in args)
    log.debug("+ %s %s", shlex.join(argv), environment_difference(env))
    with _signals_left_to_others():
        try:
            child = subprocess.Popen(argv, cwd=cwd, env=None if env is None else dict(env))
        except OSError as error:
            raise _unstartable(argv, error) from error
        try:
            code = child.wait()
        except BaseException:
            with contextlib.suppress(OSError):
                child.send_signal(getattr(signal, "SIGHUP", signal.SIGTERM))  # a shell ignores SIGTERM
            end_tree(child.pid)
            child.wait()
            raise
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _signals_left_to_others() -> Iterator[None]:
    """Ctrl-C and its kin do nothing here, and what they always do in a program that is started meanwhile.

    A handler of Python's is not inherited, as `SIG_IGN` would be.
    """
    names = ("SIGINT", "SIGQUIT", "SIGBREAK")
    kin = [getattr(signal, name) for name in names if hasattr(signal, name)]
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.signal(number, lambda *_: None) for number in kin if main}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(child: subprocess.Popen[bytes]) -> None:
    """Ask the child to stop as Ctrl-C would, so that it can tidy up; end whatever is left of its tree."""
    with contextlib.suppress(OSError, ValueError, SystemError):  # SystemError: Windows without a console
        child.send_signal(getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT))
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(timeout=TERMINATE_SECONDS)
    end_tree(child.pid)


@contextlib.contextmanager
def started(
    argv: tuple[str, ...], *, cwd: Path | None, env: Mapping[str, str] | None, merge: bool
) -> Iterator[subprocess.Popen[bytes]]:
    """A program on pipes, asked to stop as by Ctrl-C where the block fails.

    Raises:
        ToolchainError: the program does not exist or cannot be started.
    """
    try:
        child = subprocess.Popen(
            argv,
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge else subprocess.PIPE,
            start_new_session=sys.platform != "win32",
            creationflags=NEW_GROUP,
        )
    except OSError as error:
        raise _unstartable(argv, error) from error
    try:
        yield child
    except BaseException:
        _interrupt(child)
        child.wait()
        raise
    finally:
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _unstartable(argv: tuple[str, ...], error: OSError) -> ToolchainError:
    bare = Path(argv[0]).name == argv[0]
    return ToolchainError(
        f"cannot start {argv[0]}: {error.strerror or error}",
        fix=f"install {argv[0]} and put it on PATH" if bare else f"check the path {argv[0]}",
    )
