"""Build folders, what failed in them, and the edge that a file name means."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.build.configure import UNDER_WAY
from winvllm_build.build.diagnosis.finding import Finding, findings
from winvllm_build.build.diagnosis.place import slashed
from winvllm_build.build.engine.edge import Edge
from winvllm_build.build.plan import edges
from winvllm_build.errors import UsageError, WinvllmError
from winvllm_build.patchset import patchset
from winvllm_build.patchset.patchset import PatchSet
from winvllm_build.suggest import did_you_mean
from winvllm_build.workspace import Workspace

CACHE: Final = "CMakeCache.txt"
SOURCE: Final = re.compile(r"^CMAKE_HOME_DIRECTORY:INTERNAL=(.+)$", re.MULTILINE)
LOGS: Final = "logs"
NINJA_LOG: Final = ".ninja_log"
CONFIGURE_LOG: Final = Path(LOGS, "configure.log")
EDGE_LOG: Final = re.compile(rb"# FAILED: (?:\[code=-?\d+\] )?(?P<outputs>[^\r\n]+)")
"""How the log of a failed edge begins."""
ROOT: Final = re.compile(r"^<[^>]+>/")
SHOWN: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFolder:
    """A build folder, the tree it compiles, and the sets that may have patched it, the likeliest first."""

    folder: Path
    tree: Path | None
    sets: tuple[PatchSet, ...]


def build_folders(workspace: Workspace) -> tuple[Path, ...]:
    """The build folders of the workspace, the one that was used last first."""
    found = [f for f in workspace.builds.glob("*") if (f / "logs").is_dir() or (f / CACHE).is_file()]
    return tuple(sorted(found, key=_used, reverse=True))


def _used(folder: Path) -> float:
    marks = (*(folder / LOGS).glob("*.log"), folder / NINJA_LOG, folder)
    return max(mark.stat().st_mtime for mark in marks if mark.exists())


def last_folder(workspace: Workspace, prefix: str = "") -> Path:
    """The build folder that was used last, of those whose name starts with `prefix`.

    Raises:
        UsageError: there is none.
    """
    found = [folder for folder in build_folders(workspace) if folder.name.startswith(prefix)]
    if not found:
        raise UsageError(
            f"nothing was built yet in {workspace.builds}" + (f" for {prefix}*" if prefix else ""),
            fix="winvllm-build build, or name a log: winvllm-build why --log FILE",
        )
    return found[0]


def open_folder(folder: Path, patches: Path) -> BuildFolder:
    """A build folder with its tree and the patch set of its tag."""
    tree = _tree(folder)
    name = folder.name if tree is None else tree.name
    tags = [tag for tag in patchset.tags(patches) if name.startswith(f"{tag}-")]
    sets = tuple(patchset.load(patches, tag) for tag in tags[:1])
    return BuildFolder(folder=folder, tree=tree, sets=sets)


def _tree(folder: Path) -> Path | None:
    try:
        match = SOURCE.search((folder / CACHE).read_text("utf-8", "replace"))
    except OSError:
        return None
    return Path(match[1]) if match else None


def every_set(patches: Path, tag: str | None = None) -> tuple[PatchSet, ...]:
    """The set of a tag, or all of them with the newest first.

    Raises:
        UsageError: there is no set for the tag.
    """
    names = [tag] if tag is not None else list(reversed(patchset.tags(patches)))
    return tuple(patchset.load(patches, name) for name in names)


def what_failed(build: BuildFolder) -> tuple[Finding, ...]:
    """What failed and was not made since: the configure step, or edges, each read from its log."""
    if (build.folder / UNDER_WAY).exists() and (build.folder / CONFIGURE_LOG).is_file():
        return read_log(build.folder / CONFIGURE_LOG, build)
    return tuple(finding for log in failed_logs(build.folder) for finding in read_log(log, build))


def failed_logs(folder: Path) -> tuple[Path, ...]:
    """The logs of edges whose last attempt failed, in the order of their ends; one made since is left out."""
    found = [log for log in (folder / LOGS).glob("*.log") if _is_current(folder, log)]
    return tuple(sorted(found, key=lambda log: log.stat().st_mtime))


def forget_failures(folder: Path, but_of: Collection[str] = ()) -> None:
    """Remove the logs of edges that failed in an earlier run, but of those that make one of some outputs."""
    for log in (folder / LOGS).glob("*.log"):
        with contextlib.suppress(OSError):  # held open by something else
            outputs = _failed_outputs(log)
            if outputs and not any(name in but_of for name in outputs):
                log.unlink()


def _failed_outputs(log: Path) -> tuple[str, ...]:
    """Of the edge that a log is of; none where it is no edge's."""
    with log.open("rb") as file:
        head = EDGE_LOG.match(file.readline())
    return () if head is None else tuple(head["outputs"].decode("utf-8", "replace").split())


def _is_current(folder: Path, log: Path) -> bool:
    outputs = [folder / name for name in _failed_outputs(log)]
    written = log.stat().st_mtime
    return bool(outputs) and not all(output.is_file() and _arrived(output) > written for output in outputs)


def _arrived(output: Path) -> float:
    """When an output came to its place: one that is linked in from the store keeps its own, older time."""
    info = output.stat()
    return max(info.st_mtime, info.st_ctime)


def read_log(log: Path, build: BuildFolder) -> tuple[Finding, ...]:
    """What a log of this machine's says.

    Raises:
        UsageError: it cannot be read.
    """
    try:
        content = log.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {log}: {error.strerror}", fix="name a log that exists") from error
    return findings(content, tree=build.tree, sets=build.sets, log=log)


def output_of(build: BuildFolder, name: str) -> str:
    """The output of the edge that a source file, an object or a link target means.

    Args:
        build: the folder.
        name: a path of the source or of the output, whole or its end.

    Raises:
        UsageError: it means none, or several; the nearest names are listed.
    """
    known = _names(build)
    wanted = slashed(name).removeprefix("./")
    exact = {output for key, output in known if key == wanted}
    ends = {output for key, output in known if key.endswith(f"/{wanted}")}
    found = sorted(exact or ends)
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(found[:SHOWN])
        raise UsageError(f"{name} is compiled {len(found)} times: {listed}", fix="name one of the outputs")
    near = did_you_mean(wanted, sorted({key for key, _ in known}), most=3)
    raise UsageError(
        f"no edge of {build.folder.name} compiles or makes {name!r}{near}",
        fix="winvllm-build plan lists every edge; --log reads a log file",
    )


def _names(build: BuildFolder) -> set[tuple[str, str]]:
    """Each name by which an edge can be asked for, with its output."""
    found: set[tuple[str, str]] = set()
    for edge in _edges(build):
        found.add((edge.output, edge.output))
        if edge.source:
            found.add((ROOT.sub("", edge.source), edge.output))
            if build.tree is not None:
                found.add((edge.source.replace("<tree>", build.tree.as_posix()), edge.output))
    return found


def _edges(build: BuildFolder) -> tuple[Edge, ...]:
    try:
        return edges.read(build.folder)
    except WinvllmError:
        return ()
