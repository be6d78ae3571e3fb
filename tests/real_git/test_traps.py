"""Nine ways in which plain `git apply` goes wrong; each is shown to go wrong, and not to for us."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.patch_upstream import BASE, TAG, Upstream, after
from winvllm_build.errors import PatchError, TreeStateError
from winvllm_build.git import GitError
from winvllm_build.patchset.patchset import load
from winvllm_build.patchset.status import TreeState, status

REPEATED = b"".join(b"unique %d\na\nb\nc\nd\ne\nf\n" % n for n in range(4))


def diff_of(upstream: Upstream, path: str) -> bytes:
    return next(patch.content.diff.text for patch in upstream.load().patches if patch.path == path)


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


def test_3_an_applied_patch_is_told_from_an_upstreamed_one(upstream: Upstream) -> None:
    upstream.apply()
    assert upstream.apply().already
    upstream.commit_all("upstreamed")
    assert status(upstream.load(), upstream.folder).state is TreeState.WRONG_BASE


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
