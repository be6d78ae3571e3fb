"""What a build ends with whose edges failed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from winvllm_build import data
from winvllm_build.build.diagnosis import lookup, summary
from winvllm_build.build.diagnosis.finding import Finding, findings
from winvllm_build.build.ninja import FailedEdge
from winvllm_build.errors import CompileError, WinvllmError

AGAIN: Final = "then run the same command again: finished objects are kept"


def compile_error(failed: Sequence[FailedEdge]) -> CompileError:
    """What a build ends with whose edges failed: the cause of each, and what to do about the first."""
    found = read(failed)
    if not found:
        names = ", ".join(" ".join(edge.outputs) for edge in failed)
        return CompileError(f"{names} failed\nlog: {failed[0].log}", fix=f"read the log, {AGAIN}")
    return CompileError("\n".join(summary.lines(found)), fix=f"{found[0].do}; {AGAIN}")


def read(failed: Sequence[FailedEdge]) -> list[Finding]:
    """What each failed edge's log says; without tree and patches where those cannot be read."""
    folder = _folder(failed)
    found: list[Finding] = []
    for edge in {edge.log: edge for edge in failed}.values():
        content = edge.log.read_bytes() if edge.log.is_file() else edge.first_error
        found += findings(content, tree=folder.tree, sets=folder.sets, log=edge.log)
    return found


def _folder(failed: Sequence[FailedEdge]) -> lookup.BuildFolder:
    """The build folder, whose logs lie in a folder of it."""
    build = failed[0].log.parent.parent
    try:
        return lookup.open_folder(build, data.patches_root())
    except WinvllmError:
        return lookup.BuildFolder(folder=build, tree=None, sets=())
