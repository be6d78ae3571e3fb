"""Patch files: exact bytes in and out, and every malformed or unsafe one refused by file and line."""

from __future__ import annotations

import pytest

from winvllm_build.errors import PatchError
from winvllm_build.patchset import patchfile
from winvllm_build.patchset.blob import blob_id, patched, proven
from winvllm_build.patchset.diff import Change, fingerprint
from winvllm_build.patchset.header import Header, template
from winvllm_build.patchset.linecount import LineCount, count
from winvllm_build.patchset.patchfile import carried
from winvllm_build.patchset.paths import path_fault

BEFORE = b"".join(b"%d\n" % n for n in range(1, 31))
AFTER = BEFORE.replace(b"\n3\n", b"\nthree\n").replace(b"\n25\n", b"\n")
HEAD = (
    b"Subject: Count in words\nTopic: msvc\nDescription: First line,\n second line.\n .\n  indented sample\n"
    b"Upstream-Status: Submitted [https://example.invalid/1]\nHunk: 1f0c9a7be2d4 a reason\n over two lines\n"
)
DIFF = (
    b"diff --git a/d/n.txt b/d/n.txt\n"
    b"index " + blob_id(BEFORE).encode() + b".." + blob_id(AFTER).encode() + b" 100644\n"
    b"--- a/d/n.txt\n+++ b/d/n.txt\n"
    b"@@ -1,6 +1,6 @@\n 1\n 2\n-3\n+three\n 4\n 5\n 6\n"
    b"@@ -22,7 +22,6 @@ 21\n 22\n 23\n 24\n-25\n 26\n 27\n 28\n"
)  # fmt: skip
GOOD = HEAD + b"\n" + DIFF


def parse(content: bytes, path: str = "d/n.txt") -> patchfile.PatchFile:
    return patchfile.parse(content, path=path, where="n.patch")


def test_parse_and_serialise_are_byte_exact() -> None:
    read = parse(GOOD)
    assert read.serialise() == GOOD
    assert read.header.get("Description") == "First line,\nsecond line.\n.\n indented sample"
    assert read.header.notes[0].why == "a reason\nover two lines"
    assert read.diff.text == DIFF
    assert read.diff.change is Change.MODIFIED
    assert count(read.diff) == LineCount(added=1, removed=2)
    assert parse(DIFF).header == Header()


def test_ids_are_over_the_changed_lines_only() -> None:
    diff = parse(GOOD).diff
    assert [hunk.id for hunk in diff.hunks] == [fingerprint([b"-3", b"+three"]), fingerprint([b"-25"])]
    assert diff.change_id == fingerprint([b"-3", b"+three", b"-25"])
    moved = DIFF.replace(b"@@ -1,6 +1,6 @@\n 1\n 2", b"@@ -1,6 +1,6 @@\n 7\n 8")
    assert parse(moved).diff.change_id == diff.change_id
    assert len(diff.change_id) == 12


def test_a_diff_is_proven_on_its_blob() -> None:
    diff = parse(GOOD).diff
    assert patched(diff, BEFORE) == AFTER
    assert proven(diff, BEFORE)
    assert not proven(diff, b"0\n" + BEFORE)
    assert patched(diff, b"0\n" + BEFORE) is None


