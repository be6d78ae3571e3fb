"""`winvllm-build port` from the command line: what is said, as text and as data, and exit codes."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.port_bench import OURS, bench, patched, small_story
from tests.port_cases import NEW, OLD, story_of
from tests.port_story import Story, contents, lines, users_git, write
from winvllm_build.cli.main import run

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return small_story(tmp_path_factory.mktemp("template") / "story")


@pytest.fixture
def story(template: Story, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Story:
    made = template.copied(tmp_path / "story")
    monkeypatch.setenv("WINVLLM_BUILD_HOME", str(made.workspace.root))
    return made


def port(story: Story, *words: str) -> int:
    return run(["port", *words, "--patches", str(story.root), "--offline"])


def data(captured: Captured) -> Any:  # noqa: ANN401 - whatever JSON holds
    return json.loads(captured.readouterr().out)


def commands(text: str) -> list[list[str]]:
    """Every command that a message names, as words."""
    named = [line.partition("winvllm-build ")[2] for line in text.splitlines() if "winvllm-build " in line]
    return [shlex.split(words.partition("  ")[0]) for words in named]


def test_a_whole_port_in_words(story: Story, capsys: Captured) -> None:
    assert port(story, NEW) == 3
    said = capsys.readouterr().out
    assert f"{OLD} -> {NEW}: 2 patches, 1 carried, 1 open" in said
    assert "     1  offset" in said
    assert "  in conflict  a.py\n                 contents\n" in said
    assert f"{story.root / NEW}: 2 written" in said
    assert "0 of 1 open patches decided" in said
    assert "conflict lines at a.py:21, 23, 27" in said
    assert str(bench(story)) in said
    write(bench(story), {"a.py": OURS})
    assert port(story, NEW, "--status") == 0
    assert "resolved  a.py" in capsys.readouterr().out
    assert port(story, NEW, "--continue") == 0
    assert "2 patches, 1 carried, 1 resolved" in capsys.readouterr().out
    assert patched(story, "a.py") == OURS
    assert port(story, NEW, "--status") == 0
    assert "conflict, resolved  a.py" in capsys.readouterr().out


def test_the_named_commands_work_as_they_are(story: Story, capsys: Captured) -> None:
    """Each command of the next steps is one that can be copied and run."""
    port(story, NEW)
    said = capsys.readouterr().out
    named = [words for words in commands(said) if "PATH" not in words]
    assert [words[2] for words in named] == ["--continue", "--abort"]
    assert all(words[3:] == ["--patches", str(story.root)] for words in named)
    write(bench(story), {"a.py": OURS})
    assert run(named[0]) == 0


def test_data(story: Story, capsys: Captured) -> None:
    assert port(story, NEW, "--json") == 3
    said = data(capsys)
    assert (said["from"], said["to"]) == (OLD, NEW)
    assert said["counts"] == {"conflict": 1, "offset": 1}
    assert said["decisions"] == {"carried": 1, "open": 1}
    assert {entry["path"]: entry["decision"] for entry in said["patches"]} == {
        "a.py": "open", "b.py": "carried",
    }  # fmt: skip
    under_way = said["under_way"]
    assert Path(under_way["worktree"]) == bench(story)
    assert (under_way["target"], under_way["layer"], under_way["undecided"]) == ("vllm", "windows", 1)
    assert under_way["patches"][0]["markers"] == [{"path": "a.py", "line": n} for n in (21, 23, 27)]
    write(bench(story), {"a.py": OURS})
    assert port(story, NEW, "--status", "--json") == 0
    assert data(capsys)["under_way"]["patches"][0]["stand"] == "resolved"
    assert port(story, NEW, "--continue", "--json") == 0
    said = data(capsys)
    assert said["under_way"] is None
    assert said["decisions"] == {"carried": 1, "resolved": 1}
    assert [Path(name).name for name in said["written"]] == ["a.py.patch", "ported.json"]


def test_an_error_as_data_names_the_class(story: Story, capsys: Captured) -> None:
    port(story, NEW)
    capsys.readouterr()
    assert port(story, NEW, "--continue", "--json") == 3
    said = data(capsys)["error"]
    assert said["class"] == "ConflictError"
    assert "a.py:21" in said["message"]
    assert "--status" in said["fix"]


def test_looking_writes_nothing(story: Story, capsys: Captured) -> None:
    before = contents(story.root)
    assert port(story, NEW, "--dry-run") == 3
    assert "nothing was written" in capsys.readouterr().out
    assert port(story, NEW, "--dry-run", "--json") == 3
    assert data(capsys)["counts"] == {"conflict": 1, "offset": 1}
    assert contents(story.root) == before
    assert story.leftovers(NEW) == []


def test_every_patch_is_listed_when_asked(story: Story, capsys: Captured) -> None:
    port(story, NEW, "--dry-run")
    assert "b.py" not in capsys.readouterr().out
    port(story, NEW, "--dry-run", "--verbose")
    assert "b.py\n" in capsys.readouterr().out


def test_skip_accept_abort_restart(story: Story, capsys: Captured) -> None:
    before = contents(story.root)
    port(story, NEW)
    capsys.readouterr()
    assert port(story, NEW, "--accept", "a.py") == 2
    assert "has no merge to accept" in capsys.readouterr().err
    assert port(story, NEW, "--skip", "a.py", "--reason", "not now") == 0
    assert "skipped  a.py" in capsys.readouterr().out
    assert port(story, NEW, "--restart") == 3
    assert "in conflict" in capsys.readouterr().out
    write(bench(story), {"a.py": OURS})
    assert port(story, NEW, "--restart") == 3
    said = capsys.readouterr()
    assert "resolved as before  a.py" in said.out
    assert "are kept as refs/winvllm/saved/" in said.err
    assert port(story, NEW, "--abort") == 0
    assert "is as it was before" in capsys.readouterr().out
    assert contents(story.root) == before
    assert port(story, NEW, "--abort") == 2
    assert "no port to v1.1.0 is under way" in capsys.readouterr().err


def test_the_hint_to_forget_works(story: Story, capsys: Captured) -> None:
    port(story, NEW)
    write(bench(story), {"a.py": OURS})
    port(story, NEW, "--restart")
    capsys.readouterr()
    port(story, NEW, "--status")
    hints = [line for line in capsys.readouterr().out.splitlines() if ": git -C" in line]
    assert len(hints) == 2
    for hint in hints:
        words = shlex.split(hint.partition(": ")[2])
        users_git(Path(words[2]), *words[3:])
    assert port(story, NEW, "--status") == 3
    assert "conflict lines at a.py" in capsys.readouterr().out


def test_other_commands_wait_for_the_port(story: Story, capsys: Captured) -> None:
    port(story, NEW)
    capsys.readouterr()
    assert run(["apply", NEW, "--patches", str(story.root), "--tree", str(story.tree)]) == 3
    said = capsys.readouterr().err
    assert "is not finished; these patches are open:\n  a.py" in said
    assert commands(said)[0][:3] == ["port", NEW, "--status"]


def test_an_open_port_elsewhere(
    story: Story, capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The set came by version control, the worktree did not: --restart makes one."""
    port(story, NEW)
    copy = story.copied(tmp_path / "elsewhere")
    (copy.repository / "winvllm" / f"port-{NEW}.json").unlink()
    for folder in (copy.workspace.trees, copy.repository / "worktrees"):
        shutil.rmtree(folder)
    monkeypatch.setenv("WINVLLM_BUILD_HOME", str(copy.workspace.root))
    capsys.readouterr()
    assert port(copy, NEW, "--status") == 3
    said = capsys.readouterr().out
    assert "there is no worktree for what is open" in said
    assert port(copy, NEW) == 2
    assert "--restart" in capsys.readouterr().err
    assert port(copy, NEW, "--restart") == 3
    assert "kept as refs/winvllm/saved/" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((NEW, "--abort", "--continue"), "--continue and --abort contradict each other"),
        ((NEW, "--status", "--skip", "a.py"), "--status and --skip or --accept contradict"),
        ((NEW, "--continue", "--from", OLD), "--from has no meaning together with --continue"),
        ((NEW, "--status", "--dry-run"), "--dry-run has no meaning together with --status"),
        ((NEW, "--reason", "why"), "--reason has no meaning"),
        ((NEW, "--html", "x.html"), "--html has no meaning"),
        ((NEW, "--history", "."), "--history has no meaning"),
        ((NEW, "a.py"), "only --explain and --account take paths"),
        ((), "no tag to port to is named"),
        ((NEW, "--from", NEW), "cannot be ported to itself"),
        ((NEW, "--from", "v9.9.9"), "there is no patch set for v9.9.9"),
        ((NEW, "--resolver", "mergirof"), 'did you mean "mergiraf"'),
    ],
)
def test_what_makes_no_sense(story: Story, capsys: Captured, words: tuple[str, ...], message: str) -> None:
    assert port(story, *words) in (2, 9)
    said = capsys.readouterr().err
    assert message in said
    assert said.count("error: ") == 1
    assert "fix: " in said
    assert story.leftovers(NEW) == []


