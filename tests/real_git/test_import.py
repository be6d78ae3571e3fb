"""`import` of patch files in every shape that git, diff, mail and Windows give them."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.import_cases import Edits, Imports, git, hunk, new_file, without_ids
from tests.patch_upstream import BASE, EDITED, TAG, Upstream, after
from winvllm_build.cli.main import run


@pytest.fixture
def exported(upstream: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Path]:
    """The small patch set in both forms."""
    made = {}
    for form in ("patch", "mbox"):
        made[form] = tmp_path / f"exported.{form}"
        words = ["export", "--format", form, "-o", str(made[form]), "--patches", str(upstream.patches)]
        assert run(words) == 0
    capsys.readouterr()
    return made


def test_there_and_back_gives_the_same_bytes(
    imports: Imports, upstream: Upstream, exported: dict[str, Path]
) -> None:
    assert imports.run(str(exported["patch"])) == 0
    assert "5 files: 5 exact" in imports.out
    old = {patch.path: patch.content.diff.text for patch in upstream.load().patches}
    assert {path: patch.content.diff.text for path, patch in imports.made().items()} == old
    assert imports.files() == after()


def test_mails_there_and_back_keep_the_headers_too(
    imports: Imports, upstream: Upstream, exported: dict[str, Path], request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("hostile_git")
    assert imports.run(str(exported["mbox"])) == 0
    assert imports.upstream.patch_bytes() == upstream.patch_bytes()


def test_the_set_it_writes_is_locked_and_applies(imports: Imports) -> None:
    assert imports.patch(imports.elsewhere.diff(EDITED)) == 0
    assert "5 patches written" in imports.out
    assert "winvllm-build lint" in imports.err
    header = imports.made()["a.py"].content.header
    assert header.subject.startswith("TODO")
    assert header.get("Upstream-Status") == "Pending [TODO]"
    assert header.get("Since") == TAG
    assert header.notes == ()
    imports.upstream.apply()
    assert imports.upstream.content() == after()
    imports.upstream.regen(check=True)


MOVED: Edits = {
    **EDITED, "csrc/moved.cu": BASE["csrc/k.cu"].replace(b"int c;", b"int d;"), "csrc/k.cu": None,
    "with space/f.txt": b"x\n", "\u00fc/\u00e9.py": b"y", "empty": b"",
}  # fmt: skip


SHAPES = """
--full-index --binary
--abbrev=7
--no-prefix
--src-prefix=i/ --dst-prefix=w/
-U0
-U1
-U9
-M
-C --find-copies-harder
--no-renames
--minimal
--inter-hunk-context=9
--stat -p
--raw -p
-D --full-index
"""


@pytest.mark.parametrize("options", SHAPES.splitlines())
def test_git_diff_in_any_shape(imports: Imports, options: str) -> None:
    edits = {**MOVED, "csrc/k.cu": BASE["csrc/k.cu"]} if "-D" in options else MOVED
    assert imports.patch(imports.elsewhere.diff(edits, *options.split())) == 0, imports.out
    wanted = sorted({**BASE, **edits}.items())
    assert imports.files() == {name: content for name, content in wanted if content is not None}


def test_modes_and_binary_content(imports: Imports) -> None:
    imports.elsewhere.write({"b.bin": b"\0\1" * 99, "csrc/k.cu": b"// other\n"})
    (imports.elsewhere.folder / "csrc/k.cu").chmod(0o755)
    (imports.elsewhere.folder / "a.py").chmod(0o755)
    patch = imports.elsewhere.diff({}, "--binary")
    assert imports.verdicts(patch) == {"a.py": "exact", "b.bin": "exact", "csrc/k.cu": "exact"}
    made = imports.made()
    assert made["a.py"].modes == made["csrc/k.cu"].modes == ("100644", "100755")
    assert imports.files()["b.bin"] == b"\0\1" * 99


def plain_diff(imports: Imports, *, one: str, other: str, options: str = "-ruN") -> bytes:
    """What `diff` says about two folders."""
    imports.elsewhere.write(EDITED)
    top = imports.top / "plain"
    for name, source in ((one, imports.upstream.folder), (other, imports.elsewhere.folder)):
        shutil.copytree(source, top / name, ignore=shutil.ignore_patterns(".git"))
    done = subprocess.run(["diff", options, one, other], cwd=top, capture_output=True, check=False)
    assert done.returncode == 1
    return done.stdout


@pytest.mark.skipif(shutil.which("diff") is None, reason="diff is not installed")
@pytest.mark.parametrize(
    ("one", "other", "zone"),
    [
        ("a", "b", "UTC"),
        ("u-1.2.3.orig", "u-1.2.3", "Pacific/Auckland"),
        ("work/old/tree", "work/new/tree", "America/New_York"),
    ],
)
def test_diff_of_two_folders(
    imports: Imports, monkeypatch: pytest.MonkeyPatch, one: str, other: str, zone: str
) -> None:
    monkeypatch.setenv("TZ", zone)
    assert imports.patch(plain_diff(imports, one=one, other=other)) == 0, imports.out
    assert imports.files() == after()


@pytest.mark.skipif(shutil.which("diff") is None, reason="diff is not installed")
def test_diff_that_leaves_new_files_out_says_so(imports: Imports) -> None:
    assert imports.patch(plain_diff(imports, one="a", other="b", options="-ru")) == 3
    assert imports.empty
    assert imports.out.count("use `diff -N`") == 2


def test_names_without_any_prefix_and_a_backup_name(imports: Imports) -> None:
    patch = hunk("a.py", "-1,3 +1,3", " line 0", "-line 1", "+line one", " line 2")
    patch = patch.replace(b"--- a/a.py", b"--- a.py.orig").replace(b"+++ b/a.py", b"+++ a.py")
    patch += hunk("csrc/k.cu", "-1,2 +1,2", " // kernel", "-int a;", "+int A;").replace(b" a/", b" ")
    patch = patch.replace(b" b/", b" ") + b"--- /dev/null\n+++ csrc/new.cu\n@@ -0,0 +1 @@\n+int n;\n"
    assert imports.verdicts(patch) == {"a.py": "exact", "csrc/k.cu": "exact", "csrc/new.cu": "exact"}
    assert imports.files()["csrc/new.cu"] == b"int n;\n"


def test_strip_can_be_said(imports: Imports) -> None:
    patch = b"--- x/y/new.txt\n+++ x/y/new.txt\n@@ -0,0 +1 @@\n+int n;\n"
    assert imports.verdicts(patch, "--strip", "2", "--dry-run") == {"new.txt": "exact"}
    assert imports.verdicts(patch, "-p", "0", "--dry-run") == {"x/y/new.txt": "exact"}
    assert imports.empty


def lf(patch: bytes) -> bytes:
    return patch.replace(b"\r\n", b"\n")


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "CRLF": lambda patch: lf(patch).replace(b"\n", b"\r\n"),
    "UTF-16 of PowerShell": lambda patch: lf(patch).replace(b"\n", b"\r\n").decode().encode("utf-16"),
    "UTF-8 with a mark": lambda patch: b"\xef\xbb\xbf" + patch,
    "LF throughout": lf,
    "CRLF but the file's own": lambda patch: patch.replace(b"\n", b"\r\n").replace(b"\r\r\n", b"\r\n"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ids", ["--full-index", "--abbrev=7", "none"])
def test_line_ends_and_encodings_that_windows_makes(imports: Imports, form: str, ids: str) -> None:
    patch = imports.elsewhere.diff(EDITED, *([ids] if ids != "none" else []))
    given = without_ids(patch) if ids == "none" else patch
    assert imports.patch(FORMS[form](given)) == 0, imports.out
    assert imports.files() == after()


def test_crlf_is_not_brought_into_a_file_that_has_none(imports: Imports) -> None:
    patch = hunk("a.py", "-1,2 +1,2", " line 0", "-line 1", "+line one\r")
    assert imports.verdicts(patch) == {"a.py": "exact"}
    assert "converted to LF" in imports.out
    assert b"\r" not in imports.files()["a.py"]


def test_mails_of_git_format_patch(imports: Imports) -> None:
    elsewhere = imports.elsewhere
    elsewhere.commit({"a.py": EDITED["a.py"]}, "Say it in words: \u00e9\n\nBecause MSVC\ncannot count.\n")
    elsewhere.commit({"csrc/k.cu": b"// kernel\nlong a;\nint b;\nint c;\n"}, "First half")
    elsewhere.commit({"csrc/k.cu": EDITED["csrc/k.cu"], "dos.bat": EDITED["dos.bat"]}, "Second half")
    elsewhere.commit({"csrc/old.cu": None, "csrc/new/n.cuh": EDITED["csrc/new/n.cuh"]}, "[tag] keep me")
    folder = imports.top / "mails"
    git(elsewhere.folder, "format-patch", "-q", "--cover-letter", "-o", str(folder), imports.upstream.commit)
    assert len(list(folder.iterdir())) == 5
    assert imports.run(str(folder)) == 0, imports.err
    assert imports.files() == after()
    made = {path: patch.content.header for path, patch in imports.made().items()}
    assert made["a.py"].subject == "Say it in words: \u00e9"
    assert made["a.py"].get("Description") == "Because MSVC\ncannot count."
    assert made["a.py"].get("Upstream-Status") == "Pending [TODO]"
    assert made["csrc/k.cu"].subject.startswith("TODO")
    assert made["dos.bat"].subject == "Second half"
    assert (made["dos.bat"].get("Description") or "").startswith("TODO")
    assert made["csrc/old.cu"].subject == "[tag] keep me"


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_a_mailbox(imports: Imports, end: bytes) -> None:
    imports.elsewhere.commit({"a.py": EDITED["a.py"]}, "One")
    imports.elsewhere.commit({"csrc/old.cu": None}, "Two")
    box = git(imports.elsewhere.folder, "format-patch", "--stdout", imports.upstream.commit)
    assert imports.patch(box.replace(b"\n", end), name="in.mbox") == 0, imports.err
    subjects = {path: patch.content.header.subject for path, patch in imports.made().items()}
    assert subjects == {"a.py": "One", "csrc/old.cu": "Two"}


def test_an_encoded_mail(imports: Imports) -> None:
    imports.elsewhere.commit({"\u00fc.py": "\u00fc = 1\n".encode(), "dos.bat": EDITED["dos.bat"]}, "Umlaut")
    mail = git(imports.elsewhere.folder, "format-patch", "-1", "--stdout", "--attach")
    assert imports.patch(mail) == 0, imports.err
    assert imports.files()["\u00fc.py"] == "\u00fc = 1\n".encode()
    assert imports.files()["dos.bat"] == EDITED["dos.bat"]


def test_from_standard_input(imports: Imports, monkeypatch: pytest.MonkeyPatch) -> None:
    patch = imports.elsewhere.diff(EDITED)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(patch)))
    assert imports.run("-") == 0
    assert imports.files() == after()


def test_a_patch_file_of_another_set_keeps_its_header(imports: Imports, upstream: Upstream) -> None:
    assert imports.run(str(upstream.patch_file("csrc/k.cu"))) == 0
    assert imports.made()["csrc/k.cu"].file.read_bytes() == upstream.patch_file("csrc/k.cu").read_bytes()


def test_prose_around_the_diffs_is_passed_over(imports: Imports) -> None:
    patch = b"Hello,\n\n    diff --git a/x b/x\n    --- a/x\n\nthis helps:\n" + imports.elsewhere.diff(EDITED)
    assert imports.patch(patch + b"\nRegards\n-- \nMe\n") == 0
    assert imports.files() == after()


def test_the_source_is_had_as_usual(imports: Imports, monkeypatch: pytest.MonkeyPatch) -> None:
    upstream = imports.upstream
    upstream.git.out("update-ref", f"refs/tags/{TAG}", upstream.commit)
    manifest = upstream.patches / TAG / "patchset.toml"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text.replace("https://example.invalid/u", upstream.folder.as_uri()), encoding="utf-8")
    monkeypatch.chdir(imports.top)
    file = imports.top / "x.patch"
    file.write_bytes(imports.elsewhere.diff(EDITED))
    assert run(["import", str(file), "--patches", str(upstream.patches)]) == 0
    assert imports.files() == after()


def test_messages_about_what_is_no_patch(imports: Imports) -> None:
    assert imports.run("no-such-file") == 2
    assert "--repo" in imports.err
    assert imports.patch(b"nothing here\n") == 9
    assert imports.patch(b"*** a.py\n--- b.py\n***************\n*** 1 ****\n") == 9
    assert "context diff" in imports.err
    assert imports.patch(b"text\n@@ -1 +1 @@\n-a\n+b\n") == 9
    assert imports.patch(b"\0\0\0") == 9
    assert imports.patch(new_file("n"), "--layer", "none") == 2
    assert imports.patch(new_file("n"), "--target", "none") == 2
    assert imports.empty


def test_the_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["import", "--help"]) == 0
    assert "--repo ../vllm" in capsys.readouterr().out
