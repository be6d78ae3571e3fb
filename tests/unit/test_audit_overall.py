"""The parts of an audit in one run: what is left out, what fails, what is said to be covered by nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from winvllm_build.audit.overall import NEVER_COVERED, Outcome, Part, Result, Setting, audit, shown
from winvllm_build.audit.parts import PARTS
from winvllm_build.audit.subject import Doors
from winvllm_build.cli import audit as command
from winvllm_build.cli.main import run
from winvllm_build.errors import CompileError, OfflineError, PatchError, ToolchainError
from winvllm_build.index import Index
from winvllm_build.workspace import Workspace

CLEAN = Outcome(result=Result.CLEAN, words="3 files")
FOUND = Outcome(
    result=Result.FOUND, words="4 files", findings=("a.py:1 wrong",), uncovered=("b.py: too odd",),
    fix="winvllm-build one",
)  # fmt: skip


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    workspace = Workspace(root=tmp_path)
    index = Index(workspace, offline=True, on_event=lambda _: None)
    doors = Doors(workspace=workspace, index=index, offline=True, tell=lambda _: None)
    return Setting(tag="v1.0.0", root=tmp_path, doors=doors)


def failing(error: Exception) -> Part:
    def look(setting: Setting) -> Outcome:
        del setting
        raise error

    return Part(name="fails", look=look, optional=not isinstance(error, PatchError))


def test_a_tool_or_download_that_lacks_leaves_out_its_part_alone(setting: Setting) -> None:
    errors = (ToolchainError("no nvcc\nhere", fix="install it"), OfflineError("no network"))
    for error in errors:
        made = audit(setting, [failing(error), Part(name="good", look=lambda _: CLEAN)])
        left_out, good = made.lines
        assert left_out.outcome == Outcome(
            result=Result.NOT_RUN, words=error.message.splitlines()[0], fix=error.fix or "",
            uncovered=tuple(error.message.splitlines()[1:]),
        )  # fmt: skip
        assert good.outcome == CLEAN
        assert (made.found, made.not_run) == ((), (left_out,))


def test_what_is_wrong_with_the_set_is_no_missing_tool(setting: Setting) -> None:
    with pytest.raises(PatchError):
        audit(setting, [failing(PatchError("damaged"))])


def test_a_slow_part_breaks_off_alone(setting: Setting) -> None:
    slow = Part(name="slow", look=failing(CompileError("no kernel", fix="see the log")).look, slow=True)
    made = audit(setting, [slow, Part(name="good", look=lambda _: CLEAN)], full=True)
    assert [line.outcome.result for line in made.lines] == [Result.FAILED, Result.CLEAN]
    assert made.failed[0].outcome.fix == "see the log"


def test_a_part_that_has_to_run_may_not_lack_its_tool(setting: Setting) -> None:
    needed = Part(name="needed", look=failing(ToolchainError("no git")).look)
    with pytest.raises(ToolchainError):
        audit(setting, [needed])


def test_slow_parts_are_run_only_when_all_is_asked_for(setting: Setting) -> None:
    slow = Part(name="slow", look=lambda _: FOUND, slow=True)
    told: list[str] = []
    assert [line.outcome.result for line in audit(setting, [slow], tell=told.append).lines] == [
        Result.NOT_RUN
    ]
    assert told == []
    assert audit(setting, [slow], full=True, tell=told.append).found[0].outcome == FOUND
    assert told == ["slow ..."]


def test_the_report_says_what_was_found_and_what_was_not_covered(
    setting: Setting, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [Part(name="one", look=lambda _: FOUND), failing(ToolchainError("no nvcc", fix="install it"))]
    made = audit(setting, parts)
    command.show(made)
    said = capsys.readouterr().out
    for words in (
        "one: winvllm-build one\n  a.py:1 wrong\n", "b.py: too odd", "no nvcc (install it)", *NEVER_COVERED,
        "v1.0.0: 2 parts, 1 part with findings, 1 not run, ",
    ):  # fmt: skip
        assert words in said
    found = json.loads(json.dumps(command.data(made)))
    assert [(part["name"], part["result"]) for part in found["parts"]] == [
        ("one", "found"), ("fails", "not run"),
    ]  # fmt: skip
    assert found["never_covered"] == list(NEVER_COVERED)


def test_many_findings_are_cut_with_their_number() -> None:
    assert shown(["a", "b"], 2) == ("a", "b")
    assert shown(["a", "b", "c", "d"], 2) == ("a", "b", "and 2 more")


def test_every_part_is_a_command_or_part_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert [part.name for part in PARTS] == [
        "scan", "guards", "device record", "scripts", "device", "frontend",
    ]  # fmt: skip
    run(["audit", "--help"])
    said = capsys.readouterr().out
    for name in ("guards", "device", "frontend", "scripts", "all"):
        assert f"  {name} " in said


def test_a_word_that_is_no_tag_is_a_command_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "guarsd"]) == 2
    assert "guards" in capsys.readouterr().err
    assert run(["audit", "v9.9.9"]) == 9
    assert "there is no patch set for v9.9.9" in capsys.readouterr().err