def test_lines_end_at_lf_only() -> None:
    before, after = b"a\x0cb\x85\xe2\x80\xa8c\rd\n", b"a\x0cB\x85\xe2\x80\xa8c\rd"
    text = (
        b"diff --git a/x b/x\nindex " + blob_id(before).encode() + b".." + blob_id(after).encode()
        + b" 100644\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-" + before + b"+" + after
        + b"\n\\ No newline at end of file\n"
    )  # fmt: skip
    read = parse(text, "x")
    assert len(read.diff.hunks[0].lines) == 3
    assert read.serialise() == b"\n" + text
    assert proven(read.diff, before)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (b" 26\n 27\n 28\n", b" 26\n", "n.patch:29: the hunk of line 23 ends too early"),
        (b" 26\n 27\n 28\n", b" 26\n 27\n 28", "truncated"),
        (b" 28\n", b" 28\n 29\n", "n.patch:31: the hunk of line 23 is longer"),
        (b" 28\n", b" 28\n\n", "n.patch:31: expected a hunk"),
        (b"@@ -1,6 +1,6 @@", b"@@ -1,7 +1,7 @@", "n.patch:23: '@@ -22,7"),
        (b"@@ -1,6 +1,6 @@", b"@@ -1,5 +1,6 @@", "cannot stand|longer than"),
        (b"@@ -22,7 +22,6 @@", b"@@ -22,7 +23,6 @@", "n.patch:23: the line numbers do not follow"),
        (b"@@ -22,7 +22,6 @@", b"@@ -3,7 +3,6 @@", "n.patch:23: this hunk starts before"),
        (b" 4\n 5\n", b" 4\n\n", "an editor removed trailing blanks"),
        (b"--- a/d/n.txt\n", b"--- d/n.txt\n", "n.patch:13: expected '--- a/d/n.txt'"),
        (b"+++ b/d/n.txt\n", b"+++ b/d/m.txt\n", "n.patch:14: expected"),
        (b"diff --git a/d/n.txt b/d/n.txt", b"diff --git a/d/m.txt b/d/m.txt", "the patch file lies where"),
        (b"diff --git a/d/n.txt b/d/n.txt", b"diff --git d/n.txt d/n.txt", "the patch file lies where"),
        (b"a/d/n.txt b/d/n.txt", b"a/../n.txt b/../n.txt", "'../n.txt' leaves the folder"),
        (blob_id(BEFORE).encode(), blob_id(BEFORE)[:9].encode(), "abbreviated"),
        (blob_id(BEFORE).encode(), b"0" * 40, "do not fit the change"),
        (b" 100644\n--- ", b" 120000\n--- ", "is a symbolic link"),
        (b" 100644\n--- ", b" 160000\n--- ", "is a submodule"),
        (b" 100644\n--- ", b" 100664\n--- ", "has the mode 100664"),
        (b" 100644\n--- ", b"\n--- ", "the file mode is missing"),
        (b"\nindex ", b"\nsimilarity index 90%\nrename from a\nrename to b\nindex ", "expected `index"),
        (b"@@ -1,6 +1,6 @@\n", b"", "expected a hunk"),
        (DIFF, DIFF + DIFF, "one file per patch"),
        (DIFF, b"", "expected the header, one blank line"),
        (DIFF, b"From: me\n\n" + DIFF, "expected the header, one blank line"),
        (b"Subject:", b"Sbject:", 'n.patch: ?1?:?.*unknown field Sbject; did you mean "Subject"?'),
        (b"Topic: msvc\n", b"Topic: msvc\nTopic: x\n", "n.patch:3: the field Topic is given twice"),
        (b"Topic: msvc\n", b"@@ -1 +1 @@\n", "n.patch:2: '@@ -1 .1 @@' is neither"),
        (b"Topic: msvc\n", b"diff --git a/x b/x\n", "n.patch:2: .* is neither"),
        (b"Topic: msvc\n", b"--- a/x\n", "n.patch:2: .* is neither"),
        (b"Topic: msvc\n", b"Topic: \xff\n", "n.patch:2: the header is not UTF-8"),
        (b"Hunk: 1f0c9a7be2d4 a", b"Hunk: 1f0c a", "does not start with a hunk id"),
    ],
)
def test_a_malformed_patch_is_refused(old: bytes, new: bytes, complaint: str) -> None:
    assert old in GOOD
    with pytest.raises(PatchError, match=complaint):
        parse(GOOD.replace(old, new, 1))


def test_every_truncation_is_refused() -> None:
    wrong = []
    for end in range(len(HEAD) + 1, len(GOOD)):
        try:
            read = parse(GOOD[:end])
        except PatchError:
            continue
        if not (read.diff.hunks and end == len(GOOD) - len(DIFF[DIFF.index(b"@@ -22") :])):
            wrong.append(end)
    assert wrong == []


