"""What only git says: the commit behind a tag, and the commits that a project records for its submodules."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar
from urllib.parse import urlsplit

from winvllm_build.errors import UNOBTAINABLE, OfflineError
from winvllm_build.git import Git, Oid
from winvllm_build.intake.dependencies import Planned
from winvllm_build.sources.dependency import acquire_commit
from winvllm_build.sources.pins import DependencyPin, SourcePin, SubmodulePin
from winvllm_build.sources.remote import Remotes, moved_tag
from winvllm_build.workspace import Workspace

Answer = TypeVar("Answer")
SUBMODULE: Final = "160000"
"""git's mode of a submodule in a tree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """Where git asks: `git` is any repository to ask from, `remotes` remembers who does not answer."""

    git: Git
    workspace: Workspace
    remotes: Remotes
    tell: Callable[[str], None]
    silent: set[str] = field(default_factory=set)
    """Hosts that gave no answer in this run: what they would say is left out, and that is said once."""

    def tag_commit(self, url: str, tag: str) -> Oid | None:
        """The commit a tag points at; None where nobody says."""
        return self._asked(url, lambda: self.remotes.tag_commit(self.git, url, tag))

    def _asked(self, url: str, question: Callable[[], Answer]) -> Answer | None:
        host = urlsplit(url).netloc or url
        if host in self.silent:
            return None
        try:
            return question()
        except UNOBTAINABLE as error:
            self.tell(f"commits are not looked up: {error.message}")
            if isinstance(error, OfflineError):
                self.silent.add(host)
            return None

    def submodules(self, pin: DependencyPin, paths: Sequence[str]) -> tuple[SubmodulePin, ...]:
        """The submodules at `paths` as the pinned commit records them, as far as it does."""
        found = self._asked(pin.url, lambda: acquire_commit(
            pin, workspace=self.workspace, remotes=self.remotes, on_event=self.tell,
        ))  # fmt: skip
        if found is None:
            return ()
        repository, commit = found
        git = Git(repository)
        there = {str(path): entry for path, entry in git.entries(commit).items()}
        urls = _addresses(git, commit, pin.url)
        return tuple(
            SubmodulePin(path=path, url=urls[path], commit=there[path].oid)
            for path in paths
            if path in there and there[path].mode == SUBMODULE and path in urls
        )


def with_commit(pin: SourcePin, hosts: Hosts) -> SourcePin:
    """The pin with the commit its tag points at, where the repository can be reached.

    Raises:
        SourceError: the tag points at another commit than the archive was packed from.
    """
    if pin.commit is not None:
        return pin
    found = hosts.tag_commit(pin.url, pin.tag)
    if found is None:
        return pin
    if pin.abbreviated is not None and not found.startswith(pin.abbreviated):
        raise moved_tag(pin.url, pin.tag, pin.abbreviated, found)
    return replace(pin, commit=found)


def completed(planned: Planned, hosts: Hosts) -> Planned:
    """A dependency with the commits that its repository names, where it can be reached."""
    if planned.faults:
        return planned
    commit = planned.commit or hosts.tag_commit(planned.url, planned.pin.revision)
    made = replace(planned, commit=commit)
    if commit is None or not made.wanted_submodules:
        return made
    found = hosts.submodules(_pin(made), made.wanted_submodules)
    return replace(made, submodules=(*made.submodules, *found))


def _pin(planned: Planned) -> DependencyPin:
    return DependencyPin(
        name=planned.name, url=planned.url, revision=planned.pin.revision, commit=planned.commit,
        variable=planned.variable, content=planned.pin.content, targets=planned.targets, archs=planned.archs,
        folder=planned.pin.folder, submodules=planned.submodules, package=planned.package,
    )  # fmt: skip


def _addresses(git: Git, commit: Oid, url: str) -> dict[str, str]:
    """The repository of each submodule by its path, from `.gitmodules`."""
    listed = git.run("config", "--blob", f"{commit}:.gitmodules", "-z", "--list", ok=(0, 1, 128))
    paths: dict[str, str] = {}
    urls: dict[str, str] = {}
    for record in listed.out.decode("utf-8", "replace").split("\0")[:-1]:
        name, _, content = record.partition("\n")
        kind, _, rest = name.partition(".")
        section, _, key = rest.rpartition(".")
        if kind == "submodule" and key == "path":
            paths[section] = content
        elif kind == "submodule" and key == "url":
            urls[section] = _absolute(content, url)
    return {path: urls[section] for section, path in paths.items() if section in urls}


def _absolute(address: str, parent: str) -> str:
    """`../cutlass.git` is beside the parent's own address."""
    if not address.startswith(("./", "../")):
        return address
    scheme, _, rest = parent.partition("://")
    return f"{scheme}://{posixpath.normpath(posixpath.join(rest.rstrip('/'), address))}"
