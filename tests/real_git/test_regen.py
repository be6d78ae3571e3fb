"""Regenerating: deterministic, headers kept, proven first, and refused where something is not clear."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.patch_upstream import BASE, EDITED, HEADER, NEW, TAG, Upstream, after, digest
from winvllm_build.errors import BusyError, FindingsError, PatchError, TreeStateError, UsageError
from winvllm_build.patchset import materialise, rewrite
from winvllm_build.patchset.patchset import load
from winvllm_build.patchset.status import TreeState
from winvllm_build.workspace import write_atomic


@pytest.fixture
def upstream(applied: Upstream) -> Upstream:
    return applied


def test_an_unchanged_tree_rewrites_nothing(upstream: Upstream) -> None:
    before = digest(upstream.patches)
    done = upstream.regen()
    assert (done.written, done.removed, done.relocked) == ((), (), False)
    assert len(done.unchanged) == 5
    assert digest(upstream.patches) == before
    upstream.regen(check=True)


def test_the_first_set_gets_templates_and_is_findings_until_filled(upstream: Upstream) -> None:
    text = upstream.patch_file("a.py").read_text(encoding="utf-8")
    assert text.startswith("Subject: TODO")
    assert f"Since: {TAG}\n" in text
    assert any("TODO" in finding for finding in upstream.load().findings)


def test_bytes_are_the_same_under_a_hostile_configuration(upstream: Upstream, hostile_git: Path) -> None:
    assert hostile_git.is_file()
    before = digest(upstream.patches)
    upstream.regen(check=True)
    upstream.git.out("config", "diff.noprefix", "true")
    upstream.git.out("config", "diff.context", "9")
    upstream.git.out("config", "core.autocrlf", "true")
    upstream.git.out("config", "core.quotePath", "true")
    info = upstream.folder / ".git" / "info"
    info.mkdir(exist_ok=True)
    (info / "attributes").write_bytes(b"*.py -diff text eol=crlf\n*.cu diff=cpp ident\n")
    upstream.regen()
    assert digest(upstream.patches) == before


def test_only_changed_patch_files_are_rewritten(upstream: Upstream) -> None:
    before = digest(upstream.patches)
    upstream.write({"csrc/k.cu": b"// kernel\nint a;\nshort b;\nint c;\n"})
    done = upstream.regen()
    now = digest(upstream.patches)
    assert {name for name in now if now[name] != before[name]} == {
        f"{TAG}/windows/vllm/csrc/k.cu.patch", f"{TAG}/patchset.lock",
    }  # fmt: skip
    assert done.written == (upstream.patch_file("csrc/k.cu"),)
    assert upstream.status().state is TreeState.APPLIED
    upstream.regen(check=True)


def test_headers_and_notes_are_carried_over(upstream: Upstream) -> None:
    first, second = (
        hunk.id for p in upstream.load().patches if p.path == "a.py" for hunk in p.content.diff.hunks
    )
    file = upstream.patch_file("a.py")
    diff = file.read_bytes().partition(b"\n\n")[2]
    head = HEADER.format(path="a.py") + f"Hunk: {first} words\n over two lines\nHunk: {second} more words\n"
    file.write_bytes(head.encode() + b"\n" + diff)
    content = (upstream.folder / "a.py").read_bytes()
    upstream.write({"a.py": content.replace(b"line thirty\n", b"line 30!\n").replace(b"line 0\n", b"zero\n")})
    done = upstream.regen()
    header = load(upstream.patches, TAG).patches[0].content.header
    assert header.subject == "Change a.py"
    assert [note.why for note in header.orphans] == ["more words"] or len(header.orphans) == 2
    assert any(f"{second} more words" in orphan for orphan in done.orphans)
    upstream.write({"a.py": content})
    upstream.regen()
    assert file.read_bytes() == head.encode() + b"\n" + diff


def test_a_moved_file_takes_its_header_along(upstream: Upstream) -> None:
    file = upstream.patch_file("csrc/new/n.cuh")
    body = file.read_bytes().partition(b"\n\n")[2]
    file.write_bytes(HEADER.format(path="the new header").encode() + b"\n" + body)
    upstream.write({"csrc/new/n.cuh": None, "csrc/moved.cuh": EDITED["csrc/new/n.cuh"]})
    done = upstream.regen(new=("csrc/moved.cuh",))
    assert done.removed == (file,)
    assert upstream.patch_file("csrc/moved.cuh").read_bytes().startswith(b"Subject: Change the new header\n")
    assert not file.parent.exists()
    assert upstream.status().state is TreeState.APPLIED


def test_headers_from_a_folder(upstream: Upstream, tmp_path: Path) -> None:
    folder = tmp_path / "headers"
    (folder / "csrc").mkdir(parents=True)
    text = HEADER.format(path="a.py") + "Hunk: ? the first\nHunk: ? the second\n"
    (folder / "a.py.hdr").write_bytes(text.replace("\n", "\r\n").encode())
    upstream.regen(headers=folder)
    header = upstream.load().patches[0].content.header
    ids = [hunk.id for hunk in upstream.load().patches[0].content.diff.hunks]
    assert [(note.hunk, note.why) for note in header.notes] == [(ids[0], "the first"), (ids[1], "the second")]
    (folder / "csrc" / "absent.cu.hdr").write_text(HEADER, encoding="utf-8")
    with pytest.raises(PatchError, match=r"csrc/absent\.cu"):
        upstream.regen(headers=folder)


def test_a_reverted_file_loses_its_patch(upstream: Upstream) -> None:
    upstream.write({"csrc/old.cu": BASE["csrc/old.cu"], "a.py": BASE["a.py"]})
    done = upstream.regen(new=("csrc/old.cu",))
    assert set(done.removed) == {upstream.patch_file("csrc/old.cu"), upstream.patch_file("a.py")}
    assert upstream.status().state is TreeState.APPLIED
    upstream.unapply()
    assert upstream.content() == dict(BASE)


def test_an_untracked_file_is_listed_and_refused(upstream: Upstream) -> None:
    before = digest(upstream.patches)
    upstream.write({"vllm/x.py": b"x\n", "vllm/y.py": b"y\n", ".gitignore": b"*.o\n", "k.o": b"o"})
    with pytest.raises(TreeStateError, match=r"vllm/y\.py") as caught:
        upstream.regen(new=(".gitignore", "vllm/x.py"))
    assert "--new" in str(caught.value)
    assert "k.o" not in str(caught.value)
    assert digest(upstream.patches) == before
    upstream.regen(new=(".gitignore", "vllm/*"))
    assert upstream.patch_file("vllm/y.py").is_file()
    assert upstream.regen().written == ()


def test_a_check_names_what_differs_and_writes_nothing(upstream: Upstream) -> None:
    upstream.write({"a.py": b"other\n"})
    before = digest(upstream.patches)
    with pytest.raises(FindingsError, match=r"a\.py\.patch: differs"):
        upstream.regen(check=True)
    assert digest(upstream.patches) == before


def test_a_new_file_with_crlf_is_refused_but_for_batch_files(upstream: Upstream) -> None:
    upstream.write({"new.cuh": b"int a;\r\n", "run.bat": b"@echo off\r\n"})
    before = digest(upstream.patches)
    with pytest.raises(TreeStateError, match=r"CRLF.*\n  new\.cuh$|CRLF.*\n  new\.cuh\n"):
        upstream.regen(new=("*.cuh", "*.bat"))
    assert digest(upstream.patches) == before
    upstream.write({"new.cuh": b"int a;\n"})
    upstream.regen(new=("*.cuh", "*.bat"))
    assert upstream.patch_file("run.bat").is_file()
    upstream.write({"new.cuh": b"int a;\r\n"})  # as in a set that was imported so
    upstream.regen()
    assert upstream.regen().written == ()


def test_a_file_that_the_user_hides_from_git_everywhere_is_still_a_new_file(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ignored = tmp_path / "home" / ".config" / "git" / "ignore"
    ignored.parent.mkdir(parents=True)
    ignored.write_text("*.cuh\n")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    upstream.write({"a b.cuh": b"int a;\n"})
    with pytest.raises(TreeStateError, match=r"a b\.cuh") as caught:
        upstream.regen()
    assert '--new "a b.cuh"' in str(caught.value.fix)
    upstream.regen(new=("a b.cuh",))
    assert upstream.patch_file("a b.cuh").is_file()


@pytest.mark.parametrize("glob", ["/etc/passwd", "../x.py", "C:\\x.py", "csrc\\..\\..\\x", "a/.."])
def test_a_new_file_outside_the_tree_is_refused(upstream: Upstream, glob: str) -> None:
    with pytest.raises(UsageError, match="leads out of the tree"):
        upstream.regen(new=(glob,))


def test_crlf_brought_into_a_file_is_refused(upstream: Upstream) -> None:
    upstream.write({"a.py": after()["a.py"].replace(b"\n", b"\r\n")})
    with pytest.raises(TreeStateError, match=r"CRLF.*\n  a\.py"):
        upstream.regen()


def test_an_unchanged_tree_needs_a_word(upstream: Upstream) -> None:
    upstream.unapply()
    with pytest.raises(TreeStateError, match="nothing is changed"):
        upstream.regen()
    assert len(upstream.regen(allow_empty=True).removed) == 5


def test_a_merge_under_way_is_refused(upstream: Upstream) -> None:
    (upstream.folder / ".git" / "MERGE_HEAD").write_text(upstream.commit + "\n", encoding="ascii")
    with pytest.raises(TreeStateError, match="MERGE_HEAD"):
        upstream.regen()
    (upstream.folder / ".git" / "MERGE_HEAD").unlink()
    oid = upstream.git.line("rev-parse", "HEAD:a.py")
    records = "".join(f"100644 {oid} {stage}\ta.py\0" for stage in (1, 2, 3))
    upstream.git.out("update-index", "-z", "--index-info", stdin=f"0 {'0' * 40}\ta.py\0{records}".encode())
    with pytest.raises(TreeStateError, match="unmerged"):
        upstream.regen()


def test_another_commit_is_refused(upstream: Upstream) -> None:
    upstream.write({"notes/readme": b"other\n"})
    upstream.commit_all("other")
    with pytest.raises(TreeStateError, match="the patches are for the commit"):
        upstream.regen()


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links")
def test_a_file_that_became_a_link_is_refused(upstream: Upstream) -> None:
    (upstream.folder / "a.py").unlink()
    (upstream.folder / "a.py").symlink_to("dos.bat")
    with pytest.raises(TreeStateError, match=r"a\.py is or becomes something else"):
        upstream.regen()


def test_hidden_edits_are_seen(upstream: Upstream) -> None:
    """Assume-unchanged and skip-worktree hide a file from `git add`, not from us."""
    upstream.git.out("update-index", "--assume-unchanged", "a.py")
    upstream.git.out("update-index", "--skip-worktree", "csrc/k.cu")
    upstream.write({"a.py": b"hidden\n", "csrc/k.cu": b"hidden too\n"})
    assert len(upstream.regen().written) == 2


def test_an_older_application_is_not_written_over_a_newer_set(upstream: Upstream, tmp_path: Path) -> None:
    other = upstream.copied(tmp_path / "other")
    other.write({"csrc/k.cu": b"newer\n"})
    other.regen()
    upstream.patches = other.patches
    with pytest.raises(TreeStateError, match="another version of the patch set"):
        upstream.regen()
    upstream.apply(restore=True)
    assert upstream.content()["csrc/k.cu"] == b"newer\n"
    assert upstream.regen().written == ()


def test_a_killed_regeneration_is_noticed_and_finished(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.write({"a.py": b"one\n", "csrc/k.cu": b"two\n"})
    left = iter([1])

    def killed(file: Path, content: bytes) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        write_atomic(file, content)

    monkeypatch.setattr(rewrite, "write_atomic", killed)
    with pytest.raises(KeyboardInterrupt):
        upstream.regen()
    with pytest.raises(PatchError, match=r"does not fit the patch files:\n  a\.py") as caught:
        upstream.load()
    assert "regen" in str(caught.value.fix)
    monkeypatch.undo()
    upstream.regen()
    assert upstream.status().state is TreeState.APPLIED
    upstream.regen(check=True)


def test_its_own_patches_are_known_though_another_git_held_the_index(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(materialise, "LOCK_SECONDS", 0.1)
    upstream.write({"a.py": b"one\n"})
    lock = upstream.folder / ".git" / "index.lock"
    lock.write_bytes(b"")
    with pytest.raises(BusyError, match=r"index.lock"):
        upstream.regen()
    lock.unlink()
    upstream.write({"a.py": b"two\n"})
    upstream.regen()
    assert upstream.status().state is TreeState.APPLIED
    upstream.regen(check=True)


def test_relock_takes_proven_foreign_files(upstream: Upstream) -> None:
    """A patch as PowerShell writes it, put beside the others, becomes a canonical one."""
    before = upstream.patch_bytes()
    for name in ("a.py", "dos.bat"):
        file = upstream.patch_file(name)
        crlf = file.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        file.write_bytes(b"\xff\xfe" + crlf.decode().encode("utf-16-le"))
    lock = upstream.patches / TAG / "patchset.lock"
    assert len(upstream.load().notices) == 4
    lock.unlink()
    with pytest.raises(PatchError, match="does not exist"):
        upstream.load()
    upstream.relock()
    assert upstream.patch_bytes() == before
    assert any("UTF-16" in event for event in upstream.events)


def test_relock_refuses_a_hand_edited_diff(upstream: Upstream) -> None:
    file = upstream.patch_file("csrc/k.cu")
    file.write_bytes(file.read_bytes().replace(b"+long b;", b"+char b;"))
    before = upstream.patch_bytes()
    with pytest.raises(PatchError, match=r"csrc/k\.cu: the patch file differs from the lock"):
        upstream.load()
    with pytest.raises(PatchError, match=r"csrc/k\.cu: the result is"):
        upstream.relock()
    assert upstream.patch_bytes() == before


def test_a_damaged_lock_is_written_anew(upstream: Upstream) -> None:
    lock = upstream.patches / TAG / "patchset.lock"
    good = lock.read_bytes()
    lock.write_bytes(b"<<<<<<< ours\n" + good)
    with pytest.raises(PatchError, match=r"patchset\.lock is not valid JSON"):
        upstream.load()
    upstream.relock()
    assert lock.read_bytes() == good


@pytest.mark.parametrize(
    ("place", "complaint"),
    [
        ("windws/vllm/a.py.patch", 'did you mean "windows"'),
        ("windows/vlm/a.py.patch", 'did you mean "vllm"'),
        ("windows/vllm/notes.txt", r"is not a \.patch file"),
        ("windows/vllm/A.py.patch", "lies where A.py belongs"),
    ],
)
def test_a_file_in_the_wrong_place_is_named(upstream: Upstream, place: str, complaint: str) -> None:
    file = upstream.patches / TAG / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(upstream.patch_file("a.py").read_bytes())
    with pytest.raises(PatchError, match=complaint):
        upstream.load()


def test_an_unknown_tag_lists_the_known(upstream: Upstream) -> None:
    for tag in ("v1.2.4", "../v1.2.3", ""):
        with pytest.raises(PatchError, match="no patch set") as caught:
            load(upstream.patches, tag)
        assert caught.value.fix == f"available: {TAG}"


def test_a_new_file_is_part_of_the_set(upstream: Upstream) -> None:
    assert NEW
    assert upstream.git.line("ls-files", "csrc/new/n.cuh") == "csrc/new/n.cuh"
    upstream.unapply()
    upstream.apply()
    assert upstream.content() == after()
