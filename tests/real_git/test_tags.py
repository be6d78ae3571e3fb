"""Tags of a small vLLM: released, taken as sources, pinned by a manifest that is written, completed, used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.small_vllm import CANDIDATE, NEW, OLD, WHEELS_ONLY, SmallVllm, git, take
from winvllm_build.cli.main import run
from winvllm_build.errors import OfflineError, RefusedError, SourceError, UsageError
from winvllm_build.git import Git
from winvllm_build.intake.add import AddResult, add_tag
from winvllm_build.intake.dependencies import State
from winvllm_build.patchset import manifest
from winvllm_build.sources.pins import DependencyPin, Pins, read_pins
from winvllm_build.sources.remote import Remotes
from winvllm_build.workspace import sha256_of

RECORD = "7d1ccb5579e87752216be4ef7103a4d085915d43bace9296d0c30fb6a345875f"


@pytest.fixture
def small(tmp_path: Path) -> SmallVllm:
    return SmallVllm.make(tmp_path)


@pytest.fixture
def events() -> list[str]:
    return []


def add(
    small: SmallVllm, tag: str, *, previous: str | None = None, offline: bool = False, update: bool = False,
    dry_run: bool = False, events: list[str] | None = None,
) -> AddResult:  # fmt: skip
    """In an offline run file:// still answers, so that nobody is asked is said by `Silent`."""
    remotes = Silent() if offline else Remotes()
    heard = events if events is not None else []
    return add_tag(
        small.patches, tag, previous=previous, workspace=small.workspace, index=small.index(), offline=False,
        on_event=heard.append, remotes=remotes, update=update, dry_run=dry_run,
    )  # fmt: skip


class Silent(Remotes):
    """A network without an answer."""

    def _refs(self, git: Git, url: str, *patterns: str) -> dict[str, object]:  # type: ignore[override]
        del git, patterns
        raise OfflineError(f"cannot reach {url}")


def pins(small: SmallVllm, tag: str) -> Pins:
    file = small.patches / tag / "patchset.toml"
    assert manifest.read(file).layers
    return read_pins(file)


def dependency(found: Pins, name: str) -> DependencyPin:
    return next(pin for pin in found.dependencies if pin.name == name)


def older(small: SmallVllm) -> Path:
    """A manifest of the older release as a person leaves it."""
    file = small.patches / OLD / "patchset.toml"
    file.parent.mkdir(parents=True)
    file.write_text(
        f"""\
# The small one.
schema = 1

[upstream]
url = "{small.upstream.as_uri()}"
tag = "{OLD}"
commit = "{small.commits[OLD]}"

[expect]
cuda = ">=12.6,<14"

# Why there is a topic.
[topic.build]
title = "Build"

[layer.extra]
title = "One more"
conflicts = ["other"]

[layer.other]

# First of all.
[dependency.first]
url = "{small.one.as_uri()}"
revision = "r1"
commit = "{small.commits["r1"]}"
variable = "ONE_SRC_DIR"
content = "one"
targets = ["_C"]

[dependency.first.package]
project = "carrier"
version = "1.0"
record_sha256 = "{RECORD}"
root = "one"
folders = ["include"]

[dependency.two]
url = "{small.two.as_uri()}"
revision = "{small.commits["two-1"]}"
commit = "{small.commits["two-1"]}"
variable = "TWO_SRC_DIR"
targets = ["_two_C"]
archs = ["9.0a", "10.0f"]
submodules = [
  {{ path = "csrc/sub", url = "https://example.org/sub.git", commit = "{small.commits["sub-1"]}" }},
]

[dependency.three]
url = "https://example.org/three.git"
revision = "v3"
variable = "THREE_SRC_DIR"
""",
        encoding="utf-8",
    )
    return file


