"""Each rule of `lint` finds what it is for, and nothing beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts import lint_rules
from tests.lint_cases import CASES, DROPPED, LAYERED, SUPPRESSED, A, B, entry, record
from tests.lint_set import HAZARDS, MANIFEST, NEW, TAG, HandMade
from winvllm_build.cli.main import run
from winvllm_build.errors import PatchError
from winvllm_build.patchset.patchset import tags
from winvllm_build.review.lint import lint
from winvllm_build.review.rules import Rule, Severity


@pytest.fixture
def made(tmp_path: Path) -> HandMade:
    return HandMade.make(tmp_path / "patches")


def rules(made: HandMade) -> set[Rule]:
    return {finding.rule for finding in lint(made.root, TAG).findings}


def test_every_rule_has_a_case() -> None:
    assert list(CASES) == list(Rule)


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (SUPPRESSED + 'layer = "wndows"\n', 1, "there is no layer wndows; did you mean"),
        (SUPPRESSED + SUPPRESSED, 5, "the entry at line 1 says the same"),
        (SUPPRESSED.replace("never compiled", ""), 1, "it has no reason"),
        ("[[suppression]\n", None, "it cannot be read"),
    ],
)
def test_suppressions_are_looked_at_by_themselves(
    made: HandMade, content: str, line: int | None, words: str
) -> None:
    made.write("suppressions.toml", content)
    (finding,) = lint(made.root, TAG).findings
    assert (finding.rule, finding.line) == (Rule.SUPPRESSION, line)
    assert words in finding.message


def test_the_set_of_these_tests_is_clean(made: HandMade) -> None:
    report = lint(made.root, TAG)
    assert report.findings == ()
    assert report.patches == 2


@pytest.mark.parametrize("rule", CASES, ids=lambda rule: rule.id)
def test_what_breaks_a_rule_is_found(made: HandMade, rule: Rule) -> None:
    CASES[rule].bad(made)
    assert rules(made) == {rule} | CASES[rule].along


@pytest.mark.parametrize("rule", CASES, ids=lambda rule: rule.id)
def test_what_only_looks_like_it_is_not(made: HandMade, rule: Rule) -> None:
    CASES[rule].good(made)
    assert [finding.message for finding in lint(made.root, TAG).findings] == []


@pytest.mark.parametrize("rule", CASES, ids=lambda rule: rule.id)
def test_a_finding_says_where_and_what_to_do(made: HandMade, rule: Rule) -> None:
    CASES[rule].bad(made)
    for finding in lint(made.root, TAG).findings:
        assert finding.file.is_relative_to(made.folder)
        assert finding.message
        assert "{" not in finding.fix
        assert finding.fix
        if finding.line is not None and finding.file.suffix == ".patch":
            assert 1 <= finding.line <= finding.file.read_bytes().count(b"\n") + 1


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        (Rule.TRAILING, b"line four; "), (Rule.INDENT, b"\tline 4"), (Rule.LINE_ENDS, b"line four;\r"),
        (Rule.TOPIC, b"Topic: "), (Rule.HAZARD, b"Hazards: "), (Rule.GUARD, b"Guard: "), (Rule.TODO, b"TODO"),
        (Rule.ORPHAN, b"Orphan: "), (Rule.NOTE, b"Hunk: "), (Rule.DROPPED, b"Dropped: "),
        (Rule.HEADER_DIFF, b"--- a/x"), (Rule.GONE, b"Upstream-Status: "), (Rule.SHORT_ID, b"index "),
        (Rule.LOCATION, b"diff --git"), (Rule.HEADER, b"Colour: "), (Rule.SINCE, b"Since: "),
    ],
)  # fmt: skip
def test_the_line_is_the_right_one(made: HandMade, rule: Rule, line: bytes) -> None:
    CASES[rule].bad(made)
    (finding,) = lint(made.root, TAG).findings
    assert finding.line is not None
    assert line in finding.file.read_bytes().split(b"\n")[finding.line - 1]


def test_a_malformed_patch_hides_no_other_finding(made: HandMade) -> None:
    made.head(Subject="TODO")
    made.change(b"     line 8;\n", b"")
    made.change(b"line four;", b"line four; ")
    made.change(b"int n;\n", b"int n; \n", path="csrc/n.cuh", relock=False)
    assert rules(made) == {Rule.TODO, Rule.DIFF, Rule.TRAILING, Rule.CHANGED}


def test_without_a_manifest_or_a_lock_the_files_are_still_looked_at(made: HandMade) -> None:
    made.head(Guard="sometimes")
    made.write("patchset.toml", "[[")
    made.write("patchset.lock", "{")
    assert rules(made) == {Rule.MANIFEST, Rule.LOCK, Rule.GUARD}
    (made.folder / "patchset.lock").unlink()
    assert rules(made) == {Rule.MANIFEST, Rule.LOCK, Rule.GUARD}


def test_a_set_without_patches_needs_no_lock(made: HandMade) -> None:
    for name in ("csrc/a.cu", "csrc/n.cuh"):
        made.file(name).unlink()
    (made.folder / "patchset.lock").unlink()
    made.write("hazards.toml", "")
    assert rules(made) == set()


def test_a_name_twice_in_the_lock(made: HandMade) -> None:
    file = made.folder / "patchset.lock"
    file.write_text(file.read_text().replace('"commit":', '"commit": "x", "commit":'))
    (finding,) = lint(made.root, TAG).findings
    assert (finding.rule, finding.message) == (Rule.LOCK, "'commit' is in it twice")


def test_a_patch_in_two_layers_is_one_of_each(made: HandMade) -> None:
    made.write("patchset.toml", LAYERED)
    made.patch(NEW, NEW.replace(b"line 7", b"line seven"), layer="fast")
    (finding,) = lint(made.root, TAG).findings
    assert finding.rule is Rule.LOCK
    assert "csrc/a.cu" in finding.message


def test_more_combinations_than_can_be_proven(made: HandMade) -> None:
    names = [f"layer{number}" for number in range(8)]
    made.write("patchset.toml", MANIFEST + "".join(f"[layer.{name}]\n" for name in names))
    for name in names:
        made.patch(None, b"int x;\n", path=f"{name}.h", layer=name, Guard="new file - a test")
    (finding,) = lint(made.root, TAG).findings
    assert (finding.rule, finding.file.name) == (Rule.MANIFEST, "patchset.toml")


def test_names_that_differ_in_case_alone(made: HandMade) -> None:
    made.patch(None, b"int b;\n", path="csrc/A.cu")
    if not made.file("csrc/a.cu").samefile(made.file("csrc/A.cu")):
        assert rules(made) == {Rule.COLLISION}


def test_links_are_not_followed(made: HandMade, tmp_path: Path) -> None:
    outside = tmp_path / "outside.patch"
    outside.write_bytes(made.patches["windows", "csrc/a.cu"])
    try:
        (made.folder / "windows" / "vllm" / "link.patch").symlink_to(outside)
    except OSError:
        pytest.skip("links are not allowed here")
    assert rules(made) == {Rule.STRAY}


def test_a_patched_hazard_has_a_patch(made: HandMade) -> None:
    made.write("hazards.toml", HAZARDS.replace('"absent"', '"patched"'))
    (finding,) = lint(made.root, TAG).findings
    assert (finding.rule, finding.line) == (Rule.HAZARD, 5)
    made.write("hazards.toml", HAZARDS.replace('"patched"', '"open"'))
    assert {f.message for f in lint(made.root, TAG).findings} == {"hazards.toml calls D1 open"}
    (made.folder / "hazards.toml").unlink()
    assert rules(made) == set()


def test_a_carried_patch_has_to_be_there(made: HandMade) -> None:
    record(A, entry("csrc/gone.cu", "carried"))(made)
    assert rules(made) == {Rule.UNACCOUNTED}
    made.write("patchset.toml", MANIFEST + DROPPED.format(path="csrc/gone.cu"))
    assert rules(made) == set()


def test_the_record_of_another_port(made: HandMade) -> None:
    record(A, B, new="v9.9.9")(made)
    assert rules(made) == {Rule.RECORD}


def test_an_unknown_tag_is_an_error(made: HandMade) -> None:
    with pytest.raises(PatchError, match="no patch set for v9"):
        lint(made.root, "v9")


def test_the_shipped_sets_are_clean(checkout: Path) -> None:
    """That upstream was offered nothing yet is true, and stays advice."""
    root = checkout / "patches"
    assert tags(root)
    found = [
        f"{f.file}:{f.line}: {f.message} [{f.rule.id}]"
        for tag in tags(root)
        for f in lint(root, tag).findings
        if f.rule is not Rule.PENDING
    ]
    assert found == []


def test_the_page_is_current(checkout: Path) -> None:
    written = (checkout / "docs" / "lint.md").read_text(encoding="utf-8")
    assert written == lint_rules.page(), "run: python scripts/lint_rules.py"


def test_exit_codes_and_output(made: HandMade, capsys: pytest.CaptureFixture[str]) -> None:
    patches = ["--patches", str(made.root)]
    assert run(["lint", *patches]) == 0
    assert capsys.readouterr().out == f"{TAG}: 2 patches, nothing found\n"
    made.head(Upstream_Status="Accepted [soon]")
    assert run(["lint", TAG, *patches]) == 0
    assert run(["lint", "--strict", *patches]) == 1
    made.head(Guard="sometimes", Upstream_Status="Accepted [soon]")
    capsys.readouterr()
    assert run(["lint", *patches]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("a.cu.patch:5: error: 'sometimes' is none of guarded, neutral, new file [guard]")
    assert lines[1] == "  fix: write the kind, then ` - ` and the reason"
    assert lines[-1] == f"{TAG}: 2 patches, 1 error, 1 warning"
    assert run(["lint", TAG, "--all", *patches]) == 2


def test_json_has_every_finding(made: HandMade, capsys: pytest.CaptureFixture[str]) -> None:
    made.head(Guard="sometimes")
    assert run(["lint", "--all", "--json", "--patches", str(made.root)]) == 1
    (only,) = json.loads(capsys.readouterr().out)["sets"]
    (finding,) = only["findings"]
    assert (only["tag"], only["patches"], finding["rule"], finding["line"]) == (TAG, 2, "guard", 5)
    assert finding["severity"] == Severity.ERROR.value


NAMES = ("windows/vllm/csrc/a.cu.patch", "windows/vllm/csrc/n.cuh.patch", "patchset.toml", "patchset.lock",
         "hazards.toml", "ported.json")  # fmt: skip
PIECES = st.sampled_from([
    b"", b"\n", b"\n\n", b"\r\n", b"\0", b"\xff", b" ", b"+", b"-", b"[", b'"', b"{}", b"null",
    b"\xef\xbb\xbf", b"\xff\xfe", b"diff --git a/x b/x\n", b"@@ -1 +1 @@\n", b"--- a\n", b"Hunk: ? x\n",
    b"index 1..2\n",
    b"GIT binary patch\nliteral 1\n", b"\\ No newline at end of file\n", b"Since: v9\n", b"[[dropped]]\n",
])  # fmt: skip
EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.floats(0, 0.3), PIECES | st.binary(max_size=8)), min_size=1, max_size=4
)


def mutated(content: bytes, edits: list[tuple[float, float, bytes]]) -> bytes:
    for where, length, piece in edits:
        at = int(where * len(content))
        content = content[:at] + piece + content[at + int(length * len(content)) :]
    return content


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(NAMES), edits=EDITS)
def test_nothing_in_a_file_ends_the_check(
    made: HandMade, name: str, edits: list[tuple[float, float, bytes]]
) -> None:
    record(A, B)(made)
    file = made.folder / name
    before = file.read_bytes()
    try:
        file.write_bytes(mutated(before, edits))
        report = lint(made.root, TAG)
        assert all("{file}" not in finding.fix for finding in report.findings)
    finally:
        file.write_bytes(before)
