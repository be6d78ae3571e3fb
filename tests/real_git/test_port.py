"""A port, one patch of every fate: verdicts, what is written, and that no patch gets lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.port_cases import CASES, NEW, OLD, story_of
from tests.port_story import Story, contents, lines, path
from winvllm_build.errors import ConflictError, PatchError, UsageError
from winvllm_build.patchset import patchset, tree
from winvllm_build.patchset.apply import apply
from winvllm_build.patchset.lock import Lock
from winvllm_build.patchset.record import Decision
from winvllm_build.patchset.worktree import scratch_of
from winvllm_build.port.driver import Choice
from winvllm_build.port.port import preview
from winvllm_build.port.verdict import Kind
from winvllm_build.sources.source import worktree

OPEN = {name for name, case in CASES.items() if case.kind in {"conflict", "deleted", "ambiguous"}}
CARRIED = {name for name, case in CASES.items() if case.kind != "upstreamed"} - OPEN


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return story_of(Story.make(tmp_path_factory.mktemp("template") / "story"))


@pytest.fixture
def story(template: Story, tmp_path: Path) -> Story:
    return template.copied(tmp_path / "story")


def place(name: str) -> str:
    """Where a patch is in the new set."""
    to = CASES[name].to
    return name if to is None else to


def test_the_cases_have_every_verdict() -> None:
    assert {case.kind for case in CASES.values()} == {kind.value for kind in Kind}


def test_each_patch_gets_its_verdict(story: Story) -> None:
    made = story.begin(NEW).record
    assert {entry.path: entry.verdict for entry in made.patches} == {n: c.kind for n, c in CASES.items()}
    assert {entry.path: entry.to or "" for entry in made.patches} == {name: place(name) for name in CASES}
    assert {entry.path for entry in made.open} == OPEN
    assert all(entry.evidence for entry in made.patches)


def test_looking_first_says_the_same_and_writes_nothing(story: Story) -> None:
    before = contents(story.top)
    seen = preview(story.job(NEW)).record
    assert contents(story.root) == {
        name.removeprefix("patches/"): text for name, text in before.items() if name.startswith("patches/")
    }
    assert seen.serialise() == story.begin(NEW).record.serialise()


def test_every_old_patch_has_an_entry_and_none_two(story: Story) -> None:
    story.begin(NEW)
    old = {(p.target, p.layer, p.path) for p in patchset.load(story.root, OLD).patches}
    entries = [entry.key for entry in story.record(NEW).patches]
    assert set(entries) == old
    assert len(entries) == len(old) == len(CASES)


def test_the_clean_ones_are_written_with_their_headers(story: Story) -> None:
    story.begin(NEW)
    made = patchset.load(story.root, NEW, allow_open=True)
    before = {patch.path: patch.content.header for patch in patchset.load(story.root, OLD).patches}
    assert {patch.path for patch in made.patches} == {place(name) for name in CARRIED}
    for name in CARRIED:
        patch = next(patch for patch in made.patches if patch.path == place(name))
        assert patch.content.header == before[path(name)]


def test_what_they_make_of_the_new_release(story: Story) -> None:
    """Applied by the tool's own `git apply`, not read back from the merge."""
    job = story.job(NEW)
    story.begin(NEW)
    made = patchset.load(story.root, NEW, allow_open=True)
    with scratch_of(story.repository / "objects") as git:
        patched = tree.compute(git, job.new_source.tree, [p.content.diff for p in made.patches], fix="")
        there = git.entries(patched)
        wanted = {place(name): case.result for name, case in CASES.items() if case.result is not None}
        blobs = {name: git.out("cat-file", "blob", there[path(name)].oid) for name in wanted}
        modes = git.entries(patched, (path("tool.sh"),))
    assert blobs == wanted
    assert [entry.mode for entry in modes.values()] == ["100755"]
    assert patched == made.lock.targets["vllm"].trees["git"].patched
    assert path("deleted.py") not in there


def test_an_unfinished_set_is_not_taken_for_a_whole_one(story: Story) -> None:
    story.begin(NEW)
    with pytest.raises(ConflictError, match="these patches are open") as caught:
        patchset.load(story.root, NEW)
    assert caught.value.fix is not None
    assert f"port {NEW} --status" in caught.value.fix
    assert all(name in caught.value.message for name in OPEN)
    with pytest.raises(ConflictError):
        story.job("v1.0.0", NEW)