def test_a_manifest_from_nothing(small: SmallVllm) -> None:
    made = add(small, OLD, offline=True)
    found = pins(small, OLD)
    assert found.upstream.commit is None
    assert found.upstream.abbreviated == small.commits[OLD][:9]
    assert found.upstream.sdist is not None
    assert found.upstream.sdist.sha256 == sha256_of(small.archive("1.0.0"))
    assert manifest.read(made.manifest).expect == {
        "python": ">=3.10,<3.14", "torch": "2.9.1", "cuda": ">=12.9",
    }  # fmt: skip
    one, two = found.dependencies
    assert (one.name, one.url, one.revision, one.commit) == ("one", small.one.as_uri(), "r1", None)
    assert (one.variable, one.targets, one.archs) == ("ONE_SRC_DIR", ("_C",), ())
    assert (two.name, two.revision, two.commit) == ("two", small.commits["two-1"], small.commits["two-1"])
    assert (two.variable, two.targets, two.archs) == ("TWO_SRC_DIR", ("_two_C",), ("9.0a", "10.0f"))
    assert set(made.states.values()) == {State.NEW}
    assert any(todo.startswith("[dependency.two] submodule csrc/sub:") for todo in made.todos)


def test_the_same_tag_gives_the_same_bytes(small: SmallVllm, tmp_path: Path) -> None:
    first = add(small, OLD, offline=True).text
    again = SmallVllm(top=tmp_path / "again", commits=small.commits)
    again.top.mkdir()
    shutil.copytree(small.links, again.links)
    assert add(again, OLD, offline=True).text == first
    assert (again.patches / OLD / "patchset.toml").read_bytes() == first.encode()


def test_what_is_there_is_not_overwritten(small: SmallVllm) -> None:
    file = older(small)
    before = file.read_bytes()
    with pytest.raises(UsageError, match="is there already") as caught:
        add(small, OLD)
    assert "tags add v1.0.0 --update" in (caught.value.fix or "")
    made = add(small, NEW, dry_run=True)
    assert (made.written, made.manifest.exists()) == (False, False)
    assert file.read_bytes() == before


def test_the_older_manifest_is_carried_and_git_completes(small: SmallVllm) -> None:
    older(small)
    made = add(small, NEW)
    found = pins(small, NEW)
    assert made.previous == OLD
    assert found.upstream.commit == small.commits[NEW]
    assert [pin.name for pin in found.dependencies] == ["first", "two"]
    first, two = found.dependencies
    assert (first.revision, first.commit, first.package) == ("r2", small.commits["r2"], None)
    assert (two.revision, two.commit) == (small.commits["two-2"], small.commits["two-2"])
    assert [(sub.path, sub.url, sub.commit) for sub in two.submodules] == [
        ("csrc/sub", (small.top / "repositories" / "sub").as_uri(), small.commits["sub-2"])
    ]
    rules = manifest.read(made.manifest)
    assert [layer.name for layer in rules.layers] == ["windows", "extra", "other"]
    assert rules.layer("extra").conflicts == ("other",)
    assert rules.expect["cuda"] == ">=12.6,<14"
    for words in (
        "# Why there is a topic.", "# First of all.", '# v1.0.0 had "r1".',
        "# Carried from v1.0.0; upstream's own wheels are built with CUDA 13.0.",
        "# Gone since v1.0.0: [dependency.three], https://example.org/three.git.",
        "# TODO package: v1.0.0 could take r1 from carrier 1.0;",
    ):  # fmt: skip
        assert words in made.text
    assert {name: state.value for name, state in made.states.items()} == {
        "first": "moved", "two": "moved", "three": "gone",
    }  # fmt: skip


def test_without_an_answer_old_commits_are_not_kept_for_new_revisions(
    small: SmallVllm, events: list[str]
) -> None:
    older(small)
    made = add(small, NEW, offline=True, events=events)
    found = pins(small, NEW)
    assert (found.upstream.commit, found.upstream.abbreviated) == (None, small.commits[NEW][:9])
    first, two = found.dependencies
    assert (first.commit, two.submodules) == (None, ())
    assert small.commits["r1"] not in made.text
    assert "# TODO submodule csrc/sub: the commit that the revision records;" in made.text
    assert sum("commits are not looked up" in event for event in events) == len(
        {event for event in events if "commits are not looked up" in event}
    )


