"""`winvllm-build scan` from the command line on a small upstream: tags, sets, folders, two tags."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.patch_upstream import digest
from tests.patch_upstream import nothing as unheard
from tests.port_story import Story, users_git, write
from tests.scan_hits import entry
from winvllm_build.audit.hazard import catalogue
from winvllm_build.audit.newsince import paths_since
from winvllm_build.audit.subject import Doors, Wanted, opened
from winvllm_build.cli.main import run
from winvllm_build.index import Index

Captured = pytest.CaptureFixture[str]
OLD, NEW = "v1.0.0", "v1.1.0"
LOCKS = b"import fcntl\n\n\ndef f():\n    fcntl.flock(1, 2)\n"
LOOPS = b"import uvloop\n\nuvloop.install()\n"
GUARDED = (
    b"import sys\n\nif sys.platform != 'win32':\n    import uvloop\nelse:\n    import asyncio as uvloop\n\n"
    b"uvloop.run\n"
)
FIRST: dict[str, bytes | None] = {
    "vllm/__init__.py": b"", "vllm/locks.py": LOCKS, "vllm/loops.py": LOOPS, ".gitignore": b"ignored/\n",
}  # fmt: skip
SECOND: dict[str, bytes | None] = {
    "vllm/locks.py": None, "vllm/distributed/locks.py": LOCKS, "vllm/more.py": b"import uvloop\nX = uvloop\n",
}  # fmt: skip
HEADER = "Subject: No uvloop\nDescription: Why.\nHazards: E4\nUpstream-Status: Pending\n"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Story:
    made = Story.make(tmp_path_factory.mktemp("scan") / "story")
    made.release(OLD, FIRST)
    made.patch(OLD, {"vllm/loops.py": GUARDED})
    file = made.root / OLD / "windows" / "vllm" / "vllm" / "loops.py.patch"
    text = file.read_text(encoding="utf-8")
    file.write_text(HEADER + "\n" + text[text.index("diff --git") :], encoding="utf-8")
    made.rest()
    made.release(NEW, SECOND)
    return made


@pytest.fixture
def story(template: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Story:
    made = template.copied(tmp_path / "story")
    monkeypatch.setenv("WINVLLM_BUILD_HOME", str(made.workspace.root))
    return made


def scan(story: Story, *words: str) -> int:
    return run(["scan", *words, "--patches", str(story.root), "--offline"])


def data(story: Story, capsys: Captured, *words: str, code: int = 1) -> dict[str, Any]:
    assert scan(story, *words, "--json") == code
    loaded: dict[str, Any] = json.loads(capsys.readouterr().out)
    return loaded


def left(said: dict[str, Any]) -> list[tuple[str, str, int]]:
    """Hazard, path and line of each live hit without a suppression."""
    return [
        (hit["hazard"], hit["path"], hit["line"])
        for hit in said["hits"]
        if hit["state"] == "live" and hit["suppressed"] is None
    ]


def test_a_tag_in_words(story: Story, capsys: Captured) -> None:
    assert scan(story, OLD) == 1
    said = capsys.readouterr().out
    assert f"E4      {catalogue()['E4'].severity.value}" in said
    assert "vllm/loops.py:1" in said
    assert "import uvloop" in said
    assert said.splitlines()[-1].startswith(
        f"{OLD}: 2 live, 0 guarded, 0 dead; 2 more than advice (3 files, "
    )


def test_the_set_takes_away_what_it_meets(story: Story, capsys: Captured) -> None:
    assert [hazard for hazard, *_ in left(data(story, capsys, OLD))] == ["E1", "E4"]
    said = data(story, capsys, OLD, "--patched")
    assert said["layers"] == ["windows"]
    assert left(said) == [("E1", "vllm/locks.py", 1)]
    assert [hit["state"] for hit in said["hits"] if hit["hazard"] == "E4"] == ["guarded"]


def test_a_suppression_makes_it_clean_until_it_rots(story: Story, capsys: Captured) -> None:
    file = story.root / OLD / "suppressions.toml"
    file.write_text(entry(hazard="E1", path="vllm/locks.py", reason="nobody imports it"), encoding="utf-8")
    said = data(story, capsys, OLD, "--patched", code=0)
    assert [hit["suppressed"] for hit in said["hits"] if hit["hazard"] == "E1"] == ["nobody imports it"]
    assert run(["lint", OLD, "--patches", str(story.root)]) == 0
    capsys.readouterr()
    file.write_text(file.read_text() + entry(hazard="E9", path="vllm/*.py", text="x"), encoding="utf-8")
    assert scan(story, OLD, "--patched") == 1
    said_text = capsys.readouterr().out
    assert f"{file}:6: no live hit is suppressed by this entry any more (E9 in vllm/*.py: x)" in said_text
    assert f"  fix: delete the entry at line 6 of {file}" in said_text
    assert scan(story, OLD, "--patched", "--exit-zero") == 0


def test_doctor_and_show_take_the_file_as_part_of_the_set(story: Story, capsys: Captured) -> None:
    (story.root / OLD / "suppressions.toml").write_text("broken", encoding="utf-8")
    for command in (["doctor", "patches", OLD], ["show", OLD]):
        assert run([*command, "--patches", str(story.root)]) == 0
    assert "suppressions" not in capsys.readouterr().out
    assert scan(story, OLD, "--patched") == 1
    assert "it cannot be read" in capsys.readouterr().out


def test_options_narrow_what_counts(story: Story, capsys: Captured) -> None:
    assert left(data(story, capsys, OLD, "--hazard", "e4")) == [("E4", "vllm/loops.py", 1)]
    assert left(data(story, capsys, OLD, "--path", "*locks*")) == [("E1", "vllm/locks.py", 1)]
    assert left(data(story, capsys, OLD, "--severity", "compile", code=0)) == []
    assert left(data(story, capsys, OLD, "--reach", "start", code=0)) == []
    assert len(left(data(story, capsys, OLD, "--reach", "corner"))) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["v9.9.9"], "is not cached"),
        (["no-such-folder"], "is not the tag of a release"),
        (["no/such/folder"], "is not a folder"),
        ([OLD, "--hazard", "D999"], "there is no hazard 'D999'"),
        ([OLD, "--severity", "compiles"], 'did you mean "compile"?'),
        ([OLD, "--reach", "never"], "known: build, start, use, corner"),
        ([OLD, "--layer", "windows"], "--layer has no meaning without --patched"),
        ([OLD, "--patched", "--layer", "nope"], "no layer named 'nope'"),
        ([NEW, "--patched"], "does not exist"),
        (["--explain", "X1"], "there is no hazard 'X1'"),
    ],
)
def test_what_cannot_be_done_is_one_message(
    story: Story, capsys: Captured, words: list[str], message: str
) -> None:
    assert scan(story, *words) > 1
    said = capsys.readouterr()
    assert message in said.err
    assert "fix: " in said.err
    assert "internal error" not in said.err


def test_a_folder_is_scanned_as_it_lies(story: Story, capsys: Captured) -> None:
    """Edited, new and staged files count; ignored ones do not; nothing in the folder changes."""
    write(story.tree, {"vllm/new.py": b"import fcntl\n", "ignored/x.py": b"import fcntl\n"})
    write(story.tree, {"vllm/staged.py": b"import termios\n", "vllm/more.py": b""})
    users_git(story.tree, "add", "vllm/staged.py")
    before = digest(story.tree)
    said = data(story, capsys, str(story.tree))
    assert digest(story.tree) == before
    paths = {path for _, path, _ in left(said)}
    assert paths == {"vllm/distributed/locks.py", "vllm/loops.py", "vllm/new.py", "vllm/staged.py"}
    assert said["layers"] == []


def test_an_ignored_file_that_git_tracks_counts(story: Story, capsys: Captured) -> None:
    write(story.tree, {"vllm/ignored/x.py": b"import fcntl\n"})
    users_git(story.tree, "add", "-f", "vllm/ignored/x.py")
    said = data(story, capsys, str(story.tree), "--path", "vllm/ignored/*")
    assert left(said) == [("E1", "vllm/ignored/x.py", 1)]


@pytest.mark.parametrize("inside", [False, True])
def test_a_folder_without_a_repository_of_its_own(
    story: Story, capsys: Captured, tmp_path: Path, *, inside: bool
) -> None:
    folder = story.tree / "ignored" / "copy" if inside else tmp_path / "plain"
    write(folder, {**FIRST, "ignored/x.py": b"import fcntl\n", "vllm/dos.py": b"import fcntl\r\n"})
    nested = folder / "vllm" / "nested"
    nested.mkdir()
    users_git(nested, "init", "-q")
    (folder / "vllm" / "link.py").symlink_to("locks.py")
    before = digest(folder)
    said = data(story, capsys, str(folder))
    assert digest(folder) == before
    assert {path for _, path, _ in left(said)} == {"vllm/dos.py", "vllm/locks.py", "vllm/loops.py"}


def test_a_folder_named_like_a_tag(
    story: Story, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / OLD, {"vllm/only.py": b"import fcntl\n"})
    monkeypatch.chdir(tmp_path)
    assert len(left(data(story, capsys, OLD))) == 2
    assert left(data(story, capsys, f"./{OLD}")) == [("E1", "vllm/only.py", 1)]


def test_a_folder_is_not_patched(story: Story, capsys: Captured) -> None:
    assert scan(story, str(story.tree), "--patched") == 2
    assert "leave out --patched" in capsys.readouterr().err


def test_what_a_new_tag_adds(story: Story, capsys: Captured) -> None:
    said = data(story, capsys, NEW, "--new-since", OLD)["new_since"]
    assert [(hit["hazard"], hit["path"]) for hit in said["new"]] == [("E4", "vllm/more.py")]
    assert [pair["new"]["path"] for pair in said["moved"]] == ["vllm/distributed/locks.py"]
    assert (said["gone"], said["same"]) == ([], 1)
    assert said["work"] == [
        {"path": "vllm/more.py", "patch": None, "examples": ["vllm/loops.py"], "places": 1}
    ]
    assert scan(story, NEW, "--new-since", OLD) == 1
    text = capsys.readouterr().out
    assert "met before by the patches of vllm/loops.py" in text
    assert text.splitlines()[-1].startswith(
        "1 new place in 1 file, 1 of them more than advice; 0 gone, 1 moved"
    )
    assert scan(story, OLD, "--new-since", OLD) == 0


def test_files_are_followed_and_generated_ones_with_their_generator(story: Story) -> None:
    doors = Doors(
        workspace=story.workspace, index=Index(story.workspace, offline=True, on_event=unheard), offline=True,
        tell=unheard,
    )  # fmt: skip
    old, new = (opened(Wanted(name=tag, root=story.root), doors) for tag in (OLD, NEW))
    with old as before, new as after:
        where = paths_since(before, after)
    assert where("vllm/locks.py") == "vllm/distributed/locks.py"
    assert where("vllm/loops.py") == "vllm/loops.py"
    assert where("generated/vllm/kernel.cu") == "generated/vllm/distributed/kernel.cu"
    assert where("generated/csrc/kernel.cu") == "generated/csrc/kernel.cu"


def test_two_folders_and_a_tag_are_compared(story: Story, capsys: Captured) -> None:
    write(story.tree, {"vllm/here.py": b"import fcntl\n"})
    said = data(story, capsys, str(story.tree), "--new-since", NEW)["new_since"]
    assert [hit["path"] for hit in said["new"]] == ["vllm/here.py"]
    assert scan(story, NEW, "--new-since", str(story.tree)) == 0


def test_patched_against_patched(story: Story, capsys: Captured) -> None:
    """A hazard that the old set met and the new one does not is new."""
    story.patch(NEW, {"vllm/more.py": GUARDED})
    story.rest()
    said = data(story, capsys, NEW, "--patched", "--new-since", OLD)["new_since"]
    assert [(hit["hazard"], hit["path"]) for hit in said["new"]] == [("E4", "vllm/loops.py")]
    assert said["work"][0]["patch"] == "vllm/loops.py"


def test_sarif_is_written_beside_the_table(story: Story, capsys: Captured, tmp_path: Path) -> None:
    file = tmp_path / "out" / "scan.sarif"
    assert scan(story, NEW, "--new-since", OLD, "--sarif", str(file)) == 1
    capsys.readouterr()
    (made,) = json.loads(file.read_bytes())["runs"]
    states = {
        (result["ruleId"], result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]): result[
            "baselineState"
        ]
        for result in made["results"]
    }
    assert states == {
        ("E1", "vllm/distributed/locks.py"): "updated", ("E4", "vllm/loops.py"): "unchanged",
        ("E4", "vllm/more.py"): "new",
    }  # fmt: skip


def test_a_file_that_cannot_be_parsed_is_told(story: Story, capsys: Captured) -> None:
    write(story.tree, {"vllm/broken.py": b"def (:\n"})
    assert scan(story, str(story.tree), "--summary") == 1
    assert "not followed by a parser, so that rules which need one saw nothing there: 1 file" in (
        capsys.readouterr().out
    )
    assert [one["path"] for one in data(story, capsys, str(story.tree))["blind"]] == ["vllm/broken.py"]


def test_a_hazard_is_explained(story: Story, capsys: Captured) -> None:
    assert scan(story, "--explain", "e4") == 0
    said = capsys.readouterr().out
    assert said.startswith("# E4: ")
    assert "No uvloop" in said
    assert data(story, capsys, "--explain", "E4", code=0)["id"] == "E4"