def test_the_whole_port_under_a_hostile_configuration(story: Story, hostile_git: Path) -> None:
    """The same bytes, the same hand-off, whatever the maintainer's git is set to."""
    assert hostile_git.is_file()
    made = story.begin(NEW)
    assert {entry.path: entry.verdict for entry in made.record.patches} == {
        name: case.kind for name, case in CASES.items()
    }
    assert made.state is not None
    hostile = story.set_bytes(NEW)
    laid = story.handoff(NEW).laid
    story.abort(NEW)
    hostile_git.write_text("")
    story.begin(NEW)
    assert story.set_bytes(NEW) == hostile
    assert story.handoff(NEW).laid == laid


def test_a_clean_port_leaves_nothing_but_the_set(tmp_path: Path) -> None:
    story = Story.make(tmp_path / "story")
    story.release(OLD, {"a.py": lines(30)})
    story.patch(OLD, {"a.py": lines(30, l5="five")})
    story.rest()
    story.release(NEW, {"a.py": lines(30, l20="twenty")})
    made = story.begin(NEW)
    assert made.state is None
    assert story.leftovers(NEW) == []
    assert patchset.load(story.root, NEW).patches
    source = story.job(NEW, OLD).new_source
    folder = worktree(source, tmp_path / "tree")
    apply(patchset.load(story.root, NEW), folder, on_event=story.told.append)
    assert (folder / "a.py").read_bytes() == lines(30, l5="five", l20="twenty")


def test_to_the_same_source_everything_is_identical(story: Story) -> None:
    commit = story.git.line("rev-parse", OLD)
    story.git.out("update-ref", "refs/tags/v1.0.1", commit)
    story.pin("v1.0.1", commit)
    made = story.begin("v1.0.1", old=OLD)
    assert {entry.verdict for entry in made.record.patches} == {"identical", "new file"}
    assert made.state is None
    old, new = story.set_bytes(OLD), story.set_bytes("v1.0.1")
    patches = {name for name in old if name.endswith(".patch")}
    assert {name: new[name] for name in patches} == {name: old[name] for name in patches}
    assert Lock(targets=patchset.load(story.root, "v1.0.1").lock.targets).serialise() == old["patchset.lock"]


def test_there_and_back_gives_the_original_bytes(story: Story) -> None:
    story.begin(NEW)
    for name in OPEN:  # the clean part alone is a set, too
        assert story.decisions(NEW)[name] is Decision.OPEN
    (story.root / NEW / "ported.json").unlink()
    before = story.set_bytes(OLD)
    (story.root / OLD / "patchset.lock").unlink()
    for file in (story.root / OLD).rglob("*.patch"):
        file.unlink()
    back = story.begin(OLD, old=NEW).record
    again = story.set_bytes(OLD)
    kinds: dict[str, str] = {entry.to or "": entry.verdict for entry in back.patches}
    ways = {"identical", "offset", "context", "moved", "new file"}
    steady = [name for name in CARRIED if CASES[name].kind in ways and kinds[name] in ways]
    assert len(steady) >= 10
    for name in steady:
        assert again[f"windows/vllm/{name}.patch"] == before[f"windows/vllm/{name}.patch"]


def test_present_patches_are_not_overwritten(story: Story) -> None:
    story.patch(NEW, {"same.py": lines(20, l9="mine")})
    story.rest()
    with pytest.raises(UsageError, match="has patches already") as caught:
        story.begin(NEW)
    assert caught.value.fix is not None
    assert "--replace" in caught.value.fix
    before = story.set_bytes(NEW)
    story.begin(NEW, Choice(replace=True))
    assert before in story.saved().values()
    assert any("refs/winvllm/saved" in words for words in story.told)
    story.abort(NEW)
    assert story.set_bytes(NEW) == before


def test_a_damaged_old_set_stops_it_before_anything_is_written(story: Story) -> None:
    file = story.root / OLD / "windows" / "vllm" / "same.py.patch"
    file.write_bytes(file.read_bytes().replace(b"+four", b"+five"))
    before = story.set_bytes(NEW)
    with pytest.raises(PatchError):
        story.begin(NEW)
    assert story.set_bytes(NEW) == before
    assert story.leftovers(NEW) == []
