"""Finished edges as one file: written whole or not at all, read with suspicion, the same each time."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from winvllm_build.build.store.blobs import Blobs, Syncer, sha256
from winvllm_build.build.store.digests import digest_of_text
from winvllm_build.build.store.inventory import WHAT, Entry, by_build, entries
from winvllm_build.build.store.layout import BLOBS, INCOMING, LOCK, RECORDS
from winvllm_build.build.store.records import Record, Records, unpacked
from winvllm_build.errors import SourceError, UsageError
from winvllm_build.sources.archive import Limits, Member, members
from winvllm_build.workspace import locked, replace, storage_errors

MANIFEST: Final = "finished-edges.json"
KIND: Final = "winvllm-build finished edges"
FORMAT: Final = 1
NAME: Final = re.compile(
    r"blobs/(?P<blob>[0-9a-f]{64})|records/(?P<key>[0-9a-f]{64})/(?P<variant>[0-9a-f]{64})"
)
LIMITS: Final = Limits(members=4_000_000, member_bytes=4 << 30, total_bytes=1 << 40, ratio=1000.0)
COMPRESSED: Final = (".gz", ".tgz")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What a file carries; `size` is its own bytes."""

    file: Path
    edges: int
    contents: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What files brought: edges in them, and how many of these are new here."""

    edges: int
    new: int
    contents: int


def export(root: Path, file: Path, *, tags: Collection[str] = (), builds: Collection[str] = ()) -> Exported:
    """Write finished edges into one tar file, compressed if its name ends in `.gz` or `.tgz`.

    Args:
        root: the store.
        file: the file to write.
        tags: only edges made for one of these tags, or used by a build of one.
        builds: only edges that one of these build folders uses.

    Raises:
        UsageError: nothing of that kind is there.
        BusyError: another run tidies the store.
        StorageError: the file cannot be written.
    """
    if not root.is_dir():
        raise _nothing(root, (*tags, *builds))
    with locked(root / LOCK, WHAT, wait=60.0):
        return _export(root, file, tags, builds)


def _nothing(root: Path, asked: Collection[str]) -> UsageError:
    return UsageError(
        f"no finished edges{f' of {chr(32).join(asked)}' if asked else ''} in {root}",
        fix="winvllm-build state lists what is there",
    )


def _export(root: Path, file: Path, tags: Collection[str], builds: Collection[str]) -> Exported:
    chosen = sorted(_chosen(root, tags, builds), key=lambda entry: (entry.summary.key, entry.path.name))
    blobs = Blobs(root / BLOBS, Syncer())
    named = {made.blob for entry in chosen for made in entry.summary.made}
    whole = {name for name in named if _is_whole(blobs.path(name), name)}
    chosen = [entry for entry in chosen if all(made.blob in whole for made in entry.summary.made)]
    if not chosen:
        raise _nothing(root, (*tags, *builds))
    contents = sorted({made.blob for entry in chosen for made in entry.summary.made})
    with storage_errors(str(file)), _written_whole(file) as opened, _tar(opened, file.name) as tar:
        keys = [(entry.summary.key, entry.path.name) for entry in chosen]
        _add(tar, MANIFEST, json.dumps(_manifest(keys, contents), sort_keys=True).encode())
        for name in contents:
            with blobs.path(name).open("rb") as content:
                info = _info(f"blobs/{name}", os.fstat(content.fileno()).st_size)
                tar.addfile(info, content)
        for entry in chosen:
            _add(tar, f"records/{entry.summary.key}/{entry.path.name}", entry.path.read_bytes())
    return Exported(file=file, edges=len(chosen), contents=len(contents), size=file.stat().st_size)


def _is_whole(path: Path, name: str) -> bool:
    try:
        return sha256(path) == name
    except OSError:
        return False


def _chosen(root: Path, tags: Collection[str], builds: Collection[str]) -> Iterator[Entry]:
    used = {
        (reference.key, reference.variant)
        for name, references in by_build(root)
        for reference in references
        if name in builds or reference.tag in tags
    }
    for entry in entries(root):
        everything = not tags and not builds
        if everything or entry.summary.tag in tags or (entry.summary.key, entry.path.name) in used:
            yield entry


def _manifest(keys: Iterable[tuple[str, str]], contents: Iterable[str]) -> dict[str, Any]:
    names = [*(f"{key}/{variant}" for key, variant in keys), *contents]
    return {"kind": KIND, "format": FORMAT, "members": len(names), "digest": digest_of_text(sorted(names))}


@contextmanager
def _written_whole(file: Path) -> Iterator[IO[bytes]]:
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.", suffix=".part")
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as opened:
            yield opened
            opened.flush()
            os.fsync(opened.fileno())
        part.chmod(0o644)
        replace(part, file)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _tar(opened: IO[bytes], name: str) -> Iterator[tarfile.TarFile]:
    with ExitStack() as stack:
        inner: Any = opened
        if name.endswith(COMPRESSED):
            inner = stack.enter_context(gzip.GzipFile("", "wb", 1, opened, mtime=0))
        yield stack.enter_context(tarfile.open(fileobj=inner, mode="w", format=tarfile.USTAR_FORMAT))


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o644, 0
    return info


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    tar.addfile(_info(name, len(content)), io.BytesIO(content))


def import_(root: Path, file: Path) -> Imported:
    """Take over the finished edges of an exported file; all of them, or none.

    Raises:
        SourceError: the file is damaged, or no export.
        BusyError: another run tidies the store.
        StorageError: the store cannot be written.
    """
    with storage_errors(str(root)), locked(root / LOCK, WHAT, wait=60.0):
        for left in root.glob(f"{INCOMING}*"):
            shutil.rmtree(left, ignore_errors=True)
        staging = Path(tempfile.mkdtemp(dir=root, prefix=INCOMING))
        try:
            records = _read_all(file, staging, Blobs(root / BLOBS, Syncer()))
            return _taken_over(root, staging, records)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _read_all(file: Path, staging: Path, held: Blobs) -> list[Record]:
    """The records of an export; the contents that are new lie in `staging` then."""
    found: list[Record] = []
    names: list[str] = []
    manifest: dict[str, Any] | None = None
    try:
        with closing(members(file, limits=LIMITS)) as opened:
            for member in opened:
                if manifest is None:
                    manifest = _manifest_of(member)
                    continue
                found.extend(_member(member, staging, held, names))
    except (SourceError, ValueError) as error:
        raise _refused(file, str(getattr(error, "message", error))) from error
    if manifest is None or manifest != {**manifest, **_listed(names)}:
        raise _refused(file, "it is not complete")
    blobs = {name for name in names if "/" not in name}
    if any(made.blob not in blobs for record in found for made in record.made):
        raise _refused(file, "a content is missing")
    return found


def _manifest_of(member: Member) -> dict[str, Any]:
    loaded = json.loads(member.content) if member.path == MANIFEST else None
    if not isinstance(loaded, dict) or loaded.get("kind") != KIND:
        raise ValueError("it is something else")
    if loaded.get("format") != FORMAT:
        raise ValueError(f"it is of format {loaded.get('format')}, this version reads {FORMAT}")
    return loaded


def _listed(names: list[str]) -> dict[str, Any]:
    return {"members": len(names), "digest": digest_of_text(sorted(names))}


def _member(member: Member, staging: Path, held: Blobs, names: list[str]) -> Iterator[Record]:
    match = NAME.fullmatch(member.path)
    if match is None:
        raise ValueError(f"member {member.path!r} does not belong there")
    if match["blob"]:
        names.append(match["blob"])
        file = staging / match["blob"]
        file.write_bytes(member.content)
        if sha256(file) != match["blob"]:
            raise ValueError(f"content {match['blob'][:12]} holds something else")
        if held.path(match["blob"]).is_file() and sha256(held.path(match["blob"])) == match["blob"]:
            file.unlink()
        return
    record = unpacked(member.content)
    if (record.key, record.variant) != (match["key"], match["variant"]):
        raise ValueError(f"the record of {record.output} lies under another's name")
    names.append(f"{record.key}/{record.variant}")
    yield record


def _taken_over(root: Path, staging: Path, found: list[Record]) -> Imported:
    """Move contents in, then write the records that name them: at any instant what is there is whole."""
    syncer = Syncer()
    blobs, records = Blobs(root / BLOBS, syncer), Records(root / RECORDS, syncer)
    contents = sorted(staging.iterdir())
    for file in contents:
        target = blobs.path(file.name)
        target.parent.mkdir(parents=True, exist_ok=True)
        replace(file, target)
        syncer.later(target)
    syncer.finish()
    new = 0
    for record in found:
        new += not records.path(record.key, record.variant).exists()
        records.add(record)
    syncer.finish()
    return Imported(edges=len(found), new=new, contents=len(contents))


def _refused(file: Path, why: str) -> SourceError:
    return SourceError(
        f"{file} is no whole export of finished edges: {why.splitlines()[0]}; nothing was taken over",
        fix="export it again: winvllm-build state export FILE",
    )