def test_no_tag_that_was_never_released(story: Story, capsys: Captured) -> None:
    assert port(story, "v1.9.0") != 0
    assert "error: " in capsys.readouterr().err
    assert not (story.root / "v1.9.0").exists()
    assert port(story, "main", "--dry-run") == 2
    assert "is not the tag of a release" in capsys.readouterr().err


# a program that proposes resolutions

PROGRAM = """#!{python}
import re, shutil, sys
command, file = sys.argv[1:]
assert command == "solve"
text = open(file, newline="").read()
conflict = re.compile(r"<<<<<<<[^\\n]*\\n(.*?)[|]{{7}}[^\\n]*\\n(.*?)=======\\n(.*?)>>>>>>>[^\\n]*\\n", re.S)
assert all(match[2] for match in conflict.finditer(text)), "the base is needed"
shutil.copy(file, file + ".orig")
open(file, "w", newline="").write({answer})
"""
SOLVED = r'conflict.sub(lambda m: m[1].rstrip("\n") + " and " + m[3], text)'


@pytest.fixture
def mergiraf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of that name that keeps to the documented command line: it overwrites its file."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "mergiraf"
    program.write_text(PROGRAM.format(python=sys.executable, answer=SOLVED))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    return program


@pytest.mark.skipif(os.name == "nt", reason="the program is a script")
def test_a_proposal_is_shown_and_taken_only_when_asked(
    story: Story, capsys: Captured, mergiraf: Path
) -> None:
    assert mergiraf.is_file()
    port(story, NEW, "--resolver", "mergiraf")
    said = capsys.readouterr().out
    assert b"<<<<<<<" in (bench(story) / "a.py").read_bytes()
    proposal = story.handoff(NEW).proposals / "a.py"
    assert proposal.read_bytes() == lines(40, l20="XX and twenty")
    shown = next(line for line in said.splitlines() if "proposed: " in line).partition(": ")[2]
    words = shlex.split(shown)
    assert "+XX and twenty" in users_git(Path(words[2]), *words[3:], ok=(1,)).text
    assert words[-1] == str(proposal)
    assert port(story, NEW, "--continue") == 3
    capsys.readouterr()
    assert port(story, NEW, "--accept", "a.py") == 0
    assert port(story, NEW, "--continue") == 0
    assert patched(story, "a.py") == lines(40, l20="XX and twenty")
    assert story.entry(NEW, "a.py").evidence[-1] == "accepted as mergiraf has it"
    assert story.leftovers(NEW) == []


