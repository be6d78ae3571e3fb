"""What a tag is built from, pinned by hash: upstream's commit and sdist, and every vendored dependency."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.arch import base
from winvllm_build.git import IDENTITY, Oid
from winvllm_build.manifest_table import Table, read_manifest
from winvllm_build.member_names import name_fault

COMMIT: Final = re.compile(r"[0-9a-f]{40}")
ABBREVIATED: Final = re.compile(r"[0-9a-f]{7,40}")
SHA256: Final = re.compile(r"[0-9a-f]{64}")
URL: Final = re.compile(r"(https|ssh|git|file)://[^\s\x00-\x1f]+")
REVISION: Final = re.compile(r"(?!.*(\.\.|\.lock$))[0-9A-Za-z]([0-9A-Za-z._+-]{0,98}[0-9A-Za-z])?")
"""A tag or commit that is also a safe name for a ref and a folder."""
NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
CONTENT: Final = re.compile(r"[A-Za-z0-9_-]+")
VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]*")
TARGET: Final = re.compile(r"[A-Za-z0-9_]+")
ARCH: Final = re.compile(r"\d+\.\d[af]?")
VERSION: Final = re.compile(r"[0-9][0-9A-Za-z.+!]*")
PROJECT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
SIGNED: Final = f"{IDENTITY['GIT_COMMITTER_NAME']} <{IDENTITY['GIT_COMMITTER_EMAIL']}> 0 +0000"
FOLDER: Final = re.compile(r"[^\x00-\x1f]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class SdistPin:
    """The source archive a package index publishes for the tag."""

    project: str
    version: str
    sha256: str

    @property
    def commit_message(self) -> str:
        """What the tool's own commit of this archive says."""
        return f"{self.project} {self.version}, from its published source archive\n\nsha256: {self.sha256}\n"

    def commit_id(self, tree: Oid) -> Oid:
        """The id of that commit, if the archive's files are `tree`: it ties a tree to this pin."""
        content = f"tree {tree}\nauthor {SIGNED}\ncommitter {SIGNED}\n\n{self.commit_message}".encode()
        whole = b"commit %d\0" % len(content) + content
        return Oid(hashlib.sha1(whole, usedforsecurity=False).hexdigest())


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePin:
    """Upstream's repository at one tag.

    Attributes:
        tag: its name.
        url: the repository.
        commit: what the tag has to point at; None where only the source archive is pinned.
        sdist: the source archive; always there where `commit` is not.
        abbreviated: the commit's first digits, as the archive's version file names them.
    """

    tag: str
    url: str
    commit: Oid | None
    sdist: SdistPin | None
    abbreviated: str | None = None

    def means(self, commit: Oid) -> bool:
        """Whether a commit is the tag's, as far as the pin tells."""
        if self.commit is not None:
            return commit == self.commit
        return self.abbreviated is not None and commit.startswith(self.abbreviated)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmodulePin:
    """A submodule the build needs, at the commit its parent records."""

    path: str
    url: str
    commit: Oid


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagePin:
    """A wheel that carries the same files: below `root`, the folders `folders`.

    `record_sha256` is the hash of the wheel's RECORD, which has the hash of each member. For the CUDA archs
    `not_for` it lacks files that the targets `not_targets` need.
    """

    project: str
    version: str
    record_sha256: str
    root: str
    folders: tuple[str, ...]
    not_for: tuple[str, ...] = ()
    not_targets: tuple[str, ...] = ()

    def lost_for(self, archs: tuple[str, ...]) -> tuple[str, ...]:
        """The targets that cannot be built from the wheel for these archs."""
        return self.not_targets if _uses(self.not_for, archs) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DependencyPin:
    """A project that upstream's CMake would fetch while it configures.

    Attributes:
        name: its folder and command-line name.
        url: its git repository.
        revision: the tag or commit upstream names.
        commit: the commit behind it.
        variable: the environment variable by which upstream's CMake takes a folder instead.
        content: its FetchContent name, as in `${<content>_SOURCE_DIR}`.
        targets: the CMake targets that cannot be built without it.
        archs: for which CUDA archs it is needed ("9.0a" is 9.0 alone, "10.0f" every 10.x); empty is always.
        folder: what `variable` points at, inside the repository; empty is its root.
        submodules: the ones the build needs.
        package: a wheel to take it from instead.
    """

    name: str
    url: str
    revision: str
    commit: Oid | None
    variable: str
    content: str
    targets: tuple[str, ...]
    archs: tuple[str, ...]
    folder: str
    submodules: tuple[SubmodulePin, ...]
    package: PackagePin | None

    def needed_for(self, archs: tuple[str, ...]) -> bool:
        """Whether any of these archs ("8.6", "12.0a", "9.0+PTX") uses it; no archs asks for everything."""
        return not self.archs or not archs or _uses(self.archs, archs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    upstream: SourcePin
    dependencies: tuple[DependencyPin, ...]


def read_pins(manifest: Path) -> Pins:
    """The pins of `patches/<tag>/patchset.toml`.

    Raises:
        PatchError: a key is missing, unknown or malformed; file, table and key of each are named.
    """
    root = read_manifest(manifest)
    upstream = root.table("upstream")
    if upstream is None:
        raise root.fault("the table [upstream] is missing")
    named = root.named("dependency", NAME, "lower-case letters, digits, `-`")
    pins = Pins(
        upstream=_upstream(upstream), dependencies=tuple(_dependency(name, table) for name, table in named)
    )
    root.close()
    return pins


def _uses(own: tuple[str, ...], archs: tuple[str, ...]) -> bool:
    wanted = [base(arch).split(".") for arch in archs]
    return any(_covers(one, arch) for one in own for arch in wanted)


def _covers(own: str, arch: list[str]) -> bool:
    major, _, minor = base(own).partition(".")
    return arch[0] == major and (own.endswith("f") or arch[1:] == [minor])


def _upstream(table: Table) -> SourcePin:
    sdist = table.table("sdist")
    pin = SourcePin(
        tag=table.text("tag", REVISION, "a tag's name"),
        url=_url(table),
        commit=_commit(table) if "commit" in table or sdist is None else None,
        sdist=None if sdist is None else _sdist(sdist),
        abbreviated=table.optional_text("abbreviated", ABBREVIATED, "the first 7 to 40 digits of the commit"),
    )
    if pin.commit and pin.abbreviated and not pin.commit.startswith(pin.abbreviated):
        table.report(f"`abbreviated` is {pin.abbreviated!r}, but `commit` does not begin with it")
    table.finish()
    return pin


def _sdist(table: Table) -> SdistPin:
    pin = SdistPin(
        project=table.text("project", PROJECT, "a project's name on the package index"),
        version=table.text("version", VERSION, "an exact version"),
        sha256=table.text("sha256", SHA256, "64 hexadecimal digits"),
    )
    table.finish()
    return pin


def _dependency(name: str, table: Table) -> DependencyPin:
    package = table.table("package")
    pin = DependencyPin(
        name=name,
        url=_url(table),
        revision=table.text("revision", REVISION, "a tag or commit"),
        commit=_commit(table) if "commit" in table else None,
        variable=table.text("variable", VARIABLE, "an environment variable"),
        content=table.optional_text("content", CONTENT, "a FetchContent name") or name,
        targets=table.texts("targets", TARGET, "a CMake target"),
        archs=table.texts("archs", ARCH, 'a CUDA arch like "9.0a"'),
        folder=_folder(table, "folder", required=False),
        submodules=tuple(_submodule(x) for x in table.tables("submodules")),
        package=None if package is None else _package(package),
    )
    table.finish()
    return pin


def _submodule(table: Table) -> SubmodulePin:
    pin = SubmodulePin(path=_folder(table, "path", required=True), url=_url(table), commit=_commit(table))
    table.finish()
    return pin


def _package(table: Table) -> PackagePin:
    pin = PackagePin(
        project=table.text("project", PROJECT, "a project's name on the package index"),
        version=table.text("version", VERSION, "an exact version"),
        record_sha256=table.text("record_sha256", SHA256, "64 hexadecimal digits"),
        root=_folder(table, "root", required=True),
        folders=table.texts("folders", CONTENT, "a folder's name"),
        not_for=table.texts("not_for", ARCH, 'a CUDA arch like "9.0a"'),
        not_targets=table.texts("not_targets", TARGET, "a CMake target"),
    )
    table.finish()
    return pin


def _url(table: Table) -> str:
    return table.text("url", URL, "an https, ssh, git or file URL")


def _commit(table: Table) -> Oid:
    return Oid(table.text("commit", COMMIT, "40 hexadecimal digits, lower case"))


def _folder(table: Table, key: str, *, required: bool) -> str:
    what = "a relative path with forward slashes"
    path = table.text(key, FOLDER, what) if required else table.optional_text(key, FOLDER, what) or ""
    fault = name_fault(path) if path else None
    if fault is not None:
        table.report(f"`{key}` {path!r} {fault}")
    return path
