"""Write tests/real_vllm/data/port-matrix.json: what becomes of each patch of v0.14.1 on every later release.

`python scripts/port_matrix.py` takes a minute, most of it for archives that are not in the test cache yet.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from winvllm_build.index import Index
from winvllm_build.patchset.patchset import load
from winvllm_build.port.columns import Sources
from winvllm_build.port.job import Doors
from winvllm_build.port.matrix import Report
from winvllm_build.port.report import Progress, report
from winvllm_build.port.tagrange import tags_in
from winvllm_build.port.verdict import Verdict
from winvllm_build.sources.remote import Remotes
from winvllm_build.workspace import Workspace

CHECKOUT = Path(__file__).resolve().parent.parent
FILE = CHECKOUT / "tests" / "real_vllm" / "data" / "port-matrix.json"
OLD = "v0.14.1"


def sources(workspace: Workspace) -> Sources:
    """The set, and the archives of the package index."""

    def tell(words: str) -> None:
        if not words.startswith("source: "):
            print(words, file=sys.stderr)

    doors = Doors(
        workspace=workspace, index=Index(workspace, on_event=tell), remotes=Remotes(offline=False),
        offline=False, tell=tell,
    )  # fmt: skip
    root = CHECKOUT / "patches"
    return Sources(load(root, OLD), root, doors)


def data(found: Report) -> dict[str, Any]:
    """The part of a report that is the same on every machine at any time."""
    return {
        "from": found.old,
        "archives": {column.tag: column.sha256 for column in found.columns},
        "verdicts": {
            f"{row.layer}/{row.path}": {tag: words(verdict) for tag, verdict in row.verdicts.items()}
            for row in sorted(found.rows, key=lambda row: (row.layer, row.path))
        },
    }


def words(verdict: Verdict) -> str:
    """`offset`, or `moved: csrc/new/place.cu`."""
    place = verdict.to if verdict.to not in (None, verdict.path) else None
    return f"{verdict.kind.value}: {place}" if place else verdict.kind.value


def text(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=True) + "\n"


def workspace() -> Workspace:
    """The one that the tests share."""
    chosen = os.environ.get("WINVLLM_TEST_CACHE")
    return Workspace(root=(Path(chosen) if chosen else CHECKOUT / "build" / "test-cache") / "workspace")


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    begun = time.monotonic()
    made = sources(workspace())
    found = report(made, tags_in("all", made.known(), old=OLD), on_progress=_show)
    FILE.write_bytes(text(data(found)).encode())
    print(f"wrote {FILE} in {time.monotonic() - begun:.0f} s")


def _show(far: Progress) -> None:
    if far.left is not None:
        print(f"{far.done} of {far.total}: {far.tag}", file=sys.stderr)


if __name__ == "__main__":
    main()
