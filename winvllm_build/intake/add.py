"""A manifest for a new tag: pinned by commit and archive, its facts read, the older manifest carried over."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.version import Version

from winvllm_build import data
from winvllm_build.choices import SourceKind
from winvllm_build.errors import RefusedError, UsageError
from winvllm_build.git import Git
from winvllm_build.index import Index
from winvllm_build.intake import dependencies, facts, git_facts, manifest_writer, update
from winvllm_build.intake.checkout import Checkout
from winvllm_build.intake.dependencies import Planned, State
from winvllm_build.intake.git_facts import Hosts
from winvllm_build.intake.manifest_text import blocks
from winvllm_build.intake.manifest_writer import Draft, Older
from winvllm_build.intake.unpinned import URL, released_source, repository_at, version_of
from winvllm_build.patchset import advice, manifest
from winvllm_build.patchset.patchset import manifest_of, tags
from winvllm_build.sources.pins import DependencyPin, SourcePin, read_pins
from winvllm_build.sources.remote import Remotes
from winvllm_build.sources.source import Source, acquire
from winvllm_build.workspace import Workspace, write_atomic

OnEvent = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddResult:
    """What was written, or would be.

    Attributes:
        tag: the new tag.
        manifest: its file.
        text: the file's content.
        written: whether it was changed on the disk.
        pin: what upstream's source is pinned by.
        previous: the tag that was carried from; None for none.
        dependencies: those of the new tag; empty in an update.
        gone: those of the older tag that the new one does not fetch.
        added: what an update added, one word for each.
        todos: what a person still has to say.
        seconds: wall time.
    """

    tag: str
    manifest: Path
    text: str
    written: bool
    pin: SourcePin
    previous: str | None
    dependencies: tuple[Planned, ...]
    gone: tuple[DependencyPin, ...]
    added: tuple[str, ...]
    todos: tuple[str, ...]
    seconds: float

    @property
    def states(self) -> Mapping[str, State]:
        return dependencies.states(self.dependencies, self.gone)


def add_tag(
    root: Path,
    tag: str,
    *,
    previous: str | None,
    workspace: Workspace,
    index: Index,
    offline: bool,
    on_event: OnEvent,
    remotes: Remotes | None = None,
    update: bool = False,
    dry_run: bool = False,
) -> AddResult:
    """Write `patches/<tag>/patchset.toml`, or complete it.

    Args:
        root: the folder of all patch sets.
        tag: the new tag.
        previous: the tag to carry from; None is the newest set older than `tag`.
        workspace: where sources are kept.
        index: the package index.
        offline: use only what is cached or local.
        on_event: told what happens.
        remotes: what is known of the network in this run.
        update: the manifest is there: only add what it lacks and git or the index says.
        dry_run: write nothing.

    Raises:
        UsageError: the manifest is there already (or not, for an update); the set is the installed package's.
        PatchError: the older manifest cannot be read, or this one cannot be edited.
        SourceError: the tag's source is not to be had, moved, or does not look like vLLM.
        StorageError: the file cannot be written.
    """
    begun = time.monotonic()
    version_of(tag)
    file = root / tag / manifest.FILE
    if not dry_run:
        _refuse_installed(root, tag)
    doors = _Doors(workspace, index, remotes or Remotes(offline=offline), on_event, offline=offline)
    if update:
        return _updated(root, tag, doors, begun, dry_run=dry_run)
    if file.exists():
        raise UsageError(
            f"{file} is there already",
            fix=f"to add what it lacks: {advice.command('tags', 'add', tag, '--update', root=root)}",
        )
    older = _older(root, tag, previous)
    pin, source = doors.source(tag, older)
    draft = _draft(pin, source, older, doors)
    text = manifest_writer.text(draft)
    _prove(text)
    if not dry_run:
        write_atomic(file, text.encode("utf-8"))
    return AddResult(
        tag=tag, manifest=file, text=text, written=not dry_run, pin=pin,
        previous=older.tag if older else None, dependencies=draft.planned, gone=draft.gone, added=(),
        todos=tuple(manifest_writer.todos(text)), seconds=time.monotonic() - begun,
    )  # fmt: skip


def older_sets(root: Path, tag: str) -> tuple[str, ...]:
    """The patch sets for releases before `tag`, oldest first."""
    new = Version(version_of(tag))
    return tuple(known for known in tags(root) if _release(known) is not None and _before(known, new))


class _Doors:
    """Where sources come from in one run."""

    def __init__(
        self, workspace: Workspace, index: Index, remotes: Remotes, on_event: OnEvent, *, offline: bool
    ) -> None:
        self.workspace = workspace
        self.index = index
        self.remotes = remotes
        self.tell = on_event
        self.offline = offline

    def source(self, tag: str, older: Older | None) -> tuple[SourcePin, Source]:
        """The published archive with the commit added where git says it; without an archive, git alone."""
        url = older.url if older else URL
        try:
            pin, source = released_source(
                tag, workspace=self.workspace, index=self.index, offline=self.offline, on_event=self.tell,
                url=url,
            )  # fmt: skip
        except RefusedError as error:
            return self._from_git(tag, url, error)
        return git_facts.with_commit(pin, self.hosts(Git(source.repository))), source

    def hosts(self, git: Git) -> Hosts:
        return Hosts(git=git, workspace=self.workspace, remotes=self.remotes, tell=self.tell)

    def _from_git(self, tag: str, url: str, refused: RefusedError) -> tuple[SourcePin, Source]:
        self.tell(f"not taken: {refused.message}")
        bare = SourcePin(tag=tag, url=url, commit=None, sdist=None)
        git = repository_at(self.workspace, url, self.tell)
        pin = git_facts.with_commit(bare, self.hosts(git))
        if pin.commit is None:
            raise refused
        source = acquire(
            pin, kind=SourceKind.GIT, location=None, workspace=self.workspace, offline=self.offline,
            on_event=self.tell, index=self.index, remotes=self.remotes,
        )  # fmt: skip
        return pin, source


def _draft(pin: SourcePin, source: Source, older: Older | None, doors: _Doors) -> Draft:
    found = facts.read(Checkout.of(source))
    before = older.dependencies if older else ()
    planned = dependencies.plan(found.cmake.pins, before)
    hosts = doors.hosts(Git(source.repository))
    whole = tuple(git_facts.completed(one, hosts) for one in planned)
    missing = dependencies.gone(whole, before)
    return Draft(pin=pin, facts=found, planned=whole, gone=missing, older=older)


def _older(root: Path, tag: str, previous: str | None) -> Older | None:
    known = older_sets(root, tag)
    chosen = previous or (known[-1] if known else None)
    if chosen is None:
        return None
    file = manifest_of(root, chosen)
    pins = read_pins(file)
    return Older(
        tag=chosen, url=pins.upstream.url, manifest=manifest.read(file), dependencies=pins.dependencies,
        blocks=blocks(file.read_text(encoding="utf-8-sig")),
    )  # fmt: skip


def _updated(root: Path, tag: str, doors: _Doors, begun: float, *, dry_run: bool) -> AddResult:
    file = manifest_of(root, tag)
    pins = read_pins(file)
    hosts = doors.hosts(repository_at(doors.workspace, pins.upstream.url, doors.tell))
    pin = git_facts.with_commit(pins.upstream, hosts)
    before = file.read_bytes().decode("utf-8-sig")
    text, added = update.completed(file, before, pin, pins, hosts)
    _prove(text)
    if added and not dry_run:
        write_atomic(file, text.encode("utf-8"))
    return AddResult(
        tag=tag, manifest=file, text=text, written=bool(added) and not dry_run, pin=pin, previous=None,
        dependencies=(), gone=(), added=added, todos=tuple(manifest_writer.todos(text)),
        seconds=time.monotonic() - begun,
    )  # fmt: skip


def _prove(text: str) -> None:
    """Both rooms that read manifests read this one.

    Raises:
        PatchError: they do not; nothing was written.
    """
    with tempfile.TemporaryDirectory(prefix="winvllm-manifest-") as folder:
        file = Path(folder, manifest.FILE)
        file.write_text(text, encoding="utf-8", newline="\n")
        read_pins(file)
        manifest.read(file)


def _refuse_installed(root: Path, tag: str) -> None:
    if data.is_installed(root):
        again = advice.command("tags", "add", tag)
        raise UsageError(
            f"{root} belongs to the installed package; manifests are not written there",
            fix=f"copy that folder, then: {again} --patches FOLDER",
        )


def _release(tag: str) -> Version | None:
    try:
        return Version(version_of(tag))
    except UsageError:
        return None


def _before(tag: str, new: Version) -> bool:
    release = _release(tag)
    return release is not None and release < new
