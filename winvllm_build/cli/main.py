"""Entry point: one typer application, every failure one clear message and its exit code."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import typer
from typer.exceptions import TyperException

from winvllm_build.cli import render
from winvllm_build.cli.values import unconverted
from winvllm_build.errors import InterruptedRunError, StorageError, UsageError, WinvllmError

READER_GONE: Final = 141
"""What a shell reports for a program that SIGPIPE ended."""

EXAMPLES: Final = """Build vLLM natively on Windows: sources, patches, toolkit, compile, wheel.

\b
Examples:
  winvllm-build build --profile quickstart    a few real kernels, in minutes
  winvllm-build build --profile sm86          everything for an RTX 30xx, and the wheel
  winvllm-build status                        what state the patched tree is in
  winvllm-build profile show sm86             every value and where it comes from
"""

COMMANDS: Final = {
    "audit": ("audit",), "build": ("build",), "chat": ("chat",), "detect": ("detect",), "doctor": ("doctor",),
    "exchange": ("export",),     "incoming": ("import",), "install": ("install-command", "develop"),
    "patches": ("apply", "status", "regen"), "matrix": ("matrix",), "plan": ("plan",), "port": ("port",),
    "profiles": ("profile",), "report": ("report",), "review": ("show",), "scan": ("scan",),
    "serve": ("serve",),
    "sources": ("source",), "state": ("state",), "subshell": ("shell",), "tags": ("tags",),
    "toolchain": ("toolchain",), "upkeep": ("drop", "lint"), "wheel": ("wheel",), "why": ("why",),
}  # fmt: skip
"""Which commands each module of `cli` registers: one that runs is loaded without the others."""


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    if wanted:
        from importlib.metadata import version

        render.out(f"winvllm-build {version('winvllm-build')}")
        raise typer.Exit


def _options(
    *,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every program that is started.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version
    if verbose:
        logging.basicConfig(level=logging.DEBUG, format="%(message)s", stream=sys.stderr)
        for loud in ("httpx", "httpcore", "unearth", "filelock", "urllib3"):
            logging.getLogger(loud).setLevel(logging.WARNING)


def application(arguments: Sequence[str] = ()) -> typer.Typer:
    """The command that `arguments` name, alone; every command where they name none of ours."""
    app = typer.Typer(
        help=EXAMPLES,
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_options)
    named = next((argument for argument in arguments if not argument.startswith("-")), None)
    wanted = [module for module, names in COMMANDS.items() if named in names]
    if named is None and "--version" in arguments:
        return app
    for module in wanted or COMMANDS:
        import_module(f"winvllm_build.cli.{module}").register(app)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command; the exit code tells the class of failure (see `errors`)."""
    try:
        _need_folder()
        command = unconverted(typer.main.get_command(application(arguments)))
        code = command(list(arguments), standalone_mode=False, prog_name="winvllm-build")
        sys.stdout.flush()
        if code == InterruptedRunError.exit_code:  # typer makes a code of Ctrl-C
            raise KeyboardInterrupt  # noqa: TRY301 - back to what it was
    except BaseException as caught:  # noqa: BLE001 - the last door: no traceback for users
        return _fail(caught, as_json="--json" in arguments)
    return code if isinstance(code, int) else 0


def _need_folder() -> None:
    """A shell that stands in a worktree when a finished port removes it is left nowhere."""
    try:
        Path.cwd()
    except FileNotFoundError as error:
        raise UsageError("the current folder does not exist any more", fix="cd to another folder") from error


def _fail(caught: BaseException, *, as_json: bool) -> int:
    if isinstance(caught, BrokenPipeError | SystemExit):  # typer exits by itself when our reader has gone
        _silence_stdout()
        return READER_GONE
    if type(caught).__name__ == "NoArgsIsHelpError":
        render.out(str(caught))
        return UsageError.exit_code
    problem = _as_error(caught)
    if isinstance(caught, OSError) and isinstance(problem, StorageError):
        _silence_stdout()  # what is left in its buffer would fail again at the end
        as_json = False
    if isinstance(problem, InterruptedRunError) and problem.told:
        as_json = False  # one document is all that a reader expects
    render.error(problem, as_json=as_json)
    return problem.exit_code


def _as_error(caught: BaseException) -> WinvllmError:
    match caught:
        case WinvllmError():
            return caught
        case TyperException():
            return UsageError(caught.format_message(), fix=_help_for(caught))
        case KeyboardInterrupt() | typer.Abort():
            return InterruptedRunError("interrupted", fix="run the same command again: it goes on")
        case OSError() if caught.errno == errno.ENOSPC:
            return StorageError("the disk that the output goes to is full", fix="free space there")
        case _:
            return _internal(caught)


def _help_for(error: TyperException) -> str:
    path = str(getattr(getattr(error, "ctx", None), "command_path", "winvllm-build"))
    if path.endswith(" serve") and hasattr(error, "option_name"):
        return (
            f"flags of `vllm serve` go after --: {path} MODEL -- {error.option_name} ...; ours: {path} --help"
        )
    return f"{path} --help"


def _internal(error: BaseException) -> WinvllmError:
    handle, name = tempfile.mkstemp(prefix="winvllm-build-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        traceback.print_exception(error, file=file)
    return WinvllmError(
        f"internal error: {type(error).__name__}: {error}", fix=f"report it with the file {Path(name)}"
    )


def _silence_stdout() -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _terminated(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


def main() -> None:
    """The console script."""
    signal.signal(signal.SIGTERM, _terminated)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="backslashreplace"
        )  # a pipe on Windows has the code page's letters only
    sys.exit(run(sys.argv[1:]))
