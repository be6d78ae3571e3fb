"""Resolutions by mergiraf, a merge tool that knows languages: kept beside the worktree, only proposed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from winvllm_build import process
from winvllm_build.errors import ToolchainError, UsageError
from winvllm_build.git import RepoPath
from winvllm_build.patchset.merge import BASE, OURS, THEIRS, Conflict
from winvllm_build.patchset.tree import contents
from winvllm_build.port.carry import Carried
from winvllm_build.port.progress import MARKER, places_of
from winvllm_build.port.resolve import CONTENTS
from winvllm_build.port.state import HandOff
from winvllm_build.port.verdict import Verdict
from winvllm_build.workspace import write_atomic

MERGIRAF: Final = "mergiraf"
SPELLED: Final = {".cu": ".cpp", ".cuh": ".hpp"}
"""CUDA has no grammar of its own there; its files are near enough to C++."""
MOST_CONFLICTS: Final = 127
"""Above it `git merge-file` means an error, such as a binary file."""
SECONDS: Final = 60.0
"""For one file; the program's own limit is shorter."""


def find() -> Path:
    """The program.

    Raises:
        ToolchainError: it is not on PATH.
    """
    found = process.which(MERGIRAF)
    if found is None:
        raise ToolchainError(
            f"{MERGIRAF} is not on PATH", fix="install it from https://mergiraf.org, or leave out --resolver"
        )
    return found


def propose(
    program: Path, handoff: HandOff, carried: Carried, *, tell: Callable[[str], None]
) -> tuple[RepoPath, ...]:
    """Ask for every conflict between lines; the paths for which there is an answer without conflicts.

    Raises:
        StorageError: an answer cannot be written.
    """
    made = []
    asked = [place for verdict in carried.open for place in places_of(verdict)]
    for path in dict.fromkeys(asked):
        conflict = carried.merge.conflicts.get(path)
        if conflict is None or conflict.kinds != CONTENTS or set(conflict.stages) != {BASE, OURS, THEIRS}:
            continue
        answer = _solved(program, handoff, conflict)
        if answer is None:
            tell(f"{MERGIRAF} has no answer for {path}")
            continue
        write_atomic(handoff.proposals / path, answer)
        made.append(path)
    return tuple(made)


def proposed(handoff: HandOff) -> Mapping[RepoPath, Path]:
    """The proposals that are there, by path."""
    return dict(_kept(handoff.proposals))


def content(handoff: HandOff, verdict: Verdict) -> tuple[RepoPath, bytes]:
    """Where the proposal for a patch goes, and what it is.

    Raises:
        UsageError: there is none.
    """
    there = proposed(handoff)
    place = next((path for path in places_of(verdict) if path in there), None)
    if place is None:
        raise UsageError(f"there is no proposal for {verdict.path}", fix="edit it in the worktree")
    return place, there[place].read_bytes()


def _kept(folder: Path) -> Iterator[tuple[RepoPath, Path]]:
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not file.name.endswith(".tmp"):
            yield RepoPath(file.relative_to(folder).as_posix()), file


def _solved(program: Path, handoff: HandOff, conflict: Conflict) -> bytes | None:
    """The file without conflict lines, or None.

    The copy that is worked on has markers in the form of diff3, which mergiraf asks for; mergiraf overwrites
    it, and its exit code does not say whether all conflicts are solved.
    """
    ids = {side: conflict.stages[side].oid for side in (OURS, BASE, THEIRS)}
    blobs = contents(handoff.git, ids.values())
    with tempfile.TemporaryDirectory(prefix="winvllm-proposal-") as name:
        folder = Path(name)
        sides = [folder / f"side-{number}" for number in ids]
        for file, oid in zip(sides, ids.values(), strict=True):
            file.write_bytes(blobs[oid])
        labels = [word for label in ("upstream", "base", "patch") for word in ("-L", label)]
        merged = handoff.git.run(
            "merge-file", "-p", "--diff3", *labels, *map(str, sides), ok=tuple(range(256))
        )
        if merged.code > MOST_CONFLICTS:
            return None
        suffix = PurePosixPath(conflict.path).suffix
        copy = folder / f"{PurePosixPath(conflict.path).stem}{SPELLED.get(suffix, suffix)}"
        copy.write_bytes(merged.out)
        try:
            done = process.capture([program, "solve", copy], cwd=folder, timeout=SECONDS)
        except ToolchainError:
            return None
        answer = copy.read_bytes()
    if done.code != 0 or any(MARKER.fullmatch(line) for line in answer.split(b"\n")):
        return None
    return answer
