"""Applying exactly, all or nothing, and never touching what a person changed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.patch_upstream import BASE, EDITED, TAG, Upstream, after, digest
from winvllm_build.errors import (
    FindingsError,
    PatchError,
    TreeStateError,
    WinvllmError,
)
from winvllm_build.git import Git
from winvllm_build.patchset.status import FileState, TreeState, status

PATCHED = {"a.py", "csrc/k.cu", "csrc/new/n.cuh", "csrc/old.cu", "dos.bat"}


def test_apply_gives_exactly_the_patched_files(upstream: Upstream) -> None:
    assert upstream.status().state is TreeState.PRISTINE
    assert upstream.content() == dict(BASE)
    done = upstream.apply()
    assert set(done.files) == PATCHED
    assert not done.already
    assert upstream.content() == after()
    assert upstream.status().state is TreeState.APPLIED
    assert upstream.index_tree() == done.tree
    assert upstream.git.line("rev-parse", "HEAD") == upstream.commit
    assert upstream.git.out("status", "--porcelain", "--ignore-submodules").count(b" M") == 0


def test_apply_under_a_hostile_configuration(upstream: Upstream, hostile_git: Path) -> None:
    assert hostile_git.is_file()
    upstream.apply()
    assert upstream.content() == after()
    upstream.unapply()
    assert upstream.content() == dict(BASE)


def test_hostile_attributes_inside_the_tree_change_nothing(tmp_path: Path) -> None:
    hostile = b"* text eol=crlf ident -diff\n*.cu filter=x working-tree-encoding=UTF-16\n"
    upstream = Upstream.make(tmp_path, {**BASE, ".gitattributes": hostile, "id.txt": b"$Id$\nx\n"})
    info = upstream.folder / ".git" / "info"
    info.mkdir(exist_ok=True)
    (info / "attributes").write_bytes(hostile)
    upstream.git.out("config", "filter.x.clean", "tr a-z A-Z")
    upstream.git.out("config", "core.autocrlf", "true")
    upstream.write({**EDITED, "id.txt": b"$Id: mine $\ny\n"})
    upstream.regen(new=("csrc/new/*",))
    expected = upstream.content()
    upstream.unapply()
    upstream.apply()
    assert upstream.content() == expected


def test_only_the_patched_files_are_rewritten(upstream: Upstream) -> None:
    before = digest(upstream.folder)
    upstream.apply()
    now = digest(upstream.folder)
    changed = {name for name in {*before, *now} if before.get(name) != now.get(name)}
    assert {name for name in changed if not name.startswith(".git/")} == PATCHED


def test_a_second_apply_does_nothing(upstream: Upstream) -> None:
    upstream.apply()
    before = digest(upstream.folder / "csrc")
    done = upstream.apply()
    assert done.already
    assert done.files == ()
    assert digest(upstream.folder / "csrc") == before


def test_unapply_restores_the_base(upstream: Upstream) -> None:
    upstream.apply()
    done = upstream.unapply()
    assert set(done.files) == PATCHED
    assert upstream.content() == dict(BASE)
    assert upstream.index_tree() == upstream.git.tree_of("HEAD")
    assert not (upstream.folder / "csrc" / "new").exists()
    assert upstream.unapply().already


def test_a_check_writes_nothing(upstream: Upstream) -> None:
    def seen() -> dict[str, object]:
        """Git refreshes the times of objects it would have written; nothing else may differ."""
        return {n: v[0] if n.startswith(".git/objects") else v for n, v in digest(upstream.folder).items()}

    before = seen()
    done = upstream.apply(check=True)
    assert set(done.files) == PATCHED
    assert seen() == before
    upstream.write({"a.py": b"mine\n"})
    with pytest.raises(FindingsError, match=r"a.py"):
        upstream.apply(check=True)


def test_a_dirty_file_is_never_touched(upstream: Upstream) -> None:
    upstream.write({"csrc/k.cu": b"my work\n"})
    before = upstream.content()
    with pytest.raises(TreeStateError, match=r"csrc/k.cu: it was edited") as caught:
        upstream.apply()
    assert "--restore" in str(caught.value)
    assert upstream.content() == before
    found = upstream.status()
    assert found.state is TreeState.DIRTY
    assert [file.path for file in found.having(FileState.DIRTY)] == ["csrc/k.cu"]


def test_a_partly_applied_tree_is_refused(upstream: Upstream) -> None:
    done = EDITED["csrc/k.cu"]
    upstream.write({"csrc/k.cu": done})
    assert upstream.status().state is TreeState.PARTIAL
    with pytest.raises(TreeStateError, match="partial"):
        upstream.apply()
    assert upstream.content() == {**BASE, "csrc/k.cu": done}


@pytest.mark.parametrize("reverse", [False, True])
def test_restore_saves_the_tree_first(upstream: Upstream, *, reverse: bool) -> None:
    upstream.apply()
    mine: dict[str, bytes | None] = {"csrc/k.cu": b"my work\r\n", "notes/readme": b"kept\n", "a.py": None}
    upstream.write(mine)
    done = (upstream.unapply if reverse else upstream.apply)(restore=True)
    assert done.saved is not None
    assert done.saved.startswith("refs/winvllm/saved/")
    expected = dict(BASE) if reverse else after()
    assert upstream.content() == {**expected, "notes/readme": b"kept\n"}
    assert upstream.git.out("cat-file", "blob", f"{done.saved}:csrc/k.cu") == b"my work\r\n"
    assert upstream.git.out("cat-file", "blob", f"{done.saved}:notes/readme") == b"kept\n"
    assert "a.py" not in upstream.git.entries(done.saved)
    assert upstream.git.line("rev-parse", f"{done.saved}^") == upstream.commit


def test_restore_saves_an_untracked_file_in_the_way(upstream: Upstream) -> None:
    upstream.write({"csrc/new/n.cuh": b"mine, untracked\n"})
    with pytest.raises(TreeStateError, match=r"csrc/new/n.cuh"):
        upstream.apply()
    done = upstream.apply(restore=True)
    assert upstream.git.out("cat-file", "blob", f"{done.saved}:csrc/new/n.cuh") == b"mine, untracked\n"
    assert upstream.content() == after()


def test_unrelated_edits_are_kept(upstream: Upstream) -> None:
    upstream.write({"notes/readme": b"my edit\n", "untracked.txt": b"mine\n"})
    upstream.git.out("add", "notes/readme")
    upstream.write({"notes/readme": b"my second edit\n"})
    upstream.apply()
    assert upstream.content() == {**after(), "notes/readme": b"my second edit\n", "untracked.txt": b"mine\n"}
    assert upstream.git.out("cat-file", "blob", ":notes/readme") == b"my edit\n"


def test_a_crlf_checkout_is_named(upstream: Upstream) -> None:
    upstream.write({"a.py": BASE["a.py"].replace(b"\n", b"\r\n")})
    with pytest.raises(TreeStateError, match="only its line ends differ"):
        upstream.apply()


def test_a_staged_change_counts_as_dirty(upstream: Upstream) -> None:
    upstream.write({"a.py": b"staged\n"})
    upstream.git.out("add", "a.py")
    upstream.write({"a.py": BASE["a.py"]})
    with pytest.raises(TreeStateError, match="staged"):
        upstream.apply()


def test_the_index_follows_when_only_it_is_behind(upstream: Upstream) -> None:
    done = upstream.apply()
    upstream.git.out("read-tree", "HEAD")
    assert upstream.status().state is TreeState.APPLIED
    assert upstream.apply().already
    assert upstream.index_tree() == done.tree


def test_another_commit_is_a_wrong_base(upstream: Upstream) -> None:
    patch_set = upstream.load()
    upstream.write({"notes/readme": b"another tag\n"})
    upstream.commit_all("other")
    found = status(patch_set, upstream.folder)
    assert found.state is TreeState.WRONG_BASE
    with pytest.raises(TreeStateError, match="the patches are for the commit"):
        upstream.apply()


def test_an_sdist_tree_with_the_same_files_works(upstream: Upstream, tmp_path: Path) -> None:
    """Same blobs, another tree: regen there records it beside the first."""
    sdist = Upstream(folder=tmp_path / "sdist", patches=upstream.patches)
    sdist.folder.mkdir()
    sdist.git.out("init", "-q", "--template=")
    sdist.write({**BASE, "PKG-INFO": b"Name: vllm\n"})
    sdist.commit_all("sdist")
    assert sdist.status().state is TreeState.WRONG_BASE
    lock = upstream.patches / TAG / "patchset.lock"
    text = lock.read_text(encoding="utf-8")
    pair = f'"trees": {{\n    "sdist": {{"base": "{sdist.git.tree_of("HEAD")}", "patched": null}},'
    lock.write_text(text.replace('"trees": {', pair), encoding="utf-8")
    sdist.apply()
    assert sdist.content() == {**after(), "PKG-INFO": b"Name: vllm\n"}
    sdist.regen()
    assert set(sdist.load().target("vllm").trees) == {"git", "sdist"}
    upstream.apply()
    assert upstream.content() == after()


def test_a_linked_worktree_has_its_own_state(upstream: Upstream, tmp_path: Path) -> None:
    linked = Upstream(folder=tmp_path / "linked", patches=upstream.patches, commit=upstream.commit)
    upstream.git.out("worktree", "add", "-q", "--detach", str(linked.folder), "HEAD")
    linked.apply()
    assert linked.content() == after()
    assert linked.status().state is TreeState.APPLIED
    assert upstream.status().state is TreeState.PRISTINE
    assert (upstream.folder / ".git" / "worktrees" / "linked" / "winvllm").is_dir()


@pytest.mark.parametrize("kind", ["missing", "plain", "subfolder", "bare"])
def test_a_foreign_folder_is_refused(upstream: Upstream, tmp_path: Path, kind: str) -> None:
    folder = {"subfolder": upstream.folder / "csrc"}.get(kind, tmp_path / kind)
    if kind == "plain":
        folder.mkdir()
    if kind == "bare":
        upstream.git.out("clone", "-q", "--bare", str(upstream.folder), str(folder))
    assert status(upstream.load(), folder).state is TreeState.FOREIGN
    with pytest.raises(TreeStateError):
        Upstream(folder=folder, patches=upstream.patches).apply()
    assert upstream.content() == dict(BASE)


def test_the_patch_of_another_tag_names_the_files(upstream: Upstream, tmp_path: Path) -> None:
    other = Upstream.make(tmp_path / "other", {**BASE, "a.py": b"line 1\n" + BASE["a.py"]})
    shutil.copytree(upstream.patches / TAG / "windows", other.patches / TAG / "windows")
    with pytest.raises(PatchError, match=r"a.py"):
        other.relock()
    lock = (upstream.patches / TAG / "patchset.lock").read_text(encoding="utf-8")
    (other.patches / TAG / "patchset.lock").write_text(
        lock.replace(upstream.commit, other.commit), encoding="utf-8"
    )
    with pytest.raises(PatchError, match=r"a.py: the patch is for blob"):
        other.apply()
    assert other.content()["a.py"].startswith(b"line 1\n")


def test_a_link_is_never_written_through(upstream: Upstream, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    shutil.move(upstream.folder / "csrc", outside)
    (upstream.folder / "csrc").symlink_to(outside, target_is_directory=True)
    before = digest(outside)
    for restore in (False, True):
        with pytest.raises(TreeStateError, match="a folder or a link"):
            upstream.apply(restore=restore)
    assert digest(outside) == before


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no executable bit")
def test_a_change_of_mode_alone(tmp_path: Path) -> None:
    upstream = Upstream.make(tmp_path)
    (upstream.folder / "a.py").chmod(0o755)
    upstream.regen()
    assert b"old mode 100644\nnew mode 100755\n" in upstream.patch_file("a.py").read_bytes()
    upstream.unapply()
    assert not (upstream.folder / "a.py").stat().st_mode & 0o111
    upstream.apply()
    assert (upstream.folder / "a.py").stat().st_mode & 0o100
    assert upstream.apply().already


def test_every_refusal_names_its_repair(upstream: Upstream) -> None:
    upstream.write({"a.py": b"mine\n"})
    with pytest.raises(WinvllmError) as caught:
        upstream.apply()
    assert caught.value.fix is not None
    assert Git(upstream.folder).is_worktree()
