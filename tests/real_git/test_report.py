"""A set carried to many releases at once: the same verdicts as one by one, and no release left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.long_upstream import BROKEN, EXTRA, PATCHES, RELEASES, WHEELS_ONLY, LongUpstream, sealed
from tests.patch_upstream import TAG
from winvllm_build.cli.main import run
from winvllm_build.errors import OfflineError, UsageError
from winvllm_build.git import RepoPath
from winvllm_build.patchset import tree
from winvllm_build.patchset.patchset import MAIN_TARGET
from winvllm_build.patchset.worktree import scratch_of
from winvllm_build.port import matrix
from winvllm_build.port.carry import Unit, carry
from winvllm_build.port.columns import WHEELS_ONLY as NO_ARCHIVE
from winvllm_build.port.columns import Sources
from winvllm_build.port.explain import by_history
from winvllm_build.port.history import open_history
from winvllm_build.port.job import Doors
from winvllm_build.port.matrix import Report
from winvllm_build.port.report import Progress, report
from winvllm_build.port.tagrange import tags_in
from winvllm_build.port.verdict import Kind
from winvllm_build.sources.remote import Remotes

FINAL = [tag for tag in RELEASES if "rc" not in tag]


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> LongUpstream:
    return sealed(tmp_path_factory.mktemp("long"))


def sources(long: LongUpstream, *, offline: bool = False) -> Sources:
    doors = Doors(
        workspace=long.small.workspace, index=long.small.index(offline=offline),
        remotes=Remotes(offline=offline), offline=offline, tell=_unheard,
    )  # fmt: skip
    return Sources(long.patch_set, long.patches, doors)


def _unheard(words: object) -> None:
    assert words


def made(long: LongUpstream, span: str = "all", *, jobs: int | None = None, detailed: bool = False) -> Report:
    found = sources(long)
    tags = tags_in(span, found.known(), old=TAG)
    return report(found, tags, on_progress=_unheard, jobs=jobs, detailed=detailed)


@pytest.fixture(scope="module")
def whole(long: LongUpstream) -> Report:
    return made(long, detailed=True)


def test_every_release_is_a_column_and_every_patch_a_row(whole: Report) -> None:
    assert list(whole.tags) == FINAL
    assert {row.path for row in whole.rows} == set(PATCHES)
    missing = {column.tag: column.missing for column in whole.columns if column.source is None}
    assert missing == {WHEELS_ONLY: NO_ARCHIVE}
    for row in whole.rows:
        assert set(row.verdicts) == set(FINAL) - {WHEELS_ONLY}


def test_the_verdicts_are_those_of_one_merge_each(long: LongUpstream, whole: Report) -> None:
    diffs = {patch.path: patch.content.diff for patch in long.patch_set.of(MAIN_TARGET)}
    base = sources(long).first().tree
    with scratch_of(sources(long).first().repository / "objects") as git:
        patched = tree.compute(git, base, diffs.values(), fix="")
        for column in whole.columns:
            if column.source is not None:
                unit = Unit(old_base=base, old_patched=patched, new_base=column.source.tree)
                alone = carry(git, unit).verdicts
                assert {row.path: row.verdicts[column.tag] for row in whole.rows} == alone


def test_a_patch_is_open_exactly_where_a_commit_before_broke_it(whole: Report) -> None:
    for row in whole.rows:
        for tag, verdict in row.verdicts.items():
            turns = [number for number in BROKEN[row.path] if number <= RELEASES[tag]]
            assert verdict.kind.is_open == (len(turns) % 2 == 1), (row.path, tag)


def test_the_release_that_broke_a_patch_is_marked_every_time_it_broke(whole: Report) -> None:
    breaks = {row.path: whole.breaks(row) for row in whole.rows if whole.breaks(row)}
    assert breaks[RepoPath("flip.py")] == ("v1.3.0", "v1.6.0")
    assert breaks[RepoPath("hot.py")] == ("v1.4.0",)
    assert {row.path for row in whole.broken_by("v1.5.0")} == {"gone.cu", "moved.py", "name.py", "second.py"}


def test_releases_that_were_not_looked_at_are_told(long: LongUpstream) -> None:
    found = sources(long)
    known = found.known()
    got = report(found, tags_in("v1.6.0", known, old=TAG), on_progress=_unheard, known=known)
    assert got.unseen == {"v1.6.0": ("v1.3.0", WHEELS_ONLY, "v1.4.0", "v1.5.0")}
    assert got.doubt("v1.6.0") == "or one of the 4 releases before it"
    every = report(found, tags_in("v1.3.0..", known, old=TAG), on_progress=_unheard, known=known)
    assert every.unseen == {"v1.4.0": (WHEELS_ONLY,)}


def test_how_many_are_carried_at_a_time_does_not_matter(long: LongUpstream, whole: Report) -> None:
    one = made(long, jobs=1)
    assert [row.verdicts for row in one.rows] == [row.verdicts for row in whole.rows]


def test_a_cell_says_what_differs(whole: Report) -> None:
    rows = {row.path: row for row in whole.rows}
    upstream, patch = rows[RepoPath("hot.py")].details["v1.4.0"]
    assert [(line.mark, line.text) for line in upstream.lines] == [
        ("-", "hot has line 20"), ("+", "hot breaks it 20 now"),
    ]  # fmt: skip
    assert upstream.upstream
    assert ("+", "hot is patched at 20") in [(line.mark, line.text) for line in patch.lines]
    assert RepoPath("same.py") in rows
    assert rows[RepoPath("same.py")].details == {}


def test_a_release_is_told_when_it_is_wanted_and_when_it_is_done(long: LongUpstream) -> None:
    told: list[Progress] = []
    found = sources(long)
    tags = tags_in("v1.3.0,v1.4.0", found.known(), old=TAG)
    report(found, tags, on_progress=told.append)
    assert [(far.done, far.total, far.left) for far in told[:2]] == [(0, 2, None), (1, 2, None)]
    assert [(far.done, far.total) for far in told[2:]] == [(1, 2), (2, 2)]
    assert told[-1].left == 0


def test_offline_only_what_is_cached_is_known(long: LongUpstream, whole: Report) -> None:
    assert whole.columns
    found = sources(long, offline=True)
    known = {tag.tag for tag in found.known()}
    assert known == {TAG, *FINAL} - {WHEELS_ONLY}
    again = report(found, tags_in("all", found.known(), old=TAG), on_progress=_unheard)
    assert {row.path: row.verdicts for row in again.rows} == {row.path: row.verdicts for row in whole.rows}


def test_a_release_whose_archive_cannot_be_had_is_a_column_that_says_so(long: LongUpstream) -> None:
    archive = long.small.archive("1.5.0rc1")
    content = archive.read_bytes()
    found = sources(long)
    tags = tags_in("v1.5.0rc1,v1.6.0", found.known(), old=TAG)
    archive.unlink()
    try:
        got = report(found, tags, on_progress=_unheard)
    finally:
        archive.write_bytes(content)
    reasons = {column.tag: column.missing for column in got.columns}
    assert reasons["v1.6.0"] == ""
    assert "1.5.0rc1" in reasons["v1.5.0rc1"]
    assert all("v1.6.0" in row.verdicts for row in got.rows)


def test_as_data_nothing_is_missing_and_the_numbers_add_up(whole: Report) -> None:
    found = json.loads(json.dumps(matrix.data(whole)))
    assert (found["schema"], found["from"]) == (1, TAG)
    assert [column["tag"] for column in found["tags"]] == FINAL
    for column in found["tags"]:
        assert sum(column["counts"].values()) == column["patches"]
        assert column["carried"] + column["upstreamed"] + column["open"] == column["patches"]
        assert bool(column["missing"]) == (column["source"] is None) == (column["sdist_sha256"] is None)
    for patch in found["patches"]:
        for verdict in patch["verdicts"].values():
            assert verdict["kind"] in {kind.value for kind in Kind}
    moved = next(patch for patch in found["patches"] if patch["path"] == "fine.py")
    assert moved["verdicts"]["v1.6.0"]["to"] == "lib/fine.py"
    assert "to" not in moved["verdicts"]["v1.3.0"]


@pytest.fixture
def command(long: LongUpstream, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(long.small.links))
    monkeypatch.setenv("WINVLLM_BUILD_HOME", str(long.small.workspace.root))
    return lambda *words: run(["port", "--report", *words, "--patches", str(long.patches)])


def test_the_command_prints_the_matrix_in_plain_text(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("all") == 0
    lines = capsys.readouterr().out.splitlines()
    table = {line.split()[0]: "".join(line.split()[1:]) for line in lines[2 : 2 + len(PATCHES)]}
    assert table["hot.py"] == "o.XXX"
    assert table["flip.py"] == "X.==X"
    assert table["gone.cu"] == "=.=DD"
    assert table["same.py"] == "=.==="
    assert table["fine.py"] == "=.>>>"
    assert table["win/added.py"] == "+.++X"
    assert lines[0].split() == ["3", "3", "4", "5", "6"] or lines[0].split() == [
        "1.3",
        "1.3",
        "1.4",
        "1.5",
        "1.6",
    ]
    assert f"  . {WHEELS_ONLY}: {NO_ARCHIVE}" in lines
    assert any(line.startswith("v1.5.0 broke gone.cu: deleted") for line in lines)
    assert any(line.startswith(f"v1.4.0, or {WHEELS_ONLY}, broke hot.py: conflict") for line in lines)


def test_the_command_writes_the_page_beside_the_data(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    assert command("v1.3.0..", "--json", "--html", str(file)) == 0
    said = capsys.readouterr()
    assert [column["tag"] for column in json.loads(said.out)["tags"]] == FINAL
    assert file.read_bytes().startswith(b"<!DOCTYPE html>")
    assert str(file) in said.err


def test_a_wrong_range_and_nothing_cached_are_told(
    command: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    assert command("v1.4.1") == UsageError.exit_code
    assert 'did you mean "v1.4.0"' in capsys.readouterr().err
    monkeypatch.setenv("WINVLLM_BUILD_HOME", str(tmp_path / "empty"))
    assert command("all", "--offline") == OfflineError.exit_code


def test_an_optional_layer_is_carried_on_top_and_says_where_its_ground_is_open(tmp_path: Path) -> None:
    long = sealed(tmp_path)
    long.with_layer()
    got = made(long, "v1.3.0,v1.4.0")
    rows = {(row.layer, row.path): row for row in got.rows}
    hot, same = rows["extra", RepoPath("hot.py")], rows["extra", RepoPath("same.py")]
    assert len(rows) == len(PATCHES) + len(EXTRA)
    assert [hot.verdicts[tag].kind for tag in ("v1.3.0", "v1.4.0")] == [Kind.OFFSET, Kind.OFFSET]
    assert {verdict.kind for verdict in same.verdicts.values()} == {Kind.IDENTICAL}
    ground = "the layer windows, on which it is made, is open here: tried on upstream's file"
    assert [ground in hot.verdicts[tag].evidence for tag in ("v1.3.0", "v1.4.0")] == [False, True]
    patch = next(one for one in long.patch_set.of("vllm") if one.layer == "extra")
    with (
        open_history(long.folder, old=long.patch_set.pin, new="v1.6.0") as history,
        pytest.raises(UsageError, match="made on top of patches"),
    ):
        by_history(history, long.patch_set.of("vllm"), [patch], on_patch=_unheard)
