"""A hand-off over time: the maintainer's own git, begun anew, release after release."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.port_bench import OURS, bench, patched, progress, standing, wish
from tests.port_cases import CASES, NEW, OLD, story_of
from tests.port_story import Story, contents, lines, users_git, write
from winvllm_build.errors import ConflictError, TreeStateError
from winvllm_build.git import Git
from winvllm_build.patchset.record import Decision
from winvllm_build.port.driver import Choice
from winvllm_build.port.progress import Stand, look


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return story_of(Story.make(tmp_path_factory.mktemp("template") / "story"))


# the maintainer's own git


def test_plain_git_knows_what_is_going_on(small: Story, hostile_git: Path) -> None:
    """Whatever is configured, in the worktree these settings hold; nothing of it is in other worktrees."""
    assert hostile_git.is_file()
    tree = bench(small)
    said = users_git(tree, "status").text
    assert "You are currently cherry-picking commit" in said
    assert "both modified:   a.py" in said
    settings = {
        "merge.conflictstyle": "zdiff3", "rerere.enabled": "true", "core.autocrlf": "false",
        "commit.gpgsign": "false", "mergetool.keepbackup": "false",
    }  # fmt: skip
    for key, value in settings.items():
        assert users_git(tree, "config", "--get", key).text.strip() == value
    other = small.top / "other"
    Git(small.repository).run("worktree", "add", "-q", "--detach", str(other), small.handoff(NEW).onto)
    assert users_git(other, "config", "--get", "merge.conflictstyle").text.strip() == "diff3"
    write(tree, {"a.py": OURS})
    users_git(tree, "-c", "core.fsmonitor=false", "add", "a.py")
    assert users_git(tree, "show", ":a.py").out == OURS
    small.go_on(NEW)
    assert patched(small, "a.py") == OURS


def test_conflicts_can_be_had_again_with_plain_git(small: Story) -> None:
    tree = bench(small)
    asked = (tree / "a.py").read_bytes()
    write(tree, {"a.py": b"a mess\n"})
    users_git(tree, "checkout", "--merge", "a.py")
    again = (tree / "a.py").read_bytes()
    assert again.count(b"|||||||") == asked.count(b"|||||||") == 1


def test_a_mergetool_works_there(small: Story) -> None:
    tree = bench(small)
    tool = small.top / "tool.sh"
    tool.write_text('#!/bin/sh\ncat "$1" "$2" "$3" >/dev/null && sed -e s/XX/both/ "$2" >"$4"\n')
    tool.chmod(0o755)
    command = f'sh "{tool}" "$BASE" "$LOCAL" "$REMOTE" "$MERGED"'
    options = ("-c", f"mergetool.mine.cmd={command}", "-c", "mergetool.mine.trustExitCode=true")
    users_git(tree, *options, "mergetool", "--no-prompt", "--tool=mine")
    assert progress(small).untracked == ()
    small.go_on(NEW)
    assert patched(small, "a.py") == lines(40, l20="both")


def test_someone_commits_the_pick(small: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an identity of theirs; the result is the same."""
    for role in ("AUTHOR", "COMMITTER"):
        for part in ("NAME", "EMAIL"):
            monkeypatch.delenv(f"GIT_{role}_{part}")
    tree = bench(small)
    write(tree, {"a.py": OURS})
    users_git(tree, "add", "a.py")
    users_git(tree, "-c", "core.editor=true", "cherry-pick", "--continue")
    assert progress(small).undecided == ()
    small.go_on(NEW)
    assert patched(small, "a.py") == OURS


def test_someone_aborts_the_pick(small: Story) -> None:
    users_git(bench(small), "cherry-pick", "--abort")
    with pytest.raises(ConflictError, match="gone from") as caught:
        small.go_on(NEW)
    assert "--restart" in (caught.value.fix or "")


def test_someone_checks_out_something_else(small: Story) -> None:
    write(bench(small), {"a.py": OURS})
    base = Git(small.repository).line("rev-parse", f"{small.handoff(NEW).onto}^")
    users_git(bench(small), "reset", "-q", "--hard", base)
    with pytest.raises(TreeStateError, match="another commit"):
        small.go_on(NEW)


