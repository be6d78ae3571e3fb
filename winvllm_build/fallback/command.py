"""From the command line to a running server, and to its end."""

from __future__ import annotations

import json
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import FrameType

from .errors import StartError
from .options import Options, read

OK, CANNOT_START, ENGINE_DIED, NO_PACKAGES = 0, 1, 70, 3
REQUIREMENTS: tuple[str, ...] = tuple(json.loads(Path(__file__).with_name("packages.json").read_bytes()))
PACKAGES = frozenset(re.split("[<>=]", each)[0].replace("-", "_") for each in REQUIREMENTS)
NEEDED = " ".join(("pip install", *(f'"{each}"' if "=" in each else each for each in REQUIREMENTS)))


def check_transformers() -> None:
    """Older ones have another engine, or none.

    Raises:
        ImportError: it is not there, or too old.
    """
    try:
        found = version("transformers")
    except PackageNotFoundError as error:
        raise ModuleNotFoundError("no transformers", name="transformers") from error
    oldest = next(m[1] for m in map(re.compile(r"transformers>=([\d.]+)").match, REQUIREMENTS) if m)
    if _numbers(found) < _numbers(oldest):
        raise ImportError(f"transformers {found} of {sys.executable} is older than {oldest}")


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:2] if part.isdecimal())


def say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def failed(what: str, fix: str) -> None:
    say(f"fallback: error: {' '.join(what.split())} (fix: {fix})")


def main(arguments: Sequence[str]) -> int:
    """0 after a stop by a signal; one line on stderr for what went wrong."""
    options = read(arguments)
    for name in ("SIGTERM", "SIGBREAK"):  # as Ctrl-C, also while a model is loaded; the last one is Windows'
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _interrupt)
    status = _status(options)
    if any(each.is_alive() and not each.daemon for each in threading.enumerate()[1:]):
        os._exit(status)  # a step of the engine that does not end would keep the process
    return status


def _interrupt(number: int, frame: FrameType | None) -> None:
    del number, frame
    raise KeyboardInterrupt


def _status(options: Options) -> int:
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        return _served(options)
    except StartError as error:
        failed(error.what, error.fix)
        return CANNOT_START
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name in PACKAGES
        failed(f"{error.name} is not installed in {sys.executable}" if missing else str(error), NEEDED)
        return NO_PACKAGES
    except KeyboardInterrupt:
        return OK


def _served(options: Options) -> int:
    from .aliases import SHIPPED, check, read_table, resolve  # noqa: PLC0415 - not for --help
    from .listening import bound  # noqa: PLC0415 - as above

    logging.basicConfig(level=logging.WARNING, format="fallback: %(message)s")
    own = () if options.alias_file is None else (read_table(options.alias_file),)
    named = resolve(options.model, (*own, read_table(SHIPPED)), options.served_names)
    check(named.target)
    with bound(options.host, options.port) as sock:
        check_transformers()
        from .running import serve  # noqa: PLC0415 - seconds of imports, after what can be refused without

        say(f"fallback: loading {named.target}")
        error = serve(options, named, sock, say)
    if error is None:
        return OK
    failed(
        f"the engine died: {type(error).__name__}: {error}", "start it again; the request before was its last"
    )
    return ENGINE_DIED