def test_an_unchanged_project_is_carried_whole(small: SmallVllm) -> None:
    file = older(small)
    same = file.read_text(encoding="utf-8").replace('revision = "r1"', 'revision = "r2"')
    file.write_text(same.replace(small.commits["r1"], small.commits["r2"]), encoding="utf-8")
    made = add(small, NEW, offline=True)
    first = dependency(pins(small, NEW), "first")
    assert made.states["first"] is State.SAME
    assert first == dependency(read_pins(file), "first")


def test_a_moved_tag_is_refused(small: SmallVllm) -> None:
    older(small)
    git(small.upstream, "tag", "-f", NEW, OLD)
    with pytest.raises(SourceError, match="has moved") as caught:
        add(small, NEW)
    assert small.commits[OLD] in caught.value.message
    assert small.commits[NEW][:9] in caught.value.message
    assert not (small.patches / NEW).exists()


def test_without_an_archive_git_alone_pins(small: SmallVllm) -> None:
    older(small)
    made = add(small, WHEELS_ONLY)
    found = pins(small, WHEELS_ONLY).upstream
    assert (found.commit, found.sdist) == (small.commits[NEW], None)
    assert made.pin == found
    shutil.rmtree(made.manifest.parent)
    with pytest.raises(RefusedError, match="only as wheels"):
        add(small, WHEELS_ONLY, previous=OLD, offline=True)
    assert not made.manifest.exists()


def test_update_adds_commits_and_loses_no_edit(small: SmallVllm) -> None:
    older(small)
    file = add(small, NEW, offline=True).manifest
    edited = file.read_text(encoding="utf-8").replace(
        'title = "Build"', "title = 'Mine'  # kept\n\n# Also mine.\n[topic.second]"
    )
    edited = edited.replace('archs = ["9.0a", "10.0f"]', 'archs = [ "9.0a" ]')
    file.write_text(edited, encoding="utf-8")
    made = add(small, NEW, update=True)
    assert made.added == (
        "upstream.commit", "dependency.first.commit", "dependency.two.submodules",
    )  # fmt: skip
    found = pins(small, NEW)
    assert (found.upstream.commit, found.upstream.abbreviated) == (
        small.commits[NEW], small.commits[NEW][:9],
    )  # fmt: skip
    assert dependency(found, "first").commit == small.commits["r2"]
    assert dependency(found, "two").submodules[0].commit == small.commits["sub-2"]
    assert dependency(found, "two").archs == ("9.0a",)
    lines = set(file.read_text(encoding="utf-8").splitlines())
    lost = [row for row in edited.splitlines() if row not in lines]
    assert all(row.startswith(("# TODO commit", "# TODO submodule", "#   ")) for row in lost)
    before = file.read_bytes()
    assert add(small, NEW, update=True).added == ()
    assert file.read_bytes() == before


def test_update_of_a_tag_that_moved_writes_nothing(small: SmallVllm) -> None:
    older(small)
    file = add(small, NEW, offline=True).manifest
    before = file.read_bytes()
    git(small.upstream, "tag", "-f", NEW, OLD)
    with pytest.raises(SourceError, match="has moved"):
        add(small, NEW, update=True)
    assert file.read_bytes() == before