def test_someone_deletes_the_worktree(small: Story) -> None:
    shutil.rmtree(bench(small))
    with pytest.raises(TreeStateError, match="is not a folder"):
        look(small.state(NEW))
    before = small.state(NEW).before
    assert before is not None
    small.abort(NEW)
    assert list(small.set_bytes(NEW)) == ["patchset.toml"]
    assert small.leftovers(NEW) == []


# taken back, begun anew, remembered


def test_abort_leaves_every_byte_as_before(unbegun: Story) -> None:
    write(unbegun.root / NEW, {"notes/mine.txt": b"kept\n", "hazards.toml": b"# mine\r\n"})
    before = contents(unbegun.root)
    unbegun.begin(NEW)
    tree = bench(unbegun)
    write(tree, {"a.py": b"half an edit\n", "new.py": b"untracked\n"})
    file = unbegun.root / NEW / "windows" / "vllm" / "b.py.patch"
    file.write_bytes(file.read_bytes().replace(b"Change b.py", b"Edited"))
    unbegun.abort(NEW)
    assert contents(unbegun.root) == before
    assert unbegun.leftovers(NEW) == []
    kept = unbegun.saved().values()
    assert any(one.get("a.py") == b"half an edit\n" and one.get("new.py") == b"untracked\n" for one in kept)
    assert any(b"Subject: Edited" in one.get("windows/vllm/b.py.patch", b"") for one in kept)


def test_abort_of_an_untouched_port_keeps_nothing(small: Story) -> None:
    small.abort(NEW)
    assert small.saved() == {}


def test_restart_brings_back_what_was_resolved(small: Story) -> None:
    write(bench(small), {"a.py": OURS})
    small.abort(NEW)
    small.begin(NEW)
    found = standing(small, "a.py")
    assert found.stand is Stand.REMEMBERED
    assert (bench(small) / "a.py").read_bytes() == OURS
    assert users_git(bench(small), "ls-files", "--unmerged").text == ""
    small.go_on(NEW)
    assert patched(small, "a.py") == OURS
    assert small.entry(NEW, "a.py").evidence[-1] == "resolved as an earlier time"


def test_what_is_remembered_can_be_forgotten(small: Story) -> None:
    write(bench(small), {"a.py": OURS})
    small.abort(NEW)
    small.begin(NEW)
    tree = bench(small)
    users_git(tree, "checkout", "--merge", "a.py")
    users_git(tree, "rerere", "forget", "a.py")
    assert standing(small, "a.py").stand is Stand.CONFLICT
    write(tree, {"a.py": lines(40, l20="otherwise")})
    small.go_on(NEW)
    assert patched(small, "a.py") == lines(40, l20="otherwise")
    small.git.out("read-tree", NEW)
    small.rest()
    small.release("v1.1.1", {"c.py": lines(9, l1="one")})
    small.begin("v1.1.1", old=OLD)
    assert (bench(small, "v1.1.1") / "a.py").read_bytes() == lines(40, l20="otherwise")


def test_one_conflict_is_solved_once_for_rc1_rc2_and_the_release(tmp_path: Path) -> None:
    story = Story.make(tmp_path / "story")
    story.release("v1.0.0", {"a.py": lines(60), "b.py": lines(20)})
    story.patch("v1.0.0", {"a.py": lines(60, l20="twenty")})
    story.rest()
    story.release("v1.1.0rc1", {"a.py": lines(60, l20="XX")})
    story.begin("v1.1.0rc1")
    write(bench(story, "v1.1.0rc1"), {"a.py": lines(60, l20="both")})
    story.go_on("v1.1.0rc1")
    for number, tag in enumerate(("v1.1.0rc2", "v1.1.0")):
        story.rest()
        upstream = b"new\n" * (number + 1) + lines(60, l20="XX", l50=f"fifty {number}")
        story.release(tag, {"a.py": upstream})
        story.begin(tag, old="v1.0.0")
        assert standing(story, "a.py", tag).stand is Stand.REMEMBERED
        story.go_on(tag)
        assert patched(story, "a.py", tag) == upstream.replace(b"XX", b"both")
        story.rest()


