"""Generators of the tree: both versions are run in temporary folders, and what they write is compared."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

from winvllm_build import process
from winvllm_build.audit.guard.judgement import Confirmed, Ground, View
from winvllm_build.audit.guard.pair import Pair
from winvllm_build.errors import ToolchainError

SECONDS: Final = 120.0
ARCHITECTURES: Final = ("8.9", "7.5")
"""The second run finds what the first left: stale files have to be removed alike."""
PLACE: Final = "csrc/"
RUNNER: Final = """\
import contextlib, functools, os, runpy, sys
with contextlib.suppress(ImportError):
    import jinja2
    jinja2.Template = functools.lru_cache(None)(jinja2.Template)
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""A template is compiled once and not for every kernel: the same files in a tenth of the time."""


def is_generator(pair: Pair) -> bool:
    """Whether CMake runs the file while configuring: a Python file beside the sources that it names."""
    if not (pair.path.startswith(PLACE) and pair.path.endswith(".py") and pair.before and pair.after):
        return False
    files = pair.old.files
    names = [name for name in files.names if name.endswith(("CMakeLists.txt", ".cmake"))]
    files.fetch(names)
    return any(pair.path.encode() in (files.content(name) or b"") for name in names)


def run(pair: Pair, cuda: View, rocm: View) -> tuple[View, View]:
    """Both views once both versions wrote the same files, byte for byte; else why that is not known."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        made = list(pool.map(lambda new: _outcome(pair, new=new), (False, True)))
    words = [one for one in made if isinstance(one, str)]
    if words:
        return replace(cuda, open=(words[0],)), replace(rocm, open=(words[0],))
    if made[0] != made[1]:
        said = f"what it writes differs: {', '.join(_differing(made[0], made[1])[:3])}"
        return replace(cuda, open=(said,)), replace(rocm, open=(said,))
    ran = f"{len(made[0])} files, for {' and '.join(ARCHITECTURES)}"
    ground = Confirmed(ground=Ground.GENERATED, detail=ran)
    return View.of([ground], cuda.changes), View.of([ground], rocm.changes)


def _differing(one: Mapping[str, bytes] | str, other: Mapping[str, bytes] | str) -> list[str]:
    if isinstance(one, str) or isinstance(other, str):
        return []
    return sorted(name for name in {*one, *other} if one.get(name) != other.get(name))


def _outcome(pair: Pair, *, new: bool) -> Mapping[str, bytes] | str:
    """What each run wrote, deleted and printed; why not, in words, if one failed."""
    files = pair.new.files if new else pair.old.files
    names = files.below(pair.path.rpartition("/")[0])
    files.fetch(names)
    given = {name: files.content(name) or b"" for name in names}
    given[pair.path] = (pair.after if new else pair.before) or b""
    found: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory(prefix="winvllm-generator-") as folder:
        root = Path(folder)
        for name, content in given.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
        for number, archs in enumerate(ARCHITECTURES):
            done = _ran(root, pair.path, archs)
            if isinstance(done, str):
                return done
            found[f"{number}/printed"] = done.out.replace(folder.encode(), b"")
            there = {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}
            for name in sorted({*there, *given}):
                if there.get(name) != given.get(name):
                    found[f"{number}/{name}"] = there.get(name, b"deleted")
    return found


def _ran(root: Path, script: str, archs: str) -> process.Completed | str:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    try:
        done = process.capture(
            [sys.executable, "-c", RUNNER, root / script, archs], cwd=root, env=environment, timeout=SECONDS
        )
    except ToolchainError as error:
        return f"the generator could not be run: {error.message}"
    if done.code:
        return f"the generator fails here: {(done.error_text.splitlines() or ['?'])[-1]}"
    return done
