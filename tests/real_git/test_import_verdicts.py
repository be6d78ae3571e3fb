"""`import`: how surely each file got its change, and what is refused by name; never half, never wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.import_cases import BROKEN, Imports, git, hunk, new_file, without_ids
from tests.patch_upstream import BASE, EDITED, Upstream, after
from winvllm_build import data
from winvllm_build.cli.main import run

FIRST = hunk("a.py", "-1,9 +1,9", " line 0", "-line 1", "+line one", " line 2")
"""Its counts are wrong."""
SECOND = hunk("csrc/k.cu", "-2 +2", "-int a;", "+int A;")
OLDER = BASE["a.py"].replace(b"line 35\n", b"older 35\n")
"""What the file was before the tag."""


def test_counts_that_do_not_fit_are_made_anew(imports: Imports) -> None:
    assert imports.verdicts(FIRST + SECOND) == {"a.py": "exact", "csrc/k.cu": "exact"}
    assert "line counts made anew" in imports.out
    assert imports.files()["a.py"] == BASE["a.py"].replace(b"line 1\n", b"line one\n")


def test_a_patch_that_is_cut_off_is_not_guessed(imports: Imports) -> None:
    assert imports.verdicts(SECOND + FIRST) == {"a.py": "failed", "csrc/k.cu": "exact"}
    assert "cut off" in imports.out
    assert imports.empty


def test_blank_context_lines_that_an_editor_cut(imports: Imports) -> None:
    made = Upstream.make(imports.top / "blank", {"blank.py": b"one\n\ntwo\n\n\n\n"})
    file = imports.top / "blank.patch"
    file.write_bytes(b"--- a/blank.py\n+++ b/blank.py\n@@ -1,6 +1,6 @@\n one\n\n-two\n+2\n")
    assert run(["import", str(file), "--patches", str(made.patches), "--tree", str(made.folder)]) == 0
    made.apply()
    assert made.content()["blank.py"] == b"one\n\n2\n\n\n\n"


def older_patch(imports: Imports, *options: str, conflicting: bool = False) -> bytes:
    """A change made on an older version of the file."""
    there, before = imports.elsewhere, b"// licence\n" * 3 + OLDER
    there.commit({"a.py": before}, "older")
    changed = before.replace(b"line 10\n", b"line ten\n")
    if conflicting:
        changed = changed.replace(b"older 35\n", b"mine 35\n")
    there.write({"a.py": changed})
    return git(there.folder, "diff", "--cached", *options, "HEAD")


def keep_objects(imports: Imports) -> None:
    """The tag's repository has the older version too."""
    git(imports.upstream.folder, "fetch", "-q", str(imports.elsewhere.folder), "HEAD:refs/heads/older")


@pytest.mark.parametrize("ids", ["--full-index", "--abbrev=8"])
def test_a_patch_for_an_older_file_is_merged_if_that_is_known(imports: Imports, ids: str) -> None:
    patch = older_patch(imports, ids)
    keep_objects(imports)
    assert imports.verdicts(patch) == {"a.py": "3-way"}
    assert imports.files()["a.py"] == BASE["a.py"].replace(b"line 10\n", b"line ten\n")


def test_without_that_file_it_is_refused_or_taken_with_fuzz(imports: Imports) -> None:
    patch = older_patch(imports)
    assert imports.patch(patch) == 3
    assert imports.empty
    assert "--fuzz" in imports.err
    assert "-3 lines away" in imports.out
    assert imports.verdicts(patch, "--fuzz") == {"a.py": "offset"}
    assert imports.files()["a.py"] == BASE["a.py"].replace(b"line 10\n", b"line ten\n")


def test_context_that_differs_needs_fuzz(imports: Imports) -> None:
    patch = hunk("a.py", "-9,7 +9,7", " other 8", " line 9", " line 10", "-line 11", "+eleven", " line 12",
                 " line 13", " line 14")  # fmt: skip
    assert imports.verdicts(patch) == {"a.py": "failed"}
    assert imports.verdicts(patch, "--fuzz") == {"a.py": "fuzzy"}
    assert imports.files()["a.py"] == BASE["a.py"].replace(b"line 11\n", b"eleven\n")


