"""`show`: the table, one patch with its reasons, and two sets compared by what they change."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.patch_upstream import BASE, TAG, Upstream
from winvllm_build.cli.main import run
from winvllm_build.patchset.patchset import load

LONG = b"".join(b"line %d\n" % number for number in range(60))
NOTED = (
    b"Subject: Three and thirty in words\nTopic: words, other\nHazards: D1, E2\nDescription: First\n second\n"
)
NOTED += b"Upstream-Status: Pending\nHunk: ? three is a word\n"


@pytest.fixture
def noted(upstream: Upstream, capsys: pytest.CaptureFixture[str]) -> Upstream:
    """The patch set with a described patch."""
    file = upstream.patch_file("a.py")
    file.write_bytes(NOTED + b"\n" + file.read_bytes().partition(b"\n\n")[2])
    upstream.relock()
    upstream.apply()
    upstream.regen()
    capsys.readouterr()
    return upstream


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def show(upstream: Upstream, *words: str) -> int:
    return run(["show", *words, "--patches", str(upstream.patches)])


def test_the_table_has_every_patch(noted: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(noted) == 0
    *rows, total = lines(capsys)
    assert [row.split()[:4] for row in rows] == [
        ["windows", "a.py", "+2", "-2"], ["windows", "csrc/k.cu", "+1", "-1"],
        ["windows", "csrc/new/n.cuh", "+1", "-0"], ["windows", "csrc/old.cu", "+0", "-1"],
        ["windows", "dos.bat", "+1", "-1"],
    ]  # fmt: skip
    assert rows[0].endswith("words,other  D1,E2  Three and thirty in words")
    assert total == f"{TAG}: 5 patches, +5 -5 lines"


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (["--topic", "words"], 1),
        (["--hazard", "E2"], 1),
        (["--topic", "words", "--topic", "other"], 1),
        (["--layer", "windows"], 5),
        (["--target", "vllm"], 5),
    ],
)
def test_filters(noted: Upstream, capsys: pytest.CaptureFixture[str], options: list[str], count: int) -> None:
    assert show(noted, TAG, *options) == 0
    assert len(lines(capsys)) == count + 1


@pytest.mark.parametrize("option", ["--topic", "--hazard", "--layer", "--target"])
def test_an_unknown_filter_names_the_known(
    noted: Upstream, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert show(noted, option, "nothing-like-it") == 2
    assert "known: " in capsys.readouterr().err


def test_each_hunk_has_its_reason_in_front(noted: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(noted, "a.py") == 0
    shown = lines(capsys)
    assert shown[0] == "windows/vllm a.py: modified, +2 -2"
    assert "  Description      First" in shown
    assert "                   second" in shown
    one, other = load(noted.patches, TAG).patches[0].content.diff.hunks
    at = shown.index(f"{one.id} line 4: three is a word")
    assert shown[at + 1].startswith("@@ -1,7 +1,7 @@")
    assert "+line three" in shown[at:]
    assert f"{other.id} line 31: no reason is noted" in shown


def test_only_the_reasons(noted: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(noted, "--why") == 0
    shown = lines(capsys)
    assert any(line.endswith("line 4: three is a word") for line in shown)
    assert not [line for line in shown if line.startswith(("@@", "+", "-"))]
    assert len([line for line in shown if line.startswith("windows/vllm")]) == 5


def test_a_patch_is_found_by_what_one_has_at_hand(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    file = str(upstream.patch_file("csrc/k.cu"))
    for word in (
        "csrc/k.cu",
        "k.cu",
        "csrc\\k.cu",
        "./csrc/k.cu",
        "k.*",
        file,
        "windows/vllm/csrc/k.cu.patch",
    ):
        assert show(upstream, word) == 0
        assert lines(capsys)[0] == "windows/vllm csrc/k.cu: modified, +1 -1"
    assert show(upstream, "csrc/k.uc") == 2
    assert 'did you mean "csrc/k.cu"?' in capsys.readouterr().err


def test_several_matches_are_listed_or_all_shown(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(upstream, "csrc/*.cu") == 0
    listed, said = capsys.readouterr()
    assert [row.split()[1] for row in listed.splitlines()[:-1]] == ["csrc/k.cu", "csrc/old.cu"]
    assert "--all" in said
    assert show(upstream, TAG, "csrc/*.cu", "--all") == 0
    assert len([line for line in lines(capsys) if line.startswith("windows/vllm")]) == 2


def test_a_misspelt_tag_is_no_path(upstream: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(upstream, "v1.2.4", "a.py") == 9
    assert f"available: {TAG}" in capsys.readouterr().err


def test_nothing_of_a_patch_reaches_the_terminal_as_a_command(
    upstream: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    upstream.apply()
    upstream.write({"a.py": b"\x1b[2J\x9b \xe2\x80\xaeabc\r\n" + BASE["a.py"].replace(b"\n", b"\r\n")})
    upstream.write({"a.py": b"\x1b[2J\xff \xe2\x80\xaeabc \x0c\n" + BASE["a.py"]})
    upstream.regen()
    assert show(upstream, "a.py") == 0
    out = capsys.readouterr().out
    assert "+^[[2J\\xff <U+202E>abc ^L" in out
    assert "\x1b" not in out


def test_as_data(noted: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    assert show(noted, "--json") == 0
    everything = json.loads(capsys.readouterr().out)
    assert [found["path"] for found in everything][:2] == ["a.py", "csrc/k.cu"]
    assert "hunks" not in everything[0]
    assert show(noted, "a.py", "--json") == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert [hunk["why"] for hunk in one["hunks"]] == ["three is a word", None]
    assert one["topics"] == ["words", "other"]


def test_any_output_can_be_written_in_a_narrow_encoding(upstream: Upstream) -> None:
    upstream.apply()
    upstream.write({"a.py": BASE["a.py"] + "→ arrow\n".encode()})
    upstream.regen()
    done = subprocess.run(
        [Path(sys.executable).parent / "winvllm-build", "show", "a.py", "--patches", upstream.patches],
        env={**os.environ, "PYTHONIOENCODING": "cp1252"}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert b"+\\u2192 arrow" in done.stdout


class Sets:
    """Two patch sets, each made of files before and after."""

    def __init__(self, top: Path) -> None:
        self.top = top

    def make(self, name: str, before: dict[str, bytes], after: dict[str, bytes | None]) -> str:
        made = Upstream.make(self.top / name, before)
        made.write(after)
        made.regen(new=("*",))
        return str(made.patches / TAG)

    def header(self, folder: str, path: str, text: bytes) -> None:
        file = Path(folder, "windows", "vllm", f"{path}.patch")
        file.write_bytes(text + b"\n" + file.read_bytes().partition(b"\n\n")[2])


@pytest.fixture
def sets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Sets:
    capsys.readouterr()
    return Sets(tmp_path)


def edited(content: bytes, *steps: tuple[bytes, bytes]) -> bytes:
    for old, new in steps:
        assert content.count(old) == 1
        content = content.replace(old, new)
    return content


THREE = ((b"line 5\n", b"five\n"), (b"line 25\n", b"twenty-five\n"), (b"line 45\n", b"forty-five\n"))


def test_hunks_that_only_moved_are_no_difference(sets: Sets, capsys: pytest.CaptureFixture[str]) -> None:
    shifted = b"new upstream line\n" * 9 + LONG.replace(b"line 26\n", b"another context\n")
    old = sets.make("old", {"a.py": LONG}, {"a.py": edited(LONG, *THREE)})
    new = sets.make("new", {"a.py": shifted}, {"a.py": edited(shifted, *THREE)})
    assert run(["show", "--interdiff", old, new, "--exit-code"]) == 0
    (said,) = lines(capsys)
    assert said.startswith(f"{old} -> {new}: patches: 1 same, 0 changed, 0 moved, 0 gone, 0 new; ")
    assert said.endswith("hunks: 3 kept, 0 changed, 0 gone, 0 new")


def test_only_what_the_change_says_anew_is_shown(sets: Sets, capsys: pytest.CaptureFixture[str]) -> None:
    old = sets.make("old", {"a.py": LONG}, {"a.py": edited(LONG, *THREE)})
    again = (THREE[0], (b"line 25\n", b"twenty-five\n// why\n"), (b"line 55\n", b"else\n"))
    new = sets.make("new", {"a.py": LONG}, {"a.py": edited(LONG, *again)})
    assert run(["show", "--interdiff", old, new]) == 0
    shown = lines(capsys)
    assert shown[0] == "changed: windows/vllm a.py: hunks 1 kept, 1 changed, 1 gone, 1 new"
    changed = shown.index("    -line 25")
    assert shown[changed : changed + 3] == ["    -line 25", "    +twenty-five", "  + +// why"]
    assert "  - +forty-five" in shown
    assert "  + +else" in shown
    assert not [line for line in shown if "five\n" in line]
    assert run(["show", "--interdiff", old, new, "--exit-code"]) == 1


def test_headers_and_notes_of_kept_hunks(sets: Sets, capsys: pytest.CaptureFixture[str]) -> None:
    old = sets.make("old", {"a.py": LONG}, {"a.py": edited(LONG, THREE[0])})
    new = sets.make("new", {"a.py": LONG}, {"a.py": edited(LONG, THREE[0])})
    (hunk,) = load(Path(old).parent, TAG).patches[0].content.diff.hunks
    sets.header(old, "a.py", f"Subject: One\nDescription: a\nHunk: {hunk.id} because\n".encode())
    sets.header(new, "a.py", f"Subject: Two\nDescription: a\nHunk: {hunk.id} for another reason\n".encode())
    assert run(["show", "--interdiff", old, new]) == 0
    shown = lines(capsys)
    assert shown[1:7] == [
        "  Subject", "  - One", "  + Two", f"  Hunk {hunk.id}", "  - because", "  + for another reason",
    ]  # fmt: skip


def test_a_patch_follows_its_file(sets: Sets, capsys: pytest.CaptureFixture[str]) -> None:
    changed = edited(LONG, *THREE)
    again = edited(LONG, THREE[0], THREE[1], (b"line 45\n", b"45\n"))
    before = {"csrc/a.cu": LONG, "csrc/b.cu": LONG + b"b\n", "c.py": b"c\n"}
    after = {"csrc/sub/a.cu": LONG, "csrc/sub/other.cu": LONG + b"b\n", "d.py": b"d\n"}
    old = sets.make(
        "old", before, {"csrc/a.cu": changed, "csrc/b.cu": edited(LONG, *THREE) + b"b\n", "c.py": b"C\n"}
    )
    new = sets.make(
        "new", after, {"csrc/sub/a.cu": changed, "csrc/sub/other.cu": again + b"b\n", "d.py": b"D\n"}
    )
    assert run(["show", "--interdiff", old, new, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["differ"] is True
    pairs = [(delta["state"], (delta["old"] or {}).get("path"), (delta["new"] or {}).get("path"))
             for delta in found["patches"]]  # fmt: skip
    assert sorted(pairs, key=str) == [
        ("gone", "c.py", None), ("moved", "csrc/a.cu", "csrc/sub/a.cu"),
        ("moved", "csrc/b.cu", "csrc/sub/other.cu"), ("new", None, "d.py"),
    ]  # fmt: skip
    assert [len(delta["changed"]) for delta in found["patches"] if delta["state"] == "moved"] == [0, 1]


def test_a_new_file_that_moved_and_changed_is_found_by_its_name(
    sets: Sets, capsys: pytest.CaptureFixture[str]
) -> None:
    old = sets.make("old", {"x": b"x\n"}, {"cmake/windows.cmake": LONG})
    new = sets.make("new", {"x": b"x\n"}, {"cmake/port/windows.cmake": edited(LONG, THREE[0])})
    assert run(["show", "--interdiff", old, new]) == 0
    shown = lines(capsys)
    assert shown[0].startswith(
        "moved: windows/vllm cmake/port/windows.cmake (was windows/vllm cmake/windows.cmake)"
    )
    assert "  - +line 5" in shown
    assert "  + +five" in shown
    assert len(shown) < 20


def test_binary_content_and_modes_are_differences(sets: Sets, capsys: pytest.CaptureFixture[str]) -> None:
    old = sets.make("old", {"x": b"x\n"}, {"b.bin": b"\0one", "run.sh": b"echo\n"})
    new = Upstream.make(sets.top / "new", {"x": b"x\n"})
    new.write({"b.bin": b"\0two", "run.sh": b"echo\n"})
    (new.folder / "run.sh").chmod(0o755)
    new.regen(new=("*",))
    assert run(["show", "--interdiff", old, str(new.patches / TAG), "--exit-code"]) == 1
    shown = lines(capsys)
    assert shown[0].startswith("changed: windows/vllm b.bin")
    assert shown[1] == "  binary content"
    assert "  + 000000 -> 100755" in shown


def test_a_comparison_can_be_narrowed(sets: Sets, capsys: pytest.CaptureFixture[str]) -> None:
    before = {"a.py": LONG, "b.py": LONG}
    old = sets.make("old", before, {"a.py": edited(LONG, THREE[0]), "b.py": edited(LONG, THREE[0])})
    new = sets.make("new", before, {"a.py": edited(LONG, THREE[1]), "b.py": edited(LONG, THREE[1])})
    assert run(["show", "--interdiff", old, new, "b.py"]) == 0
    assert lines(capsys)[0].startswith("changed: windows/vllm b.py")
    assert run(["show", "--interdiff", old, "v9", "--patches", str(sets.top / "old" / "patches")]) == 9
    assert run(["show", "--interdiff", old, old, "--exit-code"]) == 0


def test_the_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["show", "--help"]) == 0
    assert "--interdiff v0.14.1 v0.15.0" in capsys.readouterr().out
