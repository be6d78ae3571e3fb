"""What killed runs left behind, and what is kept on purpose: found, named, never touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from winvllm_build.errors import TreeStateError
from winvllm_build.git import Git, GitError
from winvllm_build.patchset import advice, materialise
from winvllm_build.patchset.worktree import Worktree, open_worktree
from winvllm_build.review.diagnosis import Check, State
from winvllm_build.review.facts import Facts
from winvllm_build.workspace import Journal, Workspace

NAME = "leftovers"
REPOSITORY_LOCKS = ("shallow.lock", "config.lock", "packed-refs.lock", "HEAD.lock")


def check(facts: Facts, workspace: Workspace, repository: Path, place: Worktree | None) -> Iterator[Check]:
    """Everything that a killed run leaves: in the set, the workspace, the repository and its trees.

    Args:
        facts: the set.
        workspace: the tool's folder.
        repository: the source's.
        place: a worktree that was named.
    """
    found = [*_of_set(facts), *_of_workspace(workspace), *_of_repository(repository)]
    trees = list(_trees(facts, workspace))
    if place is not None and place.folder not in {tree.folder for tree in trees}:
        trees.append(place)
    for tree in trees:
        found += _of_tree(facts, tree)
    yield from found
    yield from _saved(repository, trees)
    if not found:
        words = f"no killed run left anything in the set, the repository and {len(trees)} trees"
        yield Check(name=NAME, state=State.NOTE, parts=(), words=words)


def _left(what: str, fix: str, *evidence: str) -> Check:
    return Check(name=NAME, state=State.LEFT, parts=(), words=what, evidence=evidence, fix=fix)


def _of_set(facts: Facts) -> Iterator[Check]:
    for file in sorted(facts.folder.rglob(".*.tmp")):
        again = advice.command("regen", facts.folder.name, root=facts.folder.parent)
        yield _left(f"a temporary file: {file}", f"delete it; {again} does so too")


def _of_workspace(workspace: Workspace) -> Iterator[Check]:
    for top in (workspace.trees, workspace.sources):
        for file in sorted([*top.glob(".*.begun"), *top.glob(".*.part"), *top.glob("*/.*.part")]):
            what = (
                "a tree that was being made"
                if file.name.endswith(".begun")
                else "a folder that was being made"
            )
            yield _left(f"{what}: {file}", "run the command again that was killed: it begins that anew")
    for file in sorted(workspace.sources.glob("*/drop-*.json")):
        entry = Journal(path=file).read()
        if entry is not None and not _runs(entry):
            words = f"an interrupted drop in {entry.get('folder', 'a patch set')}"
            yield _left(words, "run the same drop again: it finishes", str(file))


def _of_repository(repository: Path) -> Iterator[Check]:
    if not repository.is_dir():
        return
    locks = [repository / name for name in REPOSITORY_LOCKS]
    patterns = ("refs/winvllm/**/*.lock", "objects/pack/tmp_*", "objects/pack/*.keep")
    locks += [file for pattern in patterns for file in repository.glob(pattern)]
    for file in sorted(file for file in locks if file.exists()):
        words = "delete it if no git is at work there; the next run that fetches does so"
        yield _left(f"what a killed git left: {file}", words)
    for private in sorted((repository / "worktrees").glob("*")):
        marker = _folder_of(private)
        if marker is not None and not marker.exists() and not (private / "locked").exists():
            fix = f"git --git-dir={advice.quoted(str(repository))} worktree prune"
            yield _left(f"a worktree whose folder is gone: {marker.parent}", fix, str(private))


def _folder_of(private: Path) -> Path | None:
    """The `.git` file of the worktree that a private folder belongs to."""
    try:
        return Path((private / "gitdir").read_text(encoding="utf-8", errors="surrogateescape").strip())
    except OSError:
        return None


def _trees(facts: Facts, workspace: Workspace) -> Iterator[Worktree]:
    for folder in sorted(workspace.trees.glob(f"*{facts.folder.name}*")):
        if (folder / ".git").exists():
            try:
                yield open_worktree(folder)
            except TreeStateError:
                continue


def _of_tree(facts: Facts, tree: Worktree) -> Iterator[Check]:
    entry = tree.journal.read()
    again = advice.command("apply", facts.folder.name, root=facts.folder.parent, tree=tree.folder)
    if entry is not None and not _runs(entry):
        words = f"an interrupted {entry.get('operation', 'run')} in {tree.folder}"
        yield _left(words, f"{again} finishes it or rolls it back, and says which", str(tree.journal.path))
    writing = tree.regen_journal.read()
    if writing is not None and not _runs(writing):
        regen = advice.command("regen", facts.folder.name, root=facts.folder.parent, tree=tree.folder)
        words = f"patch files that were being written from {tree.folder}"
        yield _left(words, f"{regen} finishes that", str(tree.regen_journal.path))
    if any(found is not None and _runs(found) for found in (entry, writing)):
        return
    files = [*tree.private.glob("index-*"), *tree.private.glob(".journal.json.*.tmp")]
    folders = {tree.file(reading.place.path).parent for reading in facts.readings}
    files += [file for folder in folders for file in folder.glob(".winvllm-*.part")]
    lock = tree.index.with_name("index.lock")
    if lock.is_file() and lock.read_bytes() == materialise.OWNER:
        files.append(lock)
    for file in sorted(files):
        yield _left(f"a temporary file: {file}", f"{again} removes it, or delete it")


def _runs(entry: dict[str, Any]) -> bool:
    """Whether the process that wrote a journal is still at work."""
    import psutil  # noqa: PLC0415 - costs 20 ms

    try:
        return bool(psutil.Process(int(entry["pid"])).create_time() == entry["started"])
    except (KeyError, TypeError, ValueError, psutil.Error):
        return False


def _saved(repository: Path, trees: Sequence[Worktree]) -> Iterator[Check]:
    """Trees that `--restore` kept: nothing is wrong with them."""
    gits = [Git(repository)] if repository.is_dir() else []
    gits += [tree.git for tree in trees]
    refs: set[str] = set()
    for git in gits:
        try:
            refs |= set(
                git.out("for-each-ref", "--format=%(refname)", "refs/winvllm/saved/").decode().split()
            )
        except GitError:
            continue
    if refs:
        words = f"{len(refs)} trees that --restore kept: {', '.join(sorted(refs)[:3])}"
        fix = "git log REF to look, git update-ref -d REF when it is no longer needed"
        yield Check(name=NAME, state=State.NOTE, parts=(), words=words, fix=fix)
