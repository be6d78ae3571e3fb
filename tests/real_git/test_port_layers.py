"""Hand-offs of several layers, source trees and tags, and what does not fit a port under way."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.port_bench import OURS, bench, layered_story, patched, progress, standing, wish
from tests.port_cases import NEW, OLD, story_of
from tests.port_story import Story, contents, lines, users_git, write
from winvllm_build.errors import ConflictError, PatchError, TreeStateError, UsageError
from winvllm_build.patchset import patchset
from winvllm_build.patchset.record import Decision
from winvllm_build.port.decide import Side
from winvllm_build.port.driver import Choice
from winvllm_build.port.progress import Stand
from winvllm_build.port.state import Phase


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return story_of(Story.make(tmp_path_factory.mktemp("template") / "story"))


# layers, other source trees, several ports


@pytest.fixture
def layered(tmp_path: Path) -> Story:
    return layered_story(tmp_path / "layered")


def test_layer_after_layer(layered: Story) -> None:
    layered.begin(NEW)
    assert layered.handoff(NEW).layer == "windows"
    waiting = [e for e in layered.record(NEW).open if e.layer != "windows"]
    assert {e.evidence for e in waiting} == {("waits for the layer windows, on which it is made",)}
    with pytest.raises(UsageError, match="not in the worktree now"):
        wish(layered, "b.py")
    write(bench(layered), {"a.py": lines(40, l20="both")})
    second = layered.go_on(NEW)
    assert second.state is not None
    assert layered.handoff(NEW).layer == "fast"
    assert (bench(layered) / "a.py").read_bytes() == lines(40, l20="both", l35="fast")
    assert [patch.verdict.path for patch in progress(layered).patches] == ["b.py"]
    with pytest.raises(ConflictError):
        patchset.load(layered.root, NEW)
    write(bench(layered), {"b.py": lines(40, l20="both, fast")})
    third = layered.go_on(NEW)
    assert third.state is None
    made = patchset.load(layered.root, NEW)
    assert {(p.layer, p.path) for p in made.patches} == {
        ("windows", "a.py"), ("windows", "c.py"), ("fast", "a.py"), ("fast", "b.py"), ("extra", "c.py"),
    }  # fmt: skip
    assert layered.leftovers(NEW) == []
    assert [e.decision for e in layered.record(NEW).patches if e.decision is not Decision.CARRIED] == [
        Decision.RESOLVED, Decision.RESOLVED,
    ]  # fmt: skip


def test_abort_in_the_second_layer_takes_the_first_back_too(layered: Story) -> None:
    before = contents(layered.root)
    layered.begin(NEW)
    write(bench(layered), {"a.py": lines(40, l20="both")})
    layered.go_on(NEW)
    layered.abort(NEW)
    assert contents(layered.root) == before
    layered.begin(NEW)
    assert standing(layered, "a.py").stand is Stand.REMEMBERED


DEPENDENCY = """
[dependency.lib]
url = "https://example.invalid/lib"
revision = "v1"
commit = "{commit}"
variable = "LIB_SRC_DIR"
targets = ["_C"]
"""


def test_a_source_tree_the_new_release_lacks_is_decided_without_a_worktree(tmp_path: Path) -> None:
    story = Story.make(tmp_path / "story")
    story.release(OLD, {"a.py": lines(40)})
    commit = story.git.line("rev-parse", OLD)
    story.pin(OLD, commit, DEPENDENCY.format(commit=commit))
    story.patch(OLD, {"a.py": lines(40, l20="twenty")})
    story.patch(OLD, {"a.py": lines(40, l3="three")}, target="lib")
    story.rest()
    story.release(NEW, {"a.py": b"first\n" + lines(40)})
    made = story.begin(NEW)
    assert made.state is not None
    assert (made.state.handoff, made.state.stranded) == (None, ("lib",))
    assert story.go_on(NEW).state is not None
    with pytest.raises(UsageError, match=r"several|not in the worktree"):
        wish(story, "lib:a.py", side=Side.MERGE)
    wish(story, "lib:a.py", reason="the release has no such dependency")
    assert story.go_on(NEW).state is None
    found = {(e.target, e.decision, e.reason) for e in story.record(NEW).patches}
    assert found == {
        ("vllm", Decision.CARRIED, ""), ("lib", Decision.DROPPED, "the release has no such dependency"),
    }  # fmt: skip
    assert story.leftovers(NEW) == []


def test_ports_to_two_tags_do_not_meet(small: Story) -> None:
    small.git.out("read-tree", NEW)
    small.rest()
    small.release("v1.2.0", {"a.py": lines(40, l20="YY")})
    small.begin("v1.2.0", old=OLD)
    write(bench(small), {"a.py": OURS})
    small.go_on(NEW)
    assert standing(small, "a.py", "v1.2.0").stand is Stand.CONFLICT
    write(bench(small, "v1.2.0"), {"a.py": lines(40, l20="YY and twenty")})
    small.go_on("v1.2.0")
    assert (patched(small, "a.py"), patched(small, "a.py", "v1.2.0")) == (
        OURS,
        lines(40, l20="YY and twenty"),
    )


# what does not fit


def test_a_port_under_way_is_not_begun_twice(small: Story) -> None:
    for choice in (Choice(), Choice(replace=True)):
        with pytest.raises(UsageError, match="is under way") as caught:
            small.begin(NEW, choice)
        assert "--restart" in (caught.value.fix or "")


def test_an_old_set_that_changed_meanwhile_is_noticed(small: Story) -> None:
    write(bench(small), {"a.py": OURS})
    small.git.out("read-tree", OLD)
    small.git.out("update-ref", "HEAD", small.git.line("rev-parse", OLD))
    small.rest()
    small.patch(OLD, {"a.py": lines(40, l20="twenty"), "b.py": lines(40, l5="FIVE")})
    with pytest.raises(PatchError, match="others than when the port") as caught:
        small.go_on(NEW)
    assert "--restart" in (caught.value.fix or "")
    assert small.state(NEW).phase is Phase.OPEN


@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"schema": 99}', b'{"schema": 1, "root": 3}'])
def test_a_damaged_state_is_one_clear_message(small: Story, damage: bytes) -> None:
    file = small.repository / "winvllm" / f"port-{NEW}.json"
    assert json.loads(file.read_bytes())["phase"] == "open"
    file.write_bytes(damage)
    with pytest.raises(TreeStateError, match=r"port-v1\.1\.0\.json"):
        small.state(NEW)


def test_a_refused_write_leaves_the_port_open(small: Story) -> None:
    """A patch file of the new set that someone broke: nothing is written, and it can be repaired."""
    file = small.root / NEW / "windows" / "vllm" / "b.py.patch"
    whole = file.read_bytes()
    file.write_bytes(b"no patch\n")
    before = small.set_bytes(NEW)
    write(bench(small), {"a.py": OURS})
    with pytest.raises(PatchError, match=r"b\.py\.patch"):
        small.go_on(NEW)
    assert small.set_bytes(NEW) == before
    file.write_bytes(whole)
    assert small.go_on(NEW).state is None


def test_a_thorough_gc_loses_nothing(layered: Story) -> None:
    """Neither what a port under way is made of, nor resolutions, however old."""
    layered.begin(NEW)
    write(bench(layered), {"a.py": lines(40, l20="both")})
    layered.go_on(NEW)
    for file in (layered.repository / "rr-cache").rglob("*image"):
        os.utime(file, (0, 0))
    users_git(layered.repository, "gc", "--quiet", "--prune=now")
    write(bench(layered), {"b.py": lines(40, l20="both, fast")})
    assert progress(layered).undecided == ()
    layered.abort(NEW)
    layered.begin(NEW)
    assert standing(layered, "a.py").stand is Stand.REMEMBERED
    layered.go_on(NEW)
    assert standing(layered, "b.py").stand is Stand.REMEMBERED
    assert layered.go_on(NEW).state is None
    assert len(patchset.load(layered.root, NEW).patches) == 5