def test_a_real_conflict_fails_with_its_hunks(imports: Imports) -> None:
    patch = older_patch(imports, conflicting=True)
    patch += imports.elsewhere.diff({"dos.bat": EDITED["dos.bat"]}, "--", "dos.bat")
    keep_objects(imports)
    assert imports.patch(patch, "--reject", str(imports.top / "rejects")) == 3
    assert "hunk 2 of 2" in imports.out
    assert imports.empty
    assert b"+mine 35" in (imports.top / "rejects" / "a.py.rej").read_bytes()
    assert imports.patch(patch, "--partial") == 3
    assert "the others were written" in imports.err
    assert list(imports.made()) == ["dos.bat"]


def test_lines_without_context_need_the_very_file(imports: Imports) -> None:
    """They would fit any file that is long enough."""
    edits = {"a.py": BASE["a.py"].replace(b"line 20\n", b"put in\nline 20\n")}
    patch = imports.elsewhere.diff(edits, "-U0")
    assert imports.verdicts(patch, "--dry-run") == {"a.py": "exact"}
    assert imports.verdicts(without_ids(patch)) == {"a.py": "failed"}
    assert "no context" in imports.details()["a.py"]
    assert imports.verdicts(without_ids(patch), "--fuzz") == {"a.py": "fuzzy"}


REPEATED = b"same\n" * 12
TWICE = hunk("r", "-1,4 +1,5", " same", " same", " same", "+same", " same")


def test_repeated_lines_are_not_patched_on_suspicion(imports: Imports) -> None:
    made = Upstream.make(imports.top / "repeated", {"r": REPEATED})
    file = imports.top / "twice.patch"
    file.write_bytes(TWICE)
    words = ["--patches", str(made.patches), "--tree", str(made.folder)]
    assert run(["import", str(file), *words]) == 3
    assert "forwards and backwards" in imports.capsys.readouterr().out


def test_a_place_that_a_merge_doubts_is_not_taken(imports: Imports) -> None:
    """Of three like blocks the second was patched; the tag lost the first, so the third is in its place."""
    block = b"def f():\n    a\n    b\n    c\n    d\n    e\n    f\n    g\n"
    old = b"one\n" + block + b"two\n" + block + b"three\n" + block + b"end\n"
    made = Upstream.make(imports.top / "blocks", {"f.py": old})
    made.write({"f.py": old.replace(b"two\n" + block, b"two\n" + block.replace(b"d\n", b"D\n"))})
    patch = git(made.folder, "diff", "--full-index")
    made.write({"f.py": old.replace(b"one\n" + block, b"")})
    made.manifest(made.commit_all("the tag"))
    file = imports.top / "block.patch"
    file.write_bytes(patch)
    words = ["--patches", str(made.patches), "--tree", str(made.folder)]
    assert run(["import", str(file), *words]) == 3
    assert "a 3-way merge puts it elsewhere" in imports.capsys.readouterr().out


def verdicts_on(imports: Imports, files: dict[str, bytes], name: str, patch: bytes) -> dict[str, str]:
    made = Upstream.make(imports.top / name, files)
    file = imports.top / "made.patch"
    file.write_bytes(patch)
    imports.capsys.readouterr()
    assert (
        run(["import", str(file), "--patches", str(made.patches), "--tree", str(made.folder), "--json"]) == 0
    )
    imports.out = imports.capsys.readouterr().out
    assert not list(made.patches.rglob("*.patch"))
    return {file["path"]: file["verdict"] for file in json.loads(imports.out)["files"]}


def test_what_is_there_already(imports: Imports) -> None:
    """The tag's own files have the change: by id, by its lines, and at other lines."""
    patch = imports.elsewhere.diff(EDITED, "--binary")
    for name, given in (("ids", patch), ("lines", without_ids(patch))):
        assert set(verdicts_on(imports, after(), name, given).values()) == {"already there"}
    shifted = {**after(), "a.py": b"new\n" * 7 + after()["a.py"]}
    assert set(verdicts_on(imports, shifted, "shifted", patch).values()) == {"already there"}
    assert imports.details()["a.py"] == "at other lines"