def test_from_one_candidate_to_the_next_nothing_is_asked(tmp_path: Path) -> None:
    """The newest older set is the last candidate's, in which it is resolved already."""
    story = Story.make(tmp_path / "story")
    story.release("v1.0.0", {"a.py": lines(60)})
    story.patch("v1.0.0", {"a.py": lines(60, l20="twenty")})
    story.rest()
    story.release("v1.1.0rc1", {"a.py": lines(60, l20="XX")})
    story.begin("v1.1.0rc1")
    write(bench(story, "v1.1.0rc1"), {"a.py": lines(60, l20="both")})
    story.go_on("v1.1.0rc1")
    story.rest()
    story.release("v1.1.0", {"a.py": b"new\n" + lines(60, l20="XX")})
    made = story.begin("v1.1.0")
    assert (made.record.old, made.state) == ("v1.1.0rc1", None)


def test_conflicts_with_one_answer_can_be_left_to_the_human(template: Story, tmp_path: Path) -> None:
    story = template.copied(tmp_path / "story")
    story.begin(NEW, Choice(resolve=False))
    assert standing(story, "imports.py").stand is Stand.CONFLICT
    assert story.state(NEW).resolve is False
    story.abort(NEW)
    story.begin(NEW)
    assert "imports.py" not in {patch.verdict.path for patch in progress(story).patches}
    assert (bench(story) / "imports.py").read_bytes() == CASES["imports.py"].result


def test_a_patch_given_up_is_asked_about_again(small: Story) -> None:
    """To drop a patch is no resolution that the next release should inherit."""
    wish(small, "a.py", reason="not now")
    small.abort(NEW)
    small.begin(NEW)
    assert standing(small, "a.py").stand is Stand.CONFLICT
    users_git(bench(small), "checkout", "--ours", "a.py")  # by hand it is one, but it leaves no patch
    small.abort(NEW)
    small.begin(NEW)
    found = standing(small, "a.py")
    assert (found.stand, found.unmerged) == (Stand.LOOK, ())
    with pytest.raises(ConflictError, match=r"a\.py: git has no question"):
        small.go_on(NEW)
    wish(small, "a.py", reason="upstream has it")
    small.go_on(NEW)
    assert small.decisions(NEW)["a.py"] is Decision.DROPPED


def test_what_a_killed_write_left_in_the_worktree_is_no_file_of_yours(small: Story) -> None:
    write(bench(small), {"a.py": OURS, ".a.py.x_7k2m9q.tmp": b"half", ".c.tmp": b"mine"})
    assert progress(small).untracked == (".c.tmp",)
    write(bench(small), {".c.tmp": None})
    assert small.go_on(NEW).state is None


def test_attributes_in_upstreams_tree_change_no_byte(tmp_path: Path) -> None:
    """A checkout by git has CRLF and a union of both sides; the hand-off has the merge, and asks."""
    story = Story.make(tmp_path / "story")
    rules = b"*.py text eol=crlf merge=union\n"
    story.release(OLD, {".gitattributes": rules, "a.py": lines(40), "b.py": lines(40)})
    story.patch(OLD, {"a.py": lines(40, l20="twenty"), "b.py": lines(40, l5="five")})
    story.rest()
    story.release(NEW, {"a.py": lines(40, l20="XX"), "b.py": b"first\n" + lines(40)})
    story.begin(NEW)
    assert story.entry(NEW, "a.py").decision is Decision.OPEN
    assert (bench(story) / "b.py").read_bytes() == b"first\n" + lines(40, l5="five")
    assert not standing(story, "a.py").stand.is_decided
    write(bench(story), {"a.py": lines(40, l20="both")})
    story.go_on(NEW)
    assert patched(story, "a.py") == lines(40, l20="both")
    assert patched(story, "b.py") == b"first\n" + lines(40, l5="five")