@pytest.mark.skipif(os.name == "nt", reason="the program is a script")
@pytest.mark.parametrize("answer", ["text", "sys.exit(1)"])
def test_a_program_without_an_answer(story: Story, capsys: Captured, mergiraf: Path, answer: str) -> None:
    mergiraf.write_text(PROGRAM.format(python=sys.executable, answer=answer))
    assert port(story, NEW, "--resolver", "mergiraf") == 3
    said = capsys.readouterr()
    assert "mergiraf has no answer for a.py" in said.err
    assert "proposed" not in said.out


def test_a_program_that_is_not_there(story: Story, capsys: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(story.root)
    monkeypatch.setenv("PATH", str(Path(users_git(story.tree, "--exec-path").text.strip())))
    assert port(story, NEW, "--resolver", "mergiraf") == 4
    assert "mergiraf is not on PATH" in capsys.readouterr().err
    assert contents(story.root) == before


# what git has no question about


def test_two_results_are_shown_with_the_command_that_compares_them(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = story_of(Story.make(tmp_path / "story"))
    monkeypatch.setenv("WINVLLM_BUILD_HOME", str(story.workspace.root))
    port(story, NEW)
    capsys.readouterr()
    port(story, NEW, "--status")
    said = capsys.readouterr().out
    command = next(line for line in said.splitlines() if "the other result: " in line).partition(": ")[2]
    words = shlex.split(command)
    shown = users_git(Path(words[2]), *words[3:]).text
    assert "-    mid();" in shown
    assert "+    mid();" in shown
    assert port(story, NEW, "--accept-strict", "twice.cu", "--accept", "lostname.py") == 3
    said = capsys.readouterr().out
    assert said.count("accepted") == 2
