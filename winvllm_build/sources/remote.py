"""Remote git repositories: what a tag points at, and noticing once per run that a host does not answer."""

from __future__ import annotations

import re
import time
from typing import Final
from urllib.parse import urlsplit

from winvllm_build.errors import OfflineError, RefusedError, SourceError, ToolchainError
from winvllm_build.git import Git, GitError, Oid
from winvllm_build.suggest import did_you_mean

ANSWER_SECONDS: Final = 12.0
CHEAP_SECONDS: Final = 1.0
SHOWN_TAGS: Final = 8
REFUSALS: Final = re.compile(
    rb"Authentication failed|could not read (?:Username|Password)|Permission denied|[Aa]ccess denied"
    rb"|returned error: 4\d\d|[Rr]epository\b.*\bnot found|does not appear to be a git repository"
    rb"|not our ref|does not allow request for unadvertised object|couldn't find remote ref"
)
"""What git says, untranslated, when the host answers but does not give; its exit code is always 128."""


class Remotes:
    """Remembers, for one run, which hosts kept us waiting; a quick refusal may be about one repository."""

    def __init__(self, *, offline: bool = False) -> None:
        self._offline = offline
        self._silent: dict[str, str] = {}

    def tag_commit(self, git: Git, url: str, tag: str) -> Oid:
        """The commit a remote's tag points at.

        Raises:
            OfflineError: the remote does not answer.
            RefusedError: it refuses, or has no such tag; the closest known ones are listed.
        """
        found = self._refs(git, url, f"refs/tags/{tag}", f"refs/tags/{tag}^{{}}")
        commit = found.get(f"refs/tags/{tag}^{{}}", found.get(f"refs/tags/{tag}"))
        if commit is None:
            names = [name.removeprefix("refs/tags/") for name in self._refs(git, url, "refs/tags/*")]
            raise unknown_tag(url, tag, [name for name in names if not name.endswith("^{}")])
        return commit

    def require(self, git: Git, url: str) -> None:
        """Return if the remote answers; each host is asked once.

        Raises:
            OfflineError: it does not.
            RefusedError: it does not let us in, or has no such repository.
        """
        self._refs(git, url, "HEAD")

    def _refs(self, git: Git, url: str, *patterns: str) -> dict[str, Oid]:
        host = urlsplit(url).netloc or url
        if self._offline and urlsplit(url).scheme != "file":
            raise OfflineError(f"{url} is not asked: this run is offline", fix="run once without --offline")
        if host in self._silent:
            raise OfflineError(self._silent[host], fix="connect to the network, then run again")
        begun = time.monotonic()
        try:
            answer = git.network("ls-remote", "--quiet", url, *patterns, timeout=ANSWER_SECONDS)
        except ToolchainError as error:
            if time.monotonic() - begun > CHEAP_SECONDS and not is_refusal(error):
                self._silent[host] = f"{host} does not answer: {reason(error)}"
            raise failure(f"cannot reach {url}", error) from error
        lines = (line.partition("\t") for line in answer.text.splitlines())
        return {name: Oid(commit) for commit, _, name in lines}


def failure(what: str, error: ToolchainError) -> OfflineError | RefusedError:
    """Why a transfer failed: the host gives no answer, or answers that it does not give this."""
    if is_refusal(error):
        return RefusedError(
            f"{what}: {reason(error)}", fix="check the address and git's credentials for it: git ls-remote"
        )
    return OfflineError(f"{what}: {reason(error)}", fix="connect to the network, then run again")


def is_refusal(error: ToolchainError) -> bool:
    return isinstance(error, GitError) and REFUSALS.search(error.stderr) is not None


def unknown_tag(url: str, tag: str, known: list[str]) -> RefusedError:
    shown = ", ".join(sorted(known, key=_natural)[-SHOWN_TAGS:]) or "none"
    return RefusedError(
        f"{url} has no tag {tag}{did_you_mean(tag, known, most=3)}\nits last tags are: {shown}",
        fix="choose a tag that exists",
    )


def moved_tag(url: str, tag: str, pinned: str, found: Oid) -> SourceError:
    return SourceError(
        f"tag {tag} of {url} has moved\n  pinned commit {pinned}\n  found  commit {found}",
        fix="find out why before you trust it; the patch set is made for the pinned commit",
    )


def _natural(tag: str) -> tuple[tuple[int, str], ...]:
    parts = "".join(c if c.isdigit() else f" {c} " for c in tag).split()
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in parts)


def reason(error: ToolchainError) -> str:
    """The last line git said, its own summary of what went wrong, without the address it repeats."""
    words = error.stderr.decode("utf-8", "replace") if isinstance(error, GitError) else error.message
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    return lines[-1].rpartition("': ")[2] if lines else "no answer"