def test_a_cut_at_a_hunk_is_caught_by_the_ids() -> None:
    cut = parse(GOOD[: GOOD.index(b"@@ -22")])
    assert not proven(cut.diff, BEFORE)


def test_reordered_hunks_are_refused() -> None:
    first, second = DIFF.index(b"@@ -1,"), DIFF.index(b"@@ -22")
    with pytest.raises(PatchError, match=r"line numbers do not follow|starts before"):
        parse(DIFF[:first] + DIFF[second:] + DIFF[first:second])


@pytest.mark.parametrize(
    "path",
    [
        "../x", "a/../x", "/etc/x", "C:/x", "c:x", "a\\b", ".git/config", "a/.GIT/x", "git~1/x", "GIT~2/x",
        ".g\u200cit/x", ".git./x", ".git /x", "a//b", "./a", "con", "a/NUL.txt", "a/com1", "a/aux.h", "a/b.",
        "a/b ", "a\nb", "a\x00b", 'a"b', "a?b", "a:b", "", "x" * 201,
    ],
)  # fmt: skip
def test_an_unsafe_path_is_refused(path: str) -> None:
    assert path_fault(path) is not None
    name = path.encode()
    with pytest.raises(PatchError):
        parse(b"diff --git a/" + name + b" b/" + name + DIFF[DIFF.index(b"\n") :], path)


@pytest.mark.parametrize(
    "path", ["a.py", ".github/x.yml", ".gitignore", "a b/c", "\u00e9/x", "git/x", "console"]
)
def test_a_plain_path_is_taken(path: str) -> None:
    assert path_fault(path) is None


def test_a_type_change_is_refused() -> None:
    both = DIFF.replace(b"index ", b"deleted file mode 100644\nnew file mode 120000\nindex ", 1)
    with pytest.raises(PatchError, match="symbolic link"):
        parse(both)


def test_notes_follow_their_hunks() -> None:
    first, second = (hunk.id for hunk in parse(DIFF).diff.hunks)
    old = f"Subject: s\nHunk: {second} why two\nHunk: aaaaaaaaaaaa gone\nHunk: {first} why one\n"
    header = parse(old.encode() + b"\n" + DIFF).header
    made = carried(header, parse(DIFF).diff)
    assert [(note.hunk, note.why) for note in made.notes] == [(first, "why one"), (second, "why two")]
    assert [(note.hunk, note.why) for note in made.orphans] == [("aaaaaaaaaaaa", "gone")]
    assert carried(made, parse(DIFF).diff) == made


def test_unknown_ids_are_filled_in_order() -> None:
    first, second = (hunk.id for hunk in parse(DIFF).diff.hunks)
    header = parse(b"Subject: s\nHunk: ? one\nHunk: ? two\nHunk: ? three\n\n" + DIFF).header
    made = carried(header, parse(DIFF).diff)
    assert [(note.hunk, note.why) for note in made.notes] == [(first, "one"), (second, "two")]
    assert [note.why for note in made.orphans] == ["three"]


def test_an_orphan_comes_back_with_its_hunk() -> None:
    first = parse(DIFF).diff.hunks[0].id
    header = parse(f"Subject: s\nOrphan: {first} kept\n".encode() + b"\n" + DIFF).header
    made = carried(header, parse(DIFF).diff)
    assert [note.why for note in made.notes] == ["kept"]
    assert made.orphans == ()


def test_a_template_is_reported_until_it_is_filled() -> None:
    made = patchfile.PatchFile(header=template("d/n.txt", "v1"), diff=parse(DIFF).diff)
    assert parse(made.serialise()).header == made.header
    assert [finding for finding in made.findings() if "TODO" in finding]
    assert any("the note 1f0c9a7be2d4 belongs to no hunk" in finding for finding in parse(GOOD).findings())
    assert any("Description is missing" in finding for finding in parse(b"Subject: s\n\n" + DIFF).findings())
    odd = HEAD.replace(b"Submitted [https://example.invalid/1]", b"Perhaps") + b"\n" + DIFF
    assert any("Perhaps" in finding for finding in parse(odd).findings())