@pytest.mark.parametrize("kind", BROKEN)
def test_what_cannot_be_a_patch_is_named_and_nothing_is_written(imports: Imports, kind: str) -> None:
    verdicts = imports.verdicts(SECOND + BROKEN[kind])
    assert verdicts.pop("csrc/k.cu") == "exact"
    assert "failed" in verdicts.values()
    assert all(imports.details().get(path) for path, verdict in verdicts.items() if verdict == "failed")
    assert imports.empty
    imports.verdicts(SECOND + BROKEN[kind], "--partial")
    assert list(imports.made()) == ["csrc/k.cu"]


def test_files_that_a_rename_ties_fail_together(imports: Imports) -> None:
    first = imports.elsewhere.commit({"csrc/k2.cu": BASE["csrc/k.cu"], "csrc/k.cu": None}, "move")
    folder = imports.top / "series"
    folder.mkdir()
    mails = git(imports.elsewhere.folder, "format-patch", "-M", "--stdout", f"{first}~1..{first}")
    (folder / "1.patch").write_bytes(mails)
    bad = hunk("csrc/k2.cu", "-1 +1", "-nothing like it", "+x")
    (folder / "2.patch").write_bytes(bad + hunk("a.py", "-1,2 +1,2", " line 0", "-line 1", "+1"))
    assert imports.run(str(folder), "--partial") == 3
    assert list(imports.made()) == ["a.py"]
    assert "tied by a rename" in imports.out


def test_a_patch_that_is_there_stays(imports: Imports) -> None:
    assert imports.patch(imports.elsewhere.diff(EDITED)) == 0
    before = imports.upstream.patch_bytes()
    assert imports.patch(imports.elsewhere.diff(EDITED)) == 0
    assert "5 already there" in imports.out
    mine = {"a.py": b"mine\n", "notes/readme": b"changed\n"}
    other = imports.elsewhere.diff({**EDITED, **mine})
    assert imports.patch(other) == 3
    assert "--replace takes this one instead" in imports.out
    assert imports.upstream.patch_bytes() == before
    assert imports.patch(other, "--replace", "a.pyy") == 2
    assert 'did you mean "a.py"?' in imports.err
    assert imports.patch(other, "--replace", "a.py") == 0
    assert imports.files() == dict(sorted({**after(), **mine}.items()))


def test_a_replaced_patch_keeps_its_header(imports: Imports) -> None:
    imports.elsewhere.commit({"a.py": EDITED["a.py"]}, "Words\n\nInstead of digits.")
    assert imports.patch(git(imports.elsewhere.folder, "format-patch", "-1", "--stdout")) == 0
    other = hunk("a.py", "-1,2 +1,2", " line 0", "-line 1", "+1")
    assert imports.patch(other, "--replace", "*.py") == 0
    assert imports.made()["a.py"].content.header.subject == "Words"
    assert imports.files()["a.py"] == BASE["a.py"].replace(b"line 1\n", b"1\n")


def test_names_that_are_one_on_windows_are_not_written(imports: Imports) -> None:
    patch = new_file("csrc/New.cu") + new_file("csrc/new.cu")
    assert imports.verdicts(patch) == {"csrc/New.cu": "failed", "csrc/new.cu": "failed"}
    assert imports.empty


def test_nothing_is_written_into_an_installed_package(
    imports: Imports, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(data, "PACKAGE", tmp_path / "package")
    installed = tmp_path / "package" / "_data"
    installed.parent.mkdir()
    imports.upstream.patches.rename(installed)
    imports.upstream.patches = installed
    assert imports.patch(SECOND) == 2
    assert "installed package" in imports.err
    assert imports.patch(SECOND, "--dry-run") == 0
    assert imports.empty
