"""A scanner in an interpreter of its own, beside the others: each needs one core for seconds."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from winvllm_build import process
from winvllm_build.audit.files import Files
from winvllm_build.audit.hit import Blind, Found, Hit, Reach, State
from winvllm_build.audit.subject import Subject, files_of
from winvllm_build.errors import WinvllmError
from winvllm_build.git import Git, Oid
from winvllm_build.intake.checkout import Checkout

PROGRAM: Final = "from winvllm_build.audit.beside import work; work()"
PATIENCE: Final = 600.0
"""Seconds after which the other interpreter is ended."""
ENOUGH: Final = 200
"""Files of a kind that make up for the start of an interpreter."""
Answer = Callable[[], Found]


@contextmanager
def beside(subject: Subject, scanner: Callable[[Files], Found], ending: str) -> Iterator[Answer]:
    """Start a scanner on a tree; the value gives what it found, and waits for that.

    Args:
        subject: the tree.
        scanner: a function of a module; it is run here where it failed there, so that its error is raised.
        ending: of the names of the files that it reads.
    """
    files = subject.files
    if sum(name.endswith(ending) for name in files.names) < ENOUGH:
        yield lambda: scanner(files)
        return
    with ThreadPoolExecutor(max_workers=1) as pool:
        begun: Future[Found | None] = pool.submit(_elsewhere, subject, scanner)
        yield lambda: begun.result() or scanner(files)


def work() -> None:
    """The other interpreter: its task is its one argument, what it finds becomes a file."""
    task: dict[str, Any] = json.loads(sys.argv[1])
    checkout = Checkout(
        Git(Path(task["folder"]), environment=task["environment"]), Oid(task["tree"]), task["name"]
    )
    scanner = getattr(import_module(task["module"]), task["function"])
    found: Found = scanner(files_of(checkout))
    Path(task["out"]).write_text(json.dumps(asdict(found), default=_plain), encoding="utf-8")


def _elsewhere(subject: Subject, scanner: Callable[[Files], Found]) -> Found | None:
    """What the other interpreter found; None where it failed."""
    with tempfile.TemporaryDirectory(prefix="winvllm-scan-") as name:
        out = Path(name, "found.json")
        task = {
            "folder": str(subject.git.folder), "environment": subject.git.environment,
            "tree": subject.checkout.tree, "name": subject.name, "module": scanner.__module__,
            "function": scanner.__qualname__, "out": str(out),
        }  # fmt: skip
        env = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONUTF8": "1"}
        try:
            done = process.capture(
                [sys.executable, "-c", PROGRAM, json.dumps(task)], env=env, timeout=PATIENCE
            )
        except WinvllmError:
            return None
        return _read(json.loads(out.read_bytes())) if done.code == 0 and out.is_file() else None


def _plain(value: object) -> object:
    return value.value if isinstance(value, State | Reach) else str(value)


def _read(said: dict[str, Any]) -> Found:
    hits = (
        Hit(**{**hit, "state": State(hit["state"]), "reach": Reach(hit["reach"])}) for hit in said["hits"]
    )
    blind = (Blind(**one) for one in said["blind"])
    return Found(hits=tuple(hits), blind=tuple(blind), files=said["files"], lines=said["lines"])
