"""What is open, handed to a human: every way to decide it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.port_bench import OURS, bench, only, patched, progress, standing, wish
from tests.port_cases import BLOCK, CASES, HEAD, NEW, NUL, OLD, story_of
from tests.port_story import Story, lines, users_git, write
from winvllm_build.errors import ConflictError, TreeStateError, UsageError
from winvllm_build.patchset import patchset
from winvllm_build.patchset.header import TODO
from winvllm_build.patchset.record import Decision
from winvllm_build.port.decide import Side
from winvllm_build.port.progress import Stand
from winvllm_build.port.state import Phase


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return story_of(Story.make(tmp_path_factory.mktemp("template") / "story"))


@pytest.fixture
def many(template: Story, tmp_path: Path) -> Story:
    """A port of every fate, handed over."""
    made = template.copied(tmp_path / "many")
    made.begin(NEW)
    return made


def test_edit_and_continue(small: Story) -> None:
    text = (bench(small) / "a.py").read_text()
    assert "<<<<<<< HEAD\nXX\n||||||| parent of" in text
    assert f"=======\ntwenty\n>>>>>>> {small.handoff(NEW).picked[:7]}" in text
    assert f"(patches of {OLD}: windows)" in text
    write(bench(small), {"a.py": OURS})
    made = small.go_on(NEW)
    assert made.state is None
    assert patched(small, "a.py") == OURS
    assert patched(small, "b.py") == b"first\n" + lines(40, l5="five")
    assert small.decisions(NEW) == {"a.py": Decision.RESOLVED, "b.py": Decision.CARRIED}
    assert small.leftovers(NEW) == []
    header = patchset.load(small.root, OLD).patches[0].content.header
    assert patchset.load(small.root, NEW).patches[0].content.header == header


def test_markers_are_refused_by_line_and_nothing_is_written(small: Story) -> None:
    before = small.set_bytes(NEW)
    with pytest.raises(ConflictError, match=r"a\.py:21, a\.py:23, a\.py:27") as caught:
        small.go_on(NEW)
    assert "--status" in (caught.value.fix or "")
    assert small.set_bytes(NEW) == before
    users_git(bench(small), "add", "a.py")  # the classical mistake
    assert standing(small, "a.py").stand is Stand.CONFLICT
    with pytest.raises(ConflictError, match=r"a\.py:21"):
        small.go_on(NEW)
    write(bench(small), {"a.py": OURS})
    small.go_on(NEW)
    assert patched(small, "a.py") == OURS


def test_a_marker_in_a_file_nobody_asked_about_is_refused_too(small: Story) -> None:
    write(bench(small), {"a.py": OURS, "c.py": lines(9) + b">>>>>>> theirs\n"})
    with pytest.raises(ConflictError, match=r"c\.py:10: a conflict line is left"):
        small.go_on(NEW)


def test_lines_that_upstream_has_are_no_markers(tmp_path: Path) -> None:
    story = Story.make(tmp_path / "story")
    shown = b"How a conflict looks:\n<<<<<<< HEAD\na\n=======\nb\n>>>>>>> other\n"
    story.release(OLD, {"doc.rst": shown + lines(30)})
    story.patch(OLD, {"doc.rst": shown + lines(30, l20="twenty")})
    story.rest()
    story.release(NEW, {"doc.rst": shown + lines(30, l20="XX")})
    story.begin(NEW)
    assert [mark.line for mark in standing(story, "doc.rst").marks] == [2, 27, 29, 33]
    write(bench(story), {"doc.rst": shown + lines(30, l20="both")})
    assert story.go_on(NEW).state is None


def test_every_kind_of_decision_at_once(many: Story) -> None:
    """Edits, deletions, both added, moved along, the bytes of one side, an accepted merge."""
    tree = bench(many)
    stands = {patch.verdict.path: patch.stand for patch in progress(many).patches}
    assert {name for name, stand in stands.items() if stand is Stand.LOOK} == {"lostname.py", "twice.cu"}
    assert len(stands) == 8
    write(
        tree, {"fought.py": OURS, "both/added.py": b"ours and theirs\n", "lostname.py": b"def user(): ...\n"}
    )
    with pytest.raises(ConflictError) as caught:
        many.go_on(NEW)
    assert "fought.py" not in caught.value.message
    assert "core/added.py" in caught.value.message
    users_git(tree, "rm", "-q", "gone.py", "deleted here.py")
    users_git(tree, "add", "core/added.py", "both/added.py")
    users_git(tree, "checkout", "--theirs", "fought.bin")
    users_git(tree, "add", "fought.bin")
    wish(many, "twice.cu", side=Side.MERGE)
    assert progress(many).undecided == ()
    assert many.go_on(NEW).state is None
    decisions = many.decisions(NEW)
    assert decisions["gone.py"] is Decision.DROPPED
    resolved = set(decisions) - {"gone.py", "gone too.py"}
    assert {many.decisions(NEW)[name] for name in resolved} <= {
        Decision.CARRIED, Decision.RESOLVED, Decision.UPSTREAMED,
    }  # fmt: skip
    assert many.entry(NEW, "gone.py").reason == "its file was removed by hand: upstream has none"
    assert many.entry(NEW, "lib/added.py").to == "core/added.py"
    assert patched(many, "core/added.py") == b"# of the patch\n"
    assert patched(many, "both/added.py") == b"ours and theirs\n"
    assert patched(many, "fought.bin") == CASES["fought.bin"].patched
    assert patched(many, "twice.cu").index(b"mid()") > len(HEAD) + 4 * len(BLOCK) + 20
    assert many.entry(NEW, "twice.cu").evidence[-1] == "accepted as the merge has it"
    moved = next(p for p in patchset.load(many.root, NEW).patches if p.path == "core/added.py")
    assert moved.content.header.subject == "Change lib/added.py"
    assert not [finding for finding in patchset.load(many.root, NEW).findings if TODO in finding]
    assert many.leftovers(NEW) == []


def test_patches_whose_files_went_away_are_told_apart_by_their_own_lines(tmp_path: Path) -> None:
    """Both add `import sys`, and so does a file that neither went to."""
    story = Story.make(tmp_path / "story")
    code = {
        "launch.py": b"import os\n" + lines(12) + b"loop.add(one)\n",
        "text.py": b"import os\n" + lines(12) + b"open(name)\n",
    }
    story.release(OLD, {**code, "kept.py": lines(9)})
    story.patch(OLD, {name: by_hand(text) for name, text in code.items()})
    story.rest()
    new = {
        "a/entry.py": b"import os\n" + lines(90, l1="entry"),
        "b/text.py": code["text.py"] + lines(70),
        "c/launch.py": code["launch.py"] + lines(80, l5="five"),
    }
    story.release(NEW, {**new, **dict.fromkeys(code)})
    story.begin(NEW)
    users_git(bench(story), "rm", "-q", *code)
    write(bench(story), {name: by_hand(text) for name, text in new.items()})
    assert story.go_on(NEW).state is None
    assert {name: story.entry(NEW, name).to for name in code} == {
        "launch.py": "c/launch.py",
        "text.py": "b/text.py",
    }
    subjects = {str(p.path): p.content.header.subject for p in patchset.load(story.root, NEW).patches}
    assert subjects["c/launch.py"] == "Change launch.py"
    assert TODO in subjects["a/entry.py"]


def by_hand(text: bytes) -> bytes:
    edits = {b"import os\n": b"import os\nimport sys\n", b"loop.add(one)": b"add_handlers(loop)",
             b"open(name)": b"open_utf8(name)"}  # fmt: skip
    for old, edited in edits.items():
        text = text.replace(old, edited)
    return text


def test_strict_application_can_be_taken_instead(many: Story) -> None:
    only(many, "twice.cu")
    wish(many, "twice.cu", side=Side.STRICT)
    many.go_on(NEW)
    wanted = HEAD + b"// one\n// two\n// three\n// four\n" + BLOCK * 3 + b"    mid();\n" + BLOCK * 6
    assert patched(many, "twice.cu") == wanted
    assert many.entry(NEW, "twice.cu").evidence[-1] == "accepted as strict application has it"


def test_an_edit_decides_what_git_does_not_ask(many: Story) -> None:
    only(many, "lostname.py", "twice.cu")
    with pytest.raises(ConflictError, match=r"(?s)lostname\.py: git has no question.*twice\.cu: git has"):
        many.go_on(NEW)
    wish(many, "lostname.py", side=Side.MERGE)
    edited = CASES["twice.cu"].patched or b""
    write(bench(many), {"twice.cu": edited})
    assert standing(many, "twice.cu").stand is Stand.EDITED
    many.go_on(NEW)
    assert patched(many, "twice.cu") == edited


def test_only_a_clean_merge_can_be_accepted(many: Story) -> None:
    for name, side in (("fought.py", Side.MERGE), ("fought.py", Side.STRICT), ("same.py", Side.MERGE)):
        with pytest.raises(UsageError):
            wish(many, name, side=side)
    with pytest.raises(UsageError, match=r'did you mean "fought\.py"'):
        wish(many, "fuoght.py")
    assert all(not patch.stand.is_decided for patch in progress(many).patches)


def test_a_deleted_file_can_be_kept_as_a_new_one(many: Story) -> None:
    only(many, "gone.py")
    users_git(bench(many), "add", "gone.py")
    many.go_on(NEW)
    assert patched(many, "gone.py") == CASES["gone.py"].patched
    assert many.decisions(NEW)["gone.py"] is Decision.RESOLVED
    assert (
        next(p for p in patchset.load(many.root, NEW).patches if p.path == "gone.py").change.name == "ADDED"
    )


def test_a_hunk_put_where_the_code_went_keeps_its_header(tmp_path: Path) -> None:
    story = Story.make(tmp_path / "story")
    story.release(OLD, {"a.py": lines(40), "b.py": b"# another file\n"})
    story.patch(OLD, {"a.py": lines(40, l20="twenty")})
    story.rest()
    story.release(NEW, {"a.py": None, "b.py": b"# another file\nline 20 of the file\n"})
    story.begin(NEW)
    users_git(bench(story), "rm", "-q", "a.py")
    write(bench(story), {"b.py": b"# another file\ntwenty\n"})
    story.go_on(NEW)
    entry = story.entry(NEW, "a.py")
    assert (entry.to, entry.decision) == ("b.py", Decision.RESOLVED)
    assert entry.evidence[-1] == "moved by hand to b.py"
    made = patchset.load(story.root, NEW).patches[0]
    assert (made.path, made.content.header.subject) == ("b.py", "Change a.py")


def test_skip_puts_upstreams_file_there_and_says_why(small: Story) -> None:
    write(bench(small), {"a.py": b"half an edit\n"})
    wish(small, "a.py", reason="upstream has its own")
    assert (bench(small) / "a.py").read_bytes() == lines(40, l20="XX")
    assert any(kept.get("a.py") == b"half an edit\n" for kept in small.saved().values())
    small.go_on(NEW)
    entry = small.entry(NEW, "a.py")
    assert (entry.decision, entry.reason, entry.to) == (Decision.DROPPED, "upstream has its own", None)
    assert [patch.path for patch in patchset.load(small.root, NEW).patches] == ["b.py"]


def test_a_skipped_patch_that_is_edited_again_counts(small: Story) -> None:
    wish(small, "a.py")
    write(bench(small), {"a.py": OURS})
    small.go_on(NEW)
    assert small.entry(NEW, "a.py").decision is Decision.RESOLVED
    assert small.entry(NEW, "a.py").evidence[-1] == "edited after it was given up"


def test_upstreams_side_leaves_no_patch(small: Story) -> None:
    users_git(bench(small), "checkout", "--ours", "a.py")
    small.go_on(NEW)
    entry = small.entry(NEW, "a.py")
    assert entry.decision is Decision.UPSTREAMED
    assert entry.evidence[-1] == "resolved to upstream's file: no difference is left"


def test_clean_files_are_taken_as_they_are(small: Story) -> None:
    better = b"first\n" + lines(40, l5="FIVE", l30="more")
    write(bench(small), {"a.py": OURS, "b.py": better})
    small.go_on(NEW)
    assert patched(small, "b.py") == better
    assert small.entry(NEW, "b.py").decision is Decision.RESOLVED
    assert small.entry(NEW, "b.py").evidence[-1] == "changed by hand"


def test_a_clean_patch_does_not_vanish_by_accident(small: Story) -> None:
    write(bench(small), {"a.py": OURS, "b.py": b"first\n" + lines(40)})
    with pytest.raises(ConflictError, match=r"(?s)are gone from.*b\.py") as caught:
        small.go_on(NEW)
    assert "--skip b.py" in (caught.value.fix or "")
    wish(small, "b.py", reason="not needed")
    small.go_on(NEW)
    assert small.entry(NEW, "b.py").decision is Decision.DROPPED


def test_a_new_file_gets_a_header_to_fill(small: Story) -> None:
    write(bench(small), {"a.py": OURS, "extra/new.py": b"pass\n"})
    with pytest.raises(TreeStateError, match=r"(?s)does not know.*extra/new\.py"):
        small.go_on(NEW)
    users_git(bench(small), "add", "extra/new.py")
    made = small.go_on(NEW)
    assert patched(small, "extra/new.py") == b"pass\n"
    assert made.result is not None
    assert any("extra/new.py" in finding and TODO in finding for finding in made.result.findings)


def test_line_ends_an_editor_changed_are_refused(small: Story) -> None:
    write(bench(small), {"a.py": OURS.replace(b"\n", b"\r\n")})
    with pytest.raises(TreeStateError, match=r"(?s)CRLF.*a\.py"):
        small.go_on(NEW)
    assert small.state(NEW).phase is Phase.OPEN
    write(bench(small), {"a.py": OURS})
    small.go_on(NEW)


def test_a_headers_edit_in_the_written_set_is_kept(small: Story) -> None:
    file = small.root / NEW / "windows" / "vllm" / "b.py.patch"
    file.write_bytes(file.read_bytes().replace(b"Subject: Change b.py", b"Subject: A better title"))
    write(bench(small), {"a.py": OURS})
    small.go_on(NEW)
    assert [p.content.header.subject for p in patchset.load(small.root, NEW).patches] == [
        "Change a.py", "A better title",
    ]  # fmt: skip


def test_a_mode_and_lines_in_conflict(tmp_path: Path) -> None:
    """Git has the mode from the patch and asks about the lines; both reach the new set."""
    story = Story.make(tmp_path / "story")
    story.release(OLD, {"run.sh": lines(20)})
    story.patch(OLD, {"run.sh": lines(20, l9="nine")}, executable=("run.sh",))
    story.rest()
    story.release(NEW, {"run.sh": lines(20, l9="XX")})
    story.begin(NEW)
    write(bench(story), {"run.sh": lines(20, l9="both")})
    story.go_on(NEW)
    made = patchset.load(story.root, NEW).patches[0]
    assert made.modes == ("100644", "100755")
    assert patched(story, "run.sh") == lines(20, l9="both")


def test_bytes_of_no_text_come_through(many: Story) -> None:
    only(many, "fought.bin")
    users_git(bench(many), "checkout", "--ours", "fought.bin")
    write(bench(many), {"fought.bin": NUL[:598] + b"\r\n"})
    assert standing(many, "fought.bin").stand is Stand.CONFLICT  # no line to look at: git has to be told
    users_git(bench(many), "add", "fought.bin")
    many.go_on(NEW)
    assert patched(many, "fought.bin") == NUL[:598] + b"\r\n"


def test_where_the_code_of_a_deleted_file_went_is_said(tmp_path: Path) -> None:
    story = Story.make(tmp_path / "story")
    there = {"a.py": lines(40), "b.py": b"# another file\n" + lines(40)[:300]}
    story.release(OLD, there)
    story.patch(OLD, {"a.py": lines(40, l20="twenty")})
    story.rest()
    kept = b"".join(lines(40).splitlines(keepends=True)[15:25])
    story.release(NEW, {"a.py": None, "b.py": b"# another file\n" + b"# much of its own\n" * 60 + kept})
    story.begin(NEW)
    found = standing(story, "a.py")
    assert [place.path for place in found.located] == ["b.py"]
    assert found.located[0].found == found.located[0].sought