@pytest.fixture
def shell(small: SmallVllm, monkeypatch: pytest.MonkeyPatch) -> SmallVllm:
    """The command line sees the folder index and this workspace."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(small.links))
    monkeypatch.setenv("WINVLLM_BUILD_HOME", str(small.workspace.root))
    return small


def test_the_list_on_the_command_line(shell: SmallVllm, capsys: pytest.CaptureFixture[str]) -> None:
    older(shell)
    take(shell, NEW)
    patches = ["--patches", str(shell.patches)]
    assert run(["tags", "list", "--json", *patches]) == 0
    found = {row["tag"]: row for row in json.loads(capsys.readouterr().out)}
    assert list(found) == [OLD, WHEELS_ONLY, NEW, CANDIDATE]
    assert (found[OLD]["patch_set"], found[OLD]["locked"], found[OLD]["patches"]) == (True, False, 0)
    assert (found[NEW]["cached"], found[NEW]["patch_set"]) == (["sdist"], False)
    assert [row["sdist"] for row in found.values()] == [True, False, True, True]
    assert run(["tags", "list", *patches]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in shown] == ["tag", OLD, WHEELS_ONLY, NEW, CANDIDATE]
    assert "wheels only" in shown[2]
    shutil.rmtree(shell.links)
    assert run(["tags", "list", "--offline", "--json", *patches]) == 0
    assert [row["tag"] for row in json.loads(capsys.readouterr().out)] == [OLD, NEW]


def test_add_on_the_command_line(shell: SmallVllm, capsys: pytest.CaptureFixture[str]) -> None:
    older(shell)
    patches = ["--patches", str(shell.patches)]
    assert run(["tags", "add", NEW, "--dry-run", *patches]) == 0
    shown = capsys.readouterr().out
    assert not (shell.patches / NEW).exists()
    assert run(["tags", "add", NEW, "--json", *patches]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["written"], told["previous"], told["commit"]) == (True, OLD, shell.commits[NEW])
    assert told["dependencies"]["first"] | {"url": ""} == {
        "state": "moved", "url": "", "revision": "r2", "commit": shell.commits["r2"], "before": "r1",
        "targets": ["_C"], "archs": [], "variable": "ONE_SRC_DIR", "content": "one",
    }  # fmt: skip
    assert shown == (shell.patches / NEW / "patchset.toml").read_text(encoding="utf-8")
    assert run(["tags", "add", NEW, *patches]) == 2
    assert "--update" in capsys.readouterr().err
    assert run(["tags", "add", NEW, "--update", *patches]) == 0
    assert "nothing to add" in capsys.readouterr().out
    assert run(["tags", "add", WHEELS_ONLY, "--from", "v7", *patches]) == 9
    assert f"available: {OLD}, {NEW}" in capsys.readouterr().err


def test_diff_on_the_command_line(shell: SmallVllm, capsys: pytest.CaptureFixture[str]) -> None:
    patches = ["--patches", str(shell.patches)]
    assert run(["tags", "diff", OLD, NEW, *patches]) == 0
    shown = capsys.readouterr().out
    for words in (
        "Python              >=3.10,<3.14 -> >=3.10,<3.15", "upstream's CUDA     12.9 -> 13.0",
        "older CUDA  -7.0", "moved  one  r1 -> r2", "new  vllm.tools  required",
        "compiled for _C: 5 sources (1 added, 0 removed, 2 moved)", "added  csrc/new.cu",
        "gone     cuda            ray>=2.48", "changed  pyproject.toml  torch == 2.9.1 -> torch == 2.10.0",
        "csrc/gen", "-> csrc/kernels (unchanged)",
    ):  # fmt: skip
        assert words in shown, words
    assert run(["tags", "diff", OLD, NEW, "--json", *patches]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["patched"] is None
    (compiled,) = [one for one in told["targets"] if one["name"] == "_C"]
    assert [one["path"] for one in compiled["added"]] == ["csrc/new.cu"]
    assert {(one["was"], one["path"], tuple(one["archs"])) for one in compiled["moved"]} == {
        ("csrc/fast.cu", "csrc/kernels/fast.cu", ("9.0a",)),
        ("csrc/gen/kernel_*.cu", "csrc/kernels/kernel_*.cu", ()),
    }
    assert run(["tags", "diff", OLD, OLD, *patches]) == 2
    assert run(["tags", "diff", OLD, WHEELS_ONLY, *patches]) == 16
