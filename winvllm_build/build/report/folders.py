"""Which build folder a report is about."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from winvllm_build.build.report import ninjalog, runs
from winvllm_build.errors import UsageError
from winvllm_build.workspace import Workspace


def newest(workspace: Workspace, prefix: str = "") -> Path:
    """The build folder of the workspace in which something ran last.

    Args:
        workspace: where build folders lie.
        prefix: how its name begins.

    Raises:
        UsageError: there is none.
    """
    found = [
        (when, folder)
        for folder in workspace.builds.glob("*/")
        if folder.name.startswith(prefix) and (when := _last(folder)) > 0
    ]
    if not found:
        which = f"of {prefix.rstrip('-')} " if prefix else ""
        raise UsageError(
            f"nothing {which}was compiled in {workspace.builds}",
            fix="winvllm-build build --profile quickstart, or name a build folder",
        )
    return max(found)[1]


def _last(folder: Path) -> float:
    """When something ran there last, seconds since the epoch; 0 for never."""
    return max(_times((*runs.records(folder), folder / ninjalog.NAME)), default=0.0)


def _times(files: Iterable[Path]) -> Iterable[float]:
    for file in files:
        try:
            yield file.stat().st_mtime
        except OSError:
            continue
