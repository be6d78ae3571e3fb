"""A clone of upstream with the commits between two tags, read without its configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from winvllm_build.errors import UsageError
from winvllm_build.git import Git, Oid
from winvllm_build.patchset import advice
from winvllm_build.patchset.worktree import scratch_of
from winvllm_build.sources.pins import SourcePin
from winvllm_build.sources.remote import moved_tag

PULL_REQUEST: Final = re.compile(r"\(#(\d+)\)")
"""How a merged pull request is named in a subject; the last one counts."""
AUTHOR: Final = re.compile(r"author (?P<name>.*?) <[^>]*> (?P<time>\d+) (?P<zone>[+-]\d{4})")
NONE: Final = (0, 1, 128)


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One commit of upstream; `day` is the author's date, `request` the pull request of its subject."""

    oid: Oid
    subject: str
    author: str
    day: str
    request: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The first-parent line of commits from one tag to another.

    Attributes:
        git: a scratch repository that has all of it.
        old: the old tag's tree.
        new: the new tag's tree.
        start: the commit that the first one is made on.
        commits: oldest first; the last one is the new tag's.
        branched: the old tag lies on a branch of its own, which left that line at `start`.
    """

    git: Git
    old: Oid
    new: Oid
    start: Oid
    commits: tuple[Oid, ...]
    branched: bool

    def trees(self) -> tuple[Oid, ...]:
        """The tree of `start` and of each commit."""
        asked = "".join(f"{oid}^{{tree}}\n" for oid in (self.start, *self.commits)).encode("ascii")
        return tuple(
            Oid(line)
            for line in self.git.out("cat-file", "--batch-check=%(objectname)", stdin=asked)
            .decode("ascii")
            .splitlines()
        )

    def commit(self, oid: Oid) -> Commit:
        """What the commit says about itself."""
        head, _, text = self.git.out("cat-file", "commit", oid).decode("utf-8", "replace").partition("\n\n")
        author = AUTHOR.search(head)
        subject = text.strip().partition("\n")[0]
        requests = PULL_REQUEST.findall(subject)
        return Commit(
            oid=oid, subject=subject, author=author["name"] if author else "",
            day=_day(author["time"], author["zone"]) if author else "",
            request=int(requests[-1]) if requests else None,
        )  # fmt: skip


@contextmanager
def open_history(folder: Path, *, old: SourcePin, new: str) -> Iterator[History]:
    """The history in a clone; nothing is written to it.

    Args:
        folder: a clone of upstream: a worktree or a bare repository.
        old: the pin of the old tag; its commit has to be the one that the clone calls so.
        new: the new tag, or any revision.

    Raises:
        UsageError: it is no repository, or lacks a tag, commits or contents.
        SourceError: its tag is another commit than the pinned one.
    """
    clone = Git(folder.absolute())
    objects = _objects(clone, folder)
    first, last = _commit(clone, folder, old.tag), _commit(clone, folder, new)
    pinned = old.commit or old.abbreviated
    if pinned is not None and not old.means(first):
        raise moved_tag(str(folder), old.tag, pinned, first)
    _refuse_partial(clone, folder)
    with scratch_of(objects) as git:
        shallow = Path(clone.line("rev-parse", "--git-common-dir"))
        shallow = folder.absolute() / shallow / "shallow"
        if shallow.is_file():
            (git.folder / "shallow").write_bytes(shallow.read_bytes())
        yield _between(git, folder, (old.tag, first), (new, last))


def _between(git: Git, folder: Path, old: tuple[str, Oid], new: tuple[str, Oid]) -> History:
    (tag, first), (name, last) = old, new
    if git.run("merge-base", first, last, ok=NONE).code != 0:
        raise UsageError(
            f"{folder} does not have the commits from {tag} to {name}",
            fix=f"git -C {advice.quoted(str(folder))} fetch --unshallow --tags",
        )
    commits = tuple(
        Oid(line) for line in git.line("rev-list", "--first-parent", "--reverse", f"{first}..{last}").split()
    )
    if not commits:
        raise UsageError(f"{name} is not newer than {tag} in {folder}", fix="name a newer tag")
    start = Oid(git.line("rev-parse", "--verify", f"{commits[0]}^1"))
    return History(
        git=git, old=git.tree_of(first), new=git.tree_of(last), start=start, commits=commits,
        branched=start != first,
    )  # fmt: skip


def _objects(clone: Git, folder: Path) -> Path:
    done = clone.run("rev-parse", "--git-path", "objects", ok=NONE) if folder.is_dir() else None
    if done is None or done.code != 0:
        raise UsageError(
            f"{folder} is not a git repository", fix="name a clone of upstream: git clone --bare URL FOLDER"
        )
    return folder.absolute() / done.out.decode("utf-8", "surrogateescape").strip()


def _commit(clone: Git, folder: Path, name: str) -> Oid:
    done = clone.run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", ok=NONE)
    if done.code != 0:
        raise UsageError(f"{folder} has no {name}", fix=f"git -C {advice.quoted(str(folder))} fetch --tags")
    return Oid(done.text.strip())


def _refuse_partial(clone: Git, folder: Path) -> None:
    """A clone that fetches contents when they are read cannot be read from outside."""
    found = clone.run(
        "config", "--get-regexp", r"^(extensions\.partialclone|remote\..*\.promisor)$", ok=(0, 1)
    )
    if found.code == 0:
        raise UsageError(
            f"{folder} is a partial clone: contents of its files are missing",
            fix=f"git -C {advice.quoted(str(folder))} fetch --refetch --no-filter, or clone without --filter",
        )


def _day(seconds: str, zone: str) -> str:
    sign = -1 if zone[0] == "-" else 1
    offset = sign * timedelta(hours=int(zone[1:3]), minutes=int(zone[3:5]))
    return datetime.fromtimestamp(int(seconds), timezone(offset)).date().isoformat()
