"""What the records of other tags prove for this one: a port leaves most kernels as they were."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from winvllm_build.audit.device import record
from winvllm_build.audit.device.record import Pair, Unit
from winvllm_build.errors import PatchError
from winvllm_build.git import RepoPath


def units(folder: Path, among: Mapping[RepoPath, Pair]) -> tuple[Unit, ...]:
    """The units of the sets beside one whose patched files have the same ids before and after in it.

    They prove something only where the digest of all that they were made of is the same, too.

    Args:
        folder: of the set that is looked at; its own record is left out.
        among: the ids of its patched files.
    """
    found: list[Unit] = []
    for other in sorted(folder.parent.iterdir()):
        if other != folder and (other / record.FILE).is_file():
            with contextlib.suppress(PatchError):  # another set's damage is no business of this one
                found.extend(record.read(other).current(among).units)
    return tuple(found)
