"""Nine ways in which plain `git apply` goes wrong; each is shown to go wrong, and not to for us.

Three of them meet a port too: its verdicts stand behind those of the same number.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hostile_trees import File, Tree, TreeStore
from tests.patch_upstream import BASE, TAG, Upstream, after
from winvllm_build.errors import PatchError, TreeStateError
from winvllm_build.git import GitError, RepoPath
from winvllm_build.patchset import tree
from winvllm_build.patchset.blob import blob_id
from winvllm_build.patchset.patchset import load
from winvllm_build.patchset.status import TreeState, status
from winvllm_build.patchset.worktree import scratch_of
from winvllm_build.port.carry import Carried, Unit, carry
from winvllm_build.port.verdict import Kind

REPEATED = b"".join(b"unique %d\na\nb\nc\nd\ne\nf\n" % n for n in range(4))


def diff_of(upstream: Upstream, path: str) -> bytes:
    return next(patch.content.diff.text for patch in upstream.load().patches if patch.path == path)


def ported(folder: Path, old: Tree, patched: Tree, new: Tree) -> tuple[Carried, dict[str, bytes]]:
    """A port, and the files it gives."""
    store = TreeStore(folder)
    with scratch_of(store.objects) as git:
        trees = [store.tree(files) for files in (old, patched, new)]
        made = carry(git, Unit(old_base=trees[0], old_patched=trees[1], new_base=trees[2]))
        places = git.entries(made.tree)
        blobs = tree.contents(git, [entry.oid for entry in places.values()])
        return made, {path: blobs[entry.oid] for path, entry in places.items()}


def kind_of(made: Carried, name: str) -> Kind:
    return made.verdicts[RepoPath(name)].kind


def test_1_one_failing_patch_leaves_the_others_undone(upstream: Upstream) -> None:
    upstream.write({"dos.bat": b"edited\r\n"})
    good, bad = upstream.folder.parent / "good.diff", upstream.folder.parent / "bad.diff"
    good.write_bytes(diff_of(upstream, "a.py"))
    bad.write_bytes(diff_of(upstream, "dos.bat"))
    with pytest.raises(GitError):
        upstream.git.out("apply", str(bad))
    with pytest.raises(TreeStateError):
        upstream.apply()
    assert upstream.content() == {**BASE, "dos.bat": b"edited\r\n"}


def test_2_repetitive_code_is_not_patched_twice(tmp_path: Path) -> None:
    upstream = Upstream.make(tmp_path, {"r.c": REPEATED})
    once = REPEATED.replace(b"unique 1\na\nb\nc\n", b"unique 1\na\nb\nc\nadded\n")
    upstream.write({"r.c": once})
    upstream.regen()
    upstream.git.out("apply", "-", stdin=diff_of(upstream, "r.c"))
    assert (upstream.folder / "r.c").read_bytes() != once, "git applied it a second time"
    upstream.write({"r.c": once})
    assert upstream.apply().already
    assert (upstream.folder / "r.c").read_bytes() == once


ONCE = REPEATED.replace(b"unique 1\na\nb\nc\n", b"unique 1\na\nb\nc\nadded\n")
COPY = b"a\nb\nc\nd\ne\nf\n"


def test_2_a_port_to_repetitive_code_that_has_the_patch(tmp_path: Path) -> None:
    files = [{"r.c": File(content)} for content in (REPEATED, ONCE, ONCE)]
    made, there = ported(tmp_path, *files)
    assert kind_of(made, "r.c") is Kind.UPSTREAMED
    assert there["r.c"] == ONCE


def test_2_a_port_to_repetitive_code_of_which_there_is_more(tmp_path: Path) -> None:
    """Strict application takes the copy at the old line numbers, the merge the one that was meant."""
    new = REPEATED.replace(b"unique 1\n", b"unique 9\n" + COPY + b"unique 1\n")
    strict = new.replace(b"unique 9\na\nb\nc\n", b"unique 9\na\nb\nc\nadded\n")
    made, there = ported(tmp_path, *({"r.c": File(content)} for content in (REPEATED, ONCE, new)))
    verdict = made.verdicts[RepoPath("r.c")]
    assert verdict.kind is Kind.AMBIGUOUS
    assert there["r.c"] == new, "nothing is carried until a human has looked"
    assert verdict.strict == blob_id(strict)


def test_3_an_applied_patch_is_told_from_an_upstreamed_one(upstream: Upstream) -> None:
    upstream.apply()
    assert upstream.apply().already
    upstream.commit_all("upstreamed")
    assert status(upstream.load(), upstream.folder).state is TreeState.WRONG_BASE


def test_3_a_port_says_how_much_upstream_has(tmp_path: Path) -> None:
    old = BASE["a.py"]
    first = old.replace(b"line 3\n", b"line three\n")
    both = first.replace(b"line 30\n", b"line thirty\n")
    for new, kind in (
        (both, Kind.UPSTREAMED), (both + b"more\n", Kind.UPSTREAMED), (first, Kind.PARTLY_UPSTREAMED),
        (old + b"more\n", Kind.OFFSET),
    ):  # fmt: skip
        files = ({"a.py": File(content)} for content in (old, both, new))
        made, there = ported(tmp_path / kind.name / str(len(new)), *files)
        assert kind_of(made, "a.py") is kind
        assert there["a.py"].count(b"thirty") == there["a.py"].count(b"three") == 1


def test_4_an_absent_base_is_an_error(upstream: Upstream, tmp_path: Path) -> None:
    """With --3way git falls back to direct application where the base blob is missing."""
    other = Upstream.make(tmp_path / "other", {**BASE, "a.py": BASE["a.py"] + b"one more line\n"})
    text = (upstream.patches / TAG / "patchset.lock").read_text(encoding="utf-8")
    pair = f'"trees": {{"sdist": {{"base": "{other.git.tree_of("HEAD")}", "patched": null}},'
    lock = upstream.patches / TAG / "patchset.lock"
    lock.write_text(text.replace('"trees": {', pair), encoding="utf-8")
    other.git.out("apply", "--cached", "-", stdin=diff_of(upstream, "a.py"))
    other.git.out("read-tree", "HEAD")
    other.patches = upstream.patches
    with pytest.raises((PatchError, TreeStateError), match=r"a\.py"):
        other.apply()
    assert other.content()["a.py"] == BASE["a.py"] + b"one more line\n"


def test_5_white_space_is_not_repaired(tmp_path: Path, hostile_git: Path) -> None:
    assert "whitespace = fix" in hostile_git.read_text(encoding="utf-8")
    upstream = Upstream.make(tmp_path)
    wanted = BASE["a.py"].replace(b"line 5\n", b"line 5 \t \n    \tx\n")
    upstream.write({"a.py": wanted})
    upstream.regen()
    upstream.unapply()
    upstream.apply()
    assert (upstream.folder / "a.py").read_bytes() == wanted


def test_6_line_ends_are_not_converted(upstream: Upstream) -> None:
    upstream.git.out("config", "core.autocrlf", "true")
    upstream.git.out("config", "core.eol", "crlf")
    upstream.apply()
    assert upstream.content() == after()


def test_7_an_added_file_that_exists_is_refused(upstream: Upstream) -> None:
    upstream.write({"csrc/new/n.cuh": b"already here\n"})
    with pytest.raises(TreeStateError, match=r"csrc/new/n\.cuh"):
        upstream.apply()
    assert upstream.content() == {**BASE, "csrc/new/n.cuh": b"already here\n"}


ADDED, DELETED, EDITED = "added.cuh", "deleted.cu", "edited.cu"
LINES = b"".join(b"int %d;\n" % n for n in range(9))
OLD = {DELETED: File(LINES), EDITED: File(LINES + b"int last;\n")}
PATCHED = {ADDED: File(b"#pragma once\n"), EDITED: File(b"int first;\n" + OLD[EDITED].content)}


@pytest.mark.parametrize(
    ("new", "kinds"),
    [
        (OLD, (Kind.NEW_FILE, Kind.IDENTICAL, Kind.IDENTICAL)),
        (PATCHED, (Kind.UPSTREAMED, Kind.UPSTREAMED, Kind.UPSTREAMED)),
        ({**OLD, ADDED: File(b"other\n")}, (Kind.CONFLICT, Kind.IDENTICAL, Kind.IDENTICAL)),
        ({**OLD, DELETED: File(LINES + b"more\n")}, (Kind.NEW_FILE, Kind.CONFLICT, Kind.IDENTICAL)),
        ({DELETED: File(LINES)}, (Kind.NEW_FILE, Kind.IDENTICAL, Kind.DELETED)),
        ({EDITED: OLD[EDITED], "moved/d.cu": File(LINES)}, (Kind.NEW_FILE, Kind.CONFLICT, Kind.IDENTICAL)),
        ({DELETED: File(LINES), "m/e.cu": OLD[EDITED]}, (Kind.NEW_FILE, Kind.IDENTICAL, Kind.MOVED)),
        ({**OLD, EDITED: File(b"", "120000")}, (Kind.NEW_FILE, Kind.IDENTICAL, Kind.CONFLICT)),
    ],
    ids=["same", "has all", "added", "edited the deleted", "deleted", "moved the deleted", "moved", "linked"],
)  # fmt: skip
def test_7_a_port_of_added_and_deleted_files(
    tmp_path: Path, new: dict[str, File], kinds: tuple[Kind, Kind, Kind]
) -> None:
    made, there = ported(tmp_path, OLD, PATCHED, new)
    found = tuple(kind_of(made, name) for name in (ADDED, DELETED, EDITED))
    assert found == kinds
    for name, kind in zip((ADDED, DELETED, EDITED), kinds, strict=True):
        if kind.is_open:
            left = {place: file.content for place, file in new.items() if place == name}
            assert {place: there[place] for place in there.keys() & {name}} == left, "no file comes back"


def test_8_abbreviated_ids_are_refused(upstream: Upstream) -> None:
    file = upstream.patch_file("a.py")
    diff = diff_of(upstream, "a.py")
    line = diff.split(b"\n")[1]
    short = line.replace(line[6:46], line[6:15]).replace(line[48:88], line[48:57])
    file.write_bytes(file.read_bytes().replace(line, short))
    with pytest.raises(PatchError, match=r"a\.py\.patch:\d+: the object ids are abbreviated"):
        load(upstream.patches, TAG)


def test_9_a_folder_inside_another_repository_is_refused(upstream: Upstream) -> None:
    inner = upstream.folder / "notes"
    said = upstream.git.run("-C", str(inner), "apply", "-v", "-", stdin=diff_of(upstream, "a.py"))
    assert said.code == 0, "git skips the patch and says that all is well"
    assert upstream.content() == dict(BASE)
    with pytest.raises(TreeStateError, match="inside another repository"):
        Upstream(folder=inner, patches=upstream.patches).apply()
