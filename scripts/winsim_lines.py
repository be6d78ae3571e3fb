"""Which lines of the Python patches ran on Windows' branches: `python scripts/winsim_lines.py FOLDER`.

FOLDER is what `WINVLLM_TEST_WINSIM_LINES=FOLDER pytest tests/winsim` wrote, with a folder for each tag; the
Python of tests/winsim (`WINVLLM_TEST_WINSIM_PYTHON`, or that of the test cache) reads it. Printed for each
patch: how many of the added statements ran; with --missing, also the lines of the others. With --note, what
ran is noted in patches/TAG/evidence.json; `python scripts/patch_pages.py` then writes the pages.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unidiff.patch import PatchSet as Diff

from winvllm_build.git import RepoPath
from winvllm_build.patchset.patchset import load
from winvllm_build.review import evidence
from winvllm_build.review.evidence import Seen, Way

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """The added statements of one file."""

    path: str
    statements: frozenset[int]
    missing: frozenset[int]

    def __str__(self) -> str:
        return f"{len(self.statements) - len(self.missing):4} of {len(self.statements):4}  {self.path}"


def interpreter() -> Path:
    chosen = os.environ.get("WINVLLM_TEST_WINSIM_PYTHON")
    cache = os.environ.get("WINVLLM_TEST_CACHE") or ROOT / "build" / "test-cache"
    return Path(chosen) if chosen else Path(cache, "winsim", "bin", "python")


def measured(folder: Path) -> Mapping[str, Any]:
    """What coverage knows of each file, by the path in the source."""
    coverage = [str(interpreter()), "-m", "coverage"]
    settings, report = f"--rcfile={folder / 'coverage.ini'}", folder / "report.json"
    if any(folder.glob("data.*")):
        subprocess.run([*coverage, "combine", settings, "--append", "--quiet", folder], check=True)
    subprocess.run([*coverage, "json", settings, "--quiet", "-o", report], check=True)
    files = json.loads(report.read_text(encoding="utf-8"))["files"]
    return {
        f"vllm/{path.rpartition('/vllm/')[2]}": values
        for path, values in files.items()
        if "-published/" not in path
    }


def added(patch: Path) -> frozenset[int]:
    lines = Diff(patch.read_text(encoding="utf-8"))[0]
    return frozenset(
        line.target_line_no for hunk in lines for line in hunk if line.is_added and line.target_line_no
    )


def of_tag(folder: Path) -> list[Ran]:
    files = measured(folder)
    root = ROOT / "patches" / folder.name / "windows" / "vllm"
    found = []
    for patch in sorted(root.joinpath("vllm").rglob("*.py.patch")):
        path = patch.relative_to(root).with_suffix("").as_posix()
        values = files.get(path, {"executed_lines": (), "missing_lines": ()})
        ran, missing = (
            added(patch) & frozenset(values[name]) for name in ("executed_lines", "missing_lines")
        )
        found.append(Ran(path=path, statements=ran | missing, missing=missing))
    return found


def note(tag: str, files: Sequence[Ran]) -> None:
    """Write down which patched files ran, whole or in part."""
    patches = load(ROOT / "patches", tag)
    now = {patch.path: patch.post for patch in patches.patches if patch.layer == patches.layers[0].name}
    known = evidence.read(patches.folder).current(now)
    for words, ran in (
        ("tests/winsim: every added statement", [f for f in files if f.statements and not f.missing]),
        (
            "tests/winsim: some of the added statements",
            [f for f in files if f.missing < f.statements and f.missing],
        ),
    ):
        names = [RepoPath(file.path) for file in ran]
        seen = Seen(way=Way.EXECUTED, by=words, files={name: now[name] for name in names})
        known = known.with_seen(seen) if names else known
    evidence.write(patches.folder, known)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--missing", action="store_true", help="also the lines that did not run")
    parser.add_argument("--note", action="store_true", help="note what ran as evidence of the patch set")
    arguments = parser.parse_args()
    for settings in sorted(arguments.folder.glob("*/coverage.ini")):
        files = of_tag(settings.parent)
        total = sum(len(file.statements) for file in files)
        ran = total - sum(len(file.missing) for file in files)
        print(f"{settings.parent.name}: {ran} of {total} added statements ran, in {len(files)} files")
        for file in files:
            print(file)
            if arguments.missing and file.missing:
                print(f"              {', '.join(map(str, sorted(file.missing)))}")
        if arguments.note:
            note(settings.parent.name, files)


if __name__ == "__main__":
    main()
