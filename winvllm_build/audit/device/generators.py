"""Generators of kernels, run before and after: the same files on Linux, the same choices on Windows."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from winvllm_build import process
from winvllm_build.audit.device import selectors
from winvllm_build.audit.device.compare import Compared
from winvllm_build.audit.device.reasons import differences
from winvllm_build.audit.device.record import Kind, Unit
from winvllm_build.audit.device.stage import Content
from winvllm_build.audit.device.subject import Subject
from winvllm_build.errors import CompileError
from winvllm_build.git import RepoPath

SECONDS: Final = 300.0
ARCHS: Final = ("8.6", "7.5,8.6,8.9,12.0")
"""Lists that a generator is run for: the smallest, and one with every kind of kernel there is."""
SELECTOR: Final = ".h"
WINDOWS: Final = "win32"
RUNNER: Final = """\
import runpy, sys
script, archs, platform = sys.argv[1:4]
sys.platform = platform
sys.argv = [script, archs]
runpy.run_path(script, run_name="__main__")
"""


@dataclass(slots=True)
class _Found:
    """What was compared so far."""

    counts: dict[Kind, int] = field(default_factory=dict)
    differing: dict[Kind, tuple[str, ...]] = field(default_factory=dict)

    def count(self, kind: Kind, number: int) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + number

    def differ(self, kind: Kind, name: str) -> None:
        self.differing[kind] = (*self.differing.get(kind, ()), name)


def is_generator(path: str) -> bool:
    """Whether a patched file is a script that writes kernels: those take the list of architectures."""
    name = PurePosixPath(path)
    return name.parts[0] == "csrc" and name.name.startswith("generate") and name.suffix == ".py"


def compare(path: RepoPath, content: Content, archs: str, subject: Subject) -> Unit:
    """Run a generator on both sides, and the patched one as on Windows.

    Args:
        path: the script.
        content: both sides of it.
        archs: the list it is given.
        subject: the patched files.

    Raises:
        CompileError: one of the runs failed.
    """
    if content.before is None or content.after is None:
        raise CompileError(f"{path} is not there on both sides")
    name = PurePosixPath(path).name
    before = written(name, content.before, archs)
    after = written(name, content.after, archs)
    windows = written(name, content.after, archs, WINDOWS)
    compared = compare_files(before, after, windows)
    return Unit(
        source=path, arch=archs, options=(), compiler=f"Python {platform.python_version()}",
        inputs=hashlib.sha256(content.before + b"\0" + content.after).hexdigest(),
        files={path: subject.pairs[path]}, compared=compared.counts,
        differences=differences(compared, subject.behind([path])),
    )  # fmt: skip


def written(name: str, script: bytes, archs: str, system: str = sys.platform) -> dict[str, bytes]:
    """What a script writes beside itself, with `system` for the name of the platform.

    Raises:
        CompileError: it fails, or writes nothing.
    """
    with tempfile.TemporaryDirectory(prefix="winvllm-") as made:
        file = Path(made) / name
        file.write_bytes(script)
        done = process.capture(
            [sys.executable, "-c", RUNNER, file, archs, system],
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, timeout=SECONDS,
        )  # fmt: skip
        if done.code != 0:
            last = (done.error_text.splitlines() or ["no output"])[-1]
            raise CompileError(f"{name} failed (exit {done.code}): {last}")
        found = {one.name: one.read_bytes() for one in sorted(Path(made).iterdir()) if one != file}
    if not found:
        raise CompileError(f"{name} writes nothing for {archs}")
    return found


def compare_files(
    before: Mapping[str, bytes], after: Mapping[str, bytes], windows: Mapping[str, bytes]
) -> Compared:
    """Byte by byte on Linux; on Windows a header may choose the same kernels in another way."""
    found = _Found()
    found.count(Kind.GENERATED, len(before))
    for name in sorted({*before, *after, *windows}):
        if before.get(name) != after.get(name):
            found.differ(Kind.GENERATED, name)
        if before.get(name) != windows.get(name):
            _choose(name, before.get(name, b""), windows.get(name, b""), found)
    return Compared(counts=found.counts, differing=found.differing)


def _choose(name: str, before: bytes, windows: bytes, found: _Found) -> None:
    """The choices of a header on every configuration there is."""
    try:
        old, new = selectors.parse(before.decode()), selectors.parse(windows.decode())
    except ValueError:
        found.differ(Kind.SELECTOR, name)
        return
    found.count(Kind.SELECTOR, selectors.configurations(old, new))
    if not name.endswith(SELECTOR) or not old or selectors.differing(old, new):
        found.differ(Kind.SELECTOR, name)
