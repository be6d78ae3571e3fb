"""A patch that the older set got after the port, and the record of the newer set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.port_cases import NEW, OLD
from tests.port_story import Story, lines, path
from winvllm_build.cli.main import run
from winvllm_build.errors import ConflictError, UsageError
from winvllm_build.patchset.record import Decision
from winvllm_build.port.account import account
from winvllm_build.review.lint import lint
from winvllm_build.review.rules import Rule

FIRST = {"b.py": lines(40, l5="five")}
LATER = {"c.py": lines(9, l2="two")}


@pytest.fixture
def story(tmp_path: Path) -> Story:
    """Ported, and then the older set got a second patch."""
    made = Story.make(tmp_path / "story")
    made.release(OLD, {"b.py": lines(40), "c.py": lines(9)})
    made.patch(OLD, FIRST)
    made.rest()
    made.release(NEW, {"b.py": b"first\n" + lines(40), "d.py": b"d\n"})
    assert made.begin(NEW).state is None
    edited(made, OLD, {**FIRST, **LATER})
    return made


def edited(story: Story, tag: str, edits: dict[str, bytes]) -> None:
    """A set made anew on the release itself."""
    story.git.out("checkout", "-q", "-f", "--detach", f"refs/tags/{tag}")
    story.patch(tag, edits)
    story.rest()


def unaccounted(story: Story) -> list[str]:
    return [f.message for f in lint(story.root, NEW).findings if f.rule is Rule.UNACCOUNTED]


def test_without_a_patch_or_a_reason_nothing_is_written(story: Story) -> None:
    assert unaccounted(story) == [f"c.py of {OLD} (windows) is not in it"]
    before = story.set_bytes(NEW)
    with pytest.raises(ConflictError, match=r"c\.py \(windows\): identical") as caught:
        account(story.root, NEW, story.doors())
    fix = str(caught.value.fix)
    assert "winvllm-build import" in fix
    assert "--account --reason WHY" in fix
    assert story.set_bytes(NEW) == before


def test_a_patch_that_somebody_wrote_is_resolved(story: Story) -> None:
    edited(story, NEW, {"b.py": b"first\n" + FIRST["b.py"], **LATER})
    made = account(story.root, NEW, story.doors())
    assert [entry.path for entry in made.entered] == ["c.py"]
    assert story.decisions(NEW) == {"b.py": Decision.CARRIED, "c.py": Decision.RESOLVED}
    assert story.entry(NEW, "c.py").to == path("c.py")
    assert unaccounted(story) == []
    assert account(story.root, NEW, story.doors()).entered == ()


def test_one_that_is_given_up_has_its_reason(story: Story, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--account", "--offline", "--patches", str(story.root), "--json"]
    story.workspace.root.rename(Path.home() / "there")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("WINVLLM_BUILD_HOME", str(Path.home() / "there"))
        assert run(["port", NEW, "c.py", *options, "--reason", "not needed"]) == 0
    assert json.loads(capsys.readouterr().out)["entered"] == ["c.py"]
    assert story.entry(NEW, "c.py").decision is Decision.DROPPED
    assert story.entry(NEW, "c.py").reason == "not needed"
    assert unaccounted(story) == []


def test_other_paths_and_sets_that_were_not_ported_are_refused(story: Story) -> None:
    with pytest.raises(UsageError, match=r"b\.py is no patch of"):
        account(story.root, NEW, story.doors(), ["b.py"])
    with pytest.raises(UsageError, match="was not ported"):
        account(story.root, OLD, story.doors())
