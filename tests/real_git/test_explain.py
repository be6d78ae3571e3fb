"""Which commit or release broke a patch, on a history of which that is known, and against brute force."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.long_upstream import BEGINS, BROKEN, COMMITS, DAY, PULL, LongUpstream, sealed, subject, trees
from tests.patch_upstream import TAG, Upstream
from tests.small_vllm import git as run_git
from winvllm_build.errors import PatchError, SourceError, UsageError
from winvllm_build.git import Git, Oid, RepoPath
from winvllm_build.patchset import tree
from winvllm_build.patchset.diff import Diff
from winvllm_build.patchset.worktree import scratch_of
from winvllm_build.port.carry import Unit, carry
from winvllm_build.port.courses import Courses
from winvllm_build.port.explain import by_history
from winvllm_build.port.explanation import Explanation
from winvllm_build.port.history import open_history
from winvllm_build.port.verdict import Kind

NEW = "v1.6.0"


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> LongUpstream:
    return sealed(tmp_path_factory.mktemp("long"))


@pytest.fixture(scope="module")
def explained(long: LongUpstream) -> dict[str, Explanation]:
    patch_set = long.patch_set
    with open_history(long.folder, old=patch_set.pin, new=NEW) as history:
        found = by_history(history, patch_set.of("vllm"), patch_set.of("vllm"), on_patch=_unheard)
    return {one.path: one for one in found}


def _unheard(path: RepoPath) -> None:
    assert path


def _numbers(long: LongUpstream, one: Explanation) -> tuple[int, ...]:
    return tuple(long.commits.index(Oid(turn.at)) for turn in one.turns)


def test_each_patch_names_the_commits_that_broke_it_and_that_healed_it(
    long: LongUpstream, explained: dict[str, Explanation]
) -> None:
    assert {path: _numbers(long, one) for path, one in explained.items()} == BROKEN
    assert {path for path, one in explained.items() if not one.is_monotone} == {"back.py", "flip.py"}
    assert {path for path, one in explained.items() if one.now.kind.is_open} == {
        path for path, numbers in BROKEN.items() if len(numbers) % 2
    }


def test_every_commit_in_between_is_what_the_turns_say(
    long: LongUpstream, explained: dict[str, Explanation]
) -> None:
    patch_set = long.patch_set
    diffs = {patch.path: patch.content.diff for patch in patch_set.of("vllm")}
    with scratch_of(long.folder / ".git" / "objects") as git:
        forced = _brute_force(git, trees(long.upstream.git, long.commits), diffs)
    assert {path: tuple(turns) for path, turns in forced.items()} == {
        RepoPath(path): _numbers(long, one) for path, one in explained.items()
    }


def _brute_force(git: Git, line: Sequence[Oid], diffs: dict[RepoPath, Diff]) -> dict[RepoPath, list[int]]:
    """Where each patch turns, by carrying all of them to every tree; the first one is theirs."""
    patched = tree.compute(git, line[0], diffs.values(), fix="")
    turns: dict[RepoPath, list[int]] = {path: [] for path in diffs}
    for at, one in enumerate(line):
        unit = Unit(old_base=line[0], old_patched=patched, new_base=one)
        for path, verdict in carry(git, unit).verdicts.items():
            if verdict.kind.is_open != (len(turns[path]) % 2 == 1):
                turns[path].append(at)
    return turns


def test_a_commit_is_named_with_its_subject_author_date_and_pull_request(
    explained: dict[str, Explanation],
) -> None:
    cause = explained["hot.py"].cause
    assert cause is not None
    assert cause.commit is not None
    assert (cause.commit.subject, cause.commit.author) == (subject(17), "Ada Lovelace")
    assert (cause.commit.day, cause.commit.request) == ("2023-12-02", PULL + 17)
    assert BEGINS + 17 * DAY < 1_701_561_600  # that day ends, by UTC
    assert [line.text for line in cause.change[0].lines if line.mark == "+"] == ["hot breaks it 20 now"]


def test_a_deleted_a_moved_and_an_added_file_say_so(explained: dict[str, Explanation]) -> None:
    titles = {
        path: [block.title for turn in one.turns for block in turn.change] for path, one in explained.items()
    }
    assert titles["gone.cu"] == ["upstream deleted gone.cu"]
    assert titles["win/added.py"] == ["upstream added win/added.py"]
    assert explained["moved.py"].now.to == "lib/moved.py"
    assert explained["moved.py"].turns[0].halved
    assert explained["fine.py"].now.kind is Kind.MOVED
    twin = explained["second.py"]
    assert (twin.now.kind, twin.likeness and twin.likeness.new) == (Kind.DELETED, "lib/twins.py")
    assert explained["name.py"].turns[0].verdict.conflicts == ("lost name",)


def test_without_paths_what_the_new_tag_leaves_open_is_explained(long: LongUpstream) -> None:
    patch_set = long.patch_set
    with open_history(long.folder, old=patch_set.pin, new=NEW) as history:
        found = by_history(history, patch_set.of("vllm"), on_patch=_unheard)
        assert len(history.commits) == COMMITS
        assert not history.branched
    assert {one.path for one in found} == {path for path, turns in BROKEN.items() if len(turns) % 2}


@pytest.mark.parametrize("seed", range(4))
def test_random_histories_agree_with_brute_force(seed: int, tmp_path: Path) -> None:
    """Edits, reverts, deletions and restorations in any order; renames are followed by halving, so none."""
    chance = random.Random(seed)  # noqa: S311 - a reproducible choice, no secret
    names = ("one.txt", "two.txt", "three.txt")
    base = {name: "".join(f"{name} {number} begins\n" for number in range(12)).encode() for name in names}
    made = Upstream.make(tmp_path / "u", base)
    made.write({name: text.replace(b" 6 begins", b" 6 is patched") for name, text in base.items()})
    made.regen()
    made.unapply()
    line = [made.git.tree_of(made.commit)]
    files: dict[str, bytes | None] = dict(base)
    for step in range(12):
        name = chance.choice(names)
        number = chance.choice((1, 6, 11))
        text = files[name] or base[name]
        old = next(row for row in text.splitlines() if f" {number} ".encode() in row)
        files[name] = chance.choice(
            (None, base[name], text.replace(old, f"{name} {number} becomes {step}".encode()))
        )
        line.append(_tree_of(made.git, files))
    diffs = {patch.path: patch.content.diff for patch in made.load().of("vllm")}
    with scratch_of(made.folder / ".git" / "objects") as git:
        courses = Courses(git, line[0], diffs, line)
        found = {
            one.path: [turn.at for turn in one.turns] for one in courses.follow([*diffs], on_patch=_unheard)
        }
        assert found == _brute_force(git, line, diffs)


def _tree_of(git: Git, files: dict[str, bytes | None]) -> Oid:
    records = b""
    for name, text in files.items():
        if text is not None:
            oid = git.line("hash-object", "-w", "--no-filters", "--stdin", stdin=text)
            records += f"100644 {oid}\t{name}\0".encode()
    with git.temporary_index() as index:
        git.out("update-index", "-z", "--add", "--index-info", stdin=records, index=index)
        return Oid(git.line("write-tree", index=index))


def test_a_turn_that_whole_trees_contradict_is_looked_for_again(long: LongUpstream) -> None:
    patch_set = long.patch_set
    diffs = {patch.path: patch.content.diff for patch in patch_set.of("vllm")}
    path = RepoPath("hot.py")
    with scratch_of(long.folder / ".git" / "objects") as git:
        courses = Courses(
            git, trees(long.upstream.git, long.commits)[0], diffs, trees(long.upstream.git, long.commits)
        )
        course = courses._proven(path, [])
    assert [(turn.at, turn.halved) for turn in course.turns] == [(17, True)]


def test_a_tag_on_a_branch_of_its_own_begins_where_the_branch_left(tmp_path: Path) -> None:
    lines = b"".join(b"line %d\n" % number for number in range(30))
    made = Upstream.make(tmp_path / "u", {"a.py": lines, "b.py": lines})
    elsewhere = lines.replace(b"line 12\n", b"line before\n")
    root = _commit(made, {"a.py": elsewhere})
    made.commit = made.git.commit_tree(made.git.tree_of(made.commit), "tagged", parents=(root,))
    for ref in ("HEAD", f"refs/tags/{TAG}"):
        made.git.out("update-ref", ref, made.commit)
    made.manifest(made.commit)
    made.write(dict.fromkeys(("a.py", "b.py"), lines.replace(b"line 12\n", b"line twelve\n")))
    made.regen()
    made.unapply()
    later = _commit(made, dict.fromkeys(("a.py", "b.py"), elsewhere), root)
    made.git.out("update-ref", "refs/tags/v2.0.0", later)
    with open_history(made.folder, old=made.load().pin, new="v2.0.0") as history:
        assert (history.branched, history.start, history.commits) == (True, root, (later,))
        found = {one.path: one for one in by_history(history, made.load().of("vllm"), on_patch=_unheard)}
    assert [(turn.at, turn.before) for turn in found[RepoPath("a.py")].turns] == [(root, None)]
    assert [(turn.at, turn.before) for turn in found[RepoPath("b.py")].turns] == [(later, root)]


def _commit(made: Upstream, changes: dict[str, bytes], *parents: Oid) -> Oid:
    files: dict[str, bytes | None] = {**made.content(), **changes}
    return made.git.commit_tree(_tree_of(made.git, files), "another", parents=parents)


def test_a_folder_that_cannot_tell_is_refused_with_what_helps(long: LongUpstream, tmp_path: Path) -> None:
    pin = long.patch_set.pin
    shallow, partial = tmp_path / "shallow", tmp_path / "partial"
    run_git(long.folder, "config", "uploadpack.allowFilter", "true")
    run_git(tmp_path, "clone", "-q", "--depth=3", "--bare", "-b", "main", long.folder.as_uri(), str(shallow))
    run_git(shallow, "fetch", "-q", "--depth=1", "origin", f"refs/tags/{TAG}:refs/tags/{TAG}")
    run_git(tmp_path, "clone", "-q", "--filter=blob:none", "--bare", long.folder.as_uri(), str(partial))
    for folder, new, words, fix in (
        (tmp_path / "none", NEW, "is not a git repository", "clone"),
        (tmp_path, NEW, "is not a git repository", "clone"),
        (long.folder, "v9.9.9", "has no v9.9.9", "fetch --tags"),
        (long.folder, TAG, "is not newer than", "newer"),
        (shallow, "main", "does not have the commits", "--unshallow"),
        (partial, NEW, "is a partial clone", "--refetch"),
    ):
        with pytest.raises(UsageError) as caught, open_history(folder, old=pin, new=new):
            pass
        assert words in caught.value.message
        assert fix in (caught.value.fix or "")


def test_a_moved_tag_and_other_files_are_refused(long: LongUpstream, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    run_git(tmp_path, "clone", "-q", "--bare", long.folder.as_uri(), str(copy))
    run_git(copy, "update-ref", f"refs/tags/{TAG}", long.commits[5])
    pin = long.patch_set.pin
    with pytest.raises(SourceError, match="has moved"), open_history(copy, old=pin, new=NEW):
        pass
    with open_history(long.folder, old=pin, new=NEW) as history:
        diffs = {patch.path: patch.content.diff for patch in long.patch_set.of("vllm")}
        with pytest.raises(PatchError, match="is not the file that its patch is made for"):
            Courses(history.git, history.new, diffs, history.trees())
