"""The jobs of a matrix, as a CI takes them, checked against the published schemas of both."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from ruamel.yaml import YAML

from winvllm_build import process
from winvllm_build.build.matrix import formats, pieces
from winvllm_build.build.matrix.formats import Provider
from winvllm_build.build.matrix.jobs import Matrix, Wanted, matrix_of
from winvllm_build.build.matrix.shares import Piece
from winvllm_build.build.matrix.sizing import Runner
from winvllm_build.cli import matrix as command
from winvllm_build.errors import UsageError

RUNNER = Runner(label="windows-2022", cores=4, memory=16, factor=1.0, limit=2 * 3600)
ACTION = re.compile(r"^\s*-? ?(?:uses:) (?P<name>[\w/-]+)@(?P<pin>\S+)(?P<comment>.*)$", re.MULTILINE)
ARGUMENTS = ("--profile", "sm86", "--arch-list", "8.6;8.9", "--limit", "5h")


def wanted(tag: str, arch: str) -> Wanted:
    return Wanted(
        tag=tag, archs=(arch,), profile=None, title=arch, arguments=("--tag", tag, "--arch-list", arch)
    )


def kernels(count: int, *, build: int, shared: int) -> list[Piece]:
    """Kernels of two minutes each, the first `shared` of them the same in every build."""
    return [
        Piece(
            identity=f"shared {n}" if n < shared else f"own {build} {n}",
            build=build, output=f"{n}.o", name=f"csrc/{n}.cu", seconds=120.0, memory=1 << 30, size=1,
        )
        for n in range(count)
    ]  # fmt: skip


@pytest.fixture
def matrix() -> Matrix:
    builds = [wanted("v0.33.0", "8.6"), wanted("v0.33.0", "8.9"), wanted("v0.19.0", "8.6")]
    return matrix_of(builds, {n: kernels(100, build=n, shared=70) for n in range(3)}, RUNNER)


def complaints(schema: str, text: str, folder: Path) -> str:
    """What the vendored copy of a published schema has against a document; empty if nothing."""
    file = folder / "document.yml"
    file.write_text(text, encoding="utf-8")
    done = process.capture(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", file]
    )
    return "" if done.code == 0 else done.text + done.error_text


def run(*arguments: str) -> object:
    app = typer.Typer()
    command.register(app)
    app.callback()(lambda: None)
    return app(["matrix", *arguments], standalone_mode=False)


def test_builds_of_a_tag_share_their_work(matrix: Matrix) -> None:
    first, second = matrix.groups
    assert (first.identifier, first.edges, first.distinct) == ("v0.33.0", 200, 130)
    assert (second.identifier, second.edges, second.distinct) == ("v0.19.0", 100, 100)
    assert sum(shard.edges for shard in first.shards) == 130
    assert [wheel.identifier for wheel in matrix.wheels] == ["v0.33.0-8.6", "v0.33.0-8.9", "v0.19.0-8.6"]


def test_a_shard_names_every_build_of_its_group_and_fits_the_limit(matrix: Matrix) -> None:
    shard = matrix.shards[0]
    both = ("--tag", "v0.33.0", "--arch-list", "8.6", "--arch-list", "8.9", "--shard", str(shard.share))
    assert shard.arguments == both
    assert all(shard.seconds <= RUNNER.limit for shard in matrix.shards)
    many = matrix_of(
        [wanted("v0.33.0", "8.6")],
        {0: kernels(100, build=0, shared=0)},
        replace(RUNNER, limit=1500.0, cores=2),
    )
    assert len(many.shards) > len(matrix.groups[0].shards)


def test_github_takes_the_matrix_as_it_is(matrix: Matrix, tmp_path: Path) -> None:
    text = formats.github(matrix)
    assert "\n" not in text
    loaded = json.loads(text)
    for name in ("shard", "wheel"):
        jobs = {"a": {"runs-on": "x", "strategy": {"matrix": loaded[name]}, "steps": [{"run": "true"}]}}
        workflow = {"on": "workflow_dispatch", "jobs": jobs}
        assert not complaints("github-workflows", json.dumps(workflow), tmp_path)
        assert len({one["id"] for one in loaded[name]["include"]}) == len(loaded[name]["include"])
    assert loaded["shard"]["include"][0]["arguments"].endswith("--shard 1/1")


def test_gitlab_takes_the_child_pipeline(matrix: Matrix, tmp_path: Path) -> None:
    text = formats.gitlab(matrix, requirement=".")
    assert not complaints("gitlab-ci", text, tmp_path)
    pipeline = json.loads(text)
    needs = pipeline["wheel v0.19.0 8.6"]["needs"]
    assert needs == [name for name in pipeline if name.startswith("compile v0.19.0 ")]


@pytest.mark.parametrize("provider", list(Provider))
def test_the_workflow_is_valid_for_its_schema(provider: Provider, tmp_path: Path) -> None:
    text = formats.workflow(
        provider, arguments=ARGUMENTS, requirement=".[cache]", runner="windows-2022", limit=5 * 3600
    )
    schema = {Provider.GITHUB: "github-workflows", Provider.GITLAB: "gitlab-ci"}[provider]
    assert not complaints(schema, text, tmp_path)
    assert "'8.6;8.9'" in text
    assert "[[" not in text


def test_a_broken_workflow_does_not_pass(tmp_path: Path) -> None:
    without_runner = json.dumps({"on": "push", "jobs": {"a": {"steps": [{"run": "x"}]}}})
    assert "runs-on" in complaints("github-workflows", without_runner, tmp_path)
    assert complaints("gitlab-ci", json.dumps({"a": {"script": "x", "needs": 5}}), tmp_path)


def test_every_action_is_pinned_by_commit_with_its_version() -> None:
    text = formats.workflow(
        Provider.GITHUB, arguments=ARGUMENTS, requirement=".", runner="windows-2022", limit=3600
    )
    found = list(ACTION.finditer(text))
    assert len(found) == text.count("uses:")
    assert all(re.fullmatch(r"[0-9a-f]{40}", match["pin"]) for match in found)
    assert all(re.fullmatch(r"  # v\d+\.\d+\.\d+", match["comment"]) for match in found)
    assert {match["name"].split("/")[0] for match in found} == {"actions"}


def test_a_workflow_may_read_the_code_and_nothing_more() -> None:
    text = formats.workflow(
        Provider.GITHUB, arguments=ARGUMENTS, requirement=".", runner="windows-2022", limit=3600
    )
    document = YAML(typ="safe").load(text)
    assert document["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in document["jobs"].values())
    assert text.count("actions/checkout@") == text.count("persist-credentials: false")
    runs = [step["run"] for job in document["jobs"].values() for step in job["steps"] if "run" in step]
    assert not [run for run in runs if "${{" in run]  # a value in a script is a script


@pytest.mark.parametrize("word", ["a b", "$(x)", "a'b", 'a"b', "`x`", "a\nb", "${{ x }}", "a&b", "a|b", ""])
def test_what_a_shell_would_take_for_more_than_a_word_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="without quotes"):
        formats.workflow(Provider.GITHUB, arguments=[word], requirement=".", runner="x", limit=3600)
    with pytest.raises(UsageError, match="without quotes"):
        matrix_of([replace(wanted("v0.33.0", "8.6"), arguments=("--set", word))], {0: []}, RUNNER)


@pytest.mark.parametrize("requirement", ['a"; x', "$x", "a\nb", "${{ x }}"])
def test_what_pip_would_not_take_is_refused(requirement: str) -> None:
    with pytest.raises(UsageError, match="nothing that pip installs"):
        formats.workflow(Provider.GITHUB, arguments=(), requirement=requirement, runner="x", limit=3600)


@pytest.mark.parametrize(("text", "seconds"), [("5h", 18000), ("90m", 5400), ("1h30m", 5400), ("90", 5400)])
def test_a_limit_is_read(text: str, seconds: float) -> None:
    assert formats.seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "5d", "h", "-1h", "0h0m"])
def test_what_is_no_limit_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no time"):
        formats.seconds_of(text)


def plan_file(folder: Path) -> Path:
    edge = {
        "basis": "class", "bytes": 1, "codes": ["sm_86"], "identity": "i", "key": "k", "language": "CUDA",
        "memory_bytes": 1 << 30, "output": "a.o", "seconds": 60.0, "source": "<tree>/a.cu",
        "start_seconds": 0, "target": "_C",
    }  # fmt: skip
    replaced = {**edge, "identity": "another", "output": "b.o"}
    link = {**edge, "language": "link", "output": "_C.so", "identity": "l"}
    selects: dict[str, list[str]] = {"targets": [], "leave_out": [], "objects": []}
    build = {
        "tag": "v0.33.0", "archs": ["8.6"], "layers": ["windows"],
        "selects": selects, "edges": [edge, link],
    }  # fmt: skip
    small = {**build, "selects": {**selects, "targets": ["_C"]}, "edges": [edge, replaced, link]}
    file = folder / "plan.json"
    file.write_text(json.dumps({"builds": [build, small]}), encoding="utf-8")
    return file


def test_a_plan_is_enough(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = plan_file(tmp_path)
    assert [len(found) for found in pieces.from_plan(file.read_bytes()).values()] == [1, 2]
    chosen = ["--tag", "v0.33.0", "--arch-list", "8.6", "--from", str(file)]
    assert run(*chosen, "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["groups"]["v0.33.0"]["distinct_edges"] == 1
    assert run(*chosen) == 0
    assert "v0.33.0: 1 distinct of 1 compile edges" in capsys.readouterr().out
    assert run(*chosen, "--format", "github", "--out", str(tmp_path / "m.json")) == 0
    assert json.loads((tmp_path / "m.json").read_text())["shard"]["include"][0]["shard"] == "1/1"


def test_a_plan_of_something_else_is_refused(tmp_path: Path) -> None:
    file = plan_file(tmp_path)
    with pytest.raises(UsageError, match=r"has no build of v0\.33\.0 for 8\.9 \(windows\)"):
        run("--tag", "v0.33.0", "--arch-list", "8.9", "--from", str(file))
    same = ("--tag", "v0.33.0", "--arch-list", "8.6", "--from", str(file))
    with pytest.raises(UsageError, match=r"has no build of .* leave_out _C\n"):
        run(*same, "--set", "build.leave_out=_C")
    with pytest.raises(UsageError, match=r"has no build of .* \(windows \+ gcc12\)"):
        run(*same, "--set", "source.layers=gcc12")
    file.write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match="this is no plan with edges"):
        run("--tag", "v0.33.0", "--from", str(file))
    with pytest.raises(UsageError, match="cannot read"):
        run("--from", str(tmp_path / "absent.json"))


def test_builds_of_one_list_are_not_taken_for_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["--tag", "v0.33.0", "--arch-list", "8.6", "--from", str(plan_file(tmp_path)), "--json"]
    for more, edges in (([], 1), (["--set", "build.targets=_C"], 2)):
        assert run(*chosen, *more) == 0
        assert json.loads(capsys.readouterr().out)["groups"]["v0.33.0"]["edges"] == edges


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_plan_that_a_windows_shell_wrote_is_read(tmp_path: Path, encoding: str) -> None:
    content = plan_file(tmp_path).read_text(encoding="utf-8").encode(encoding)
    assert [len(found) for found in pieces.from_plan(content).values()] == [1, 2]
    for broken in (b"\xff\xfe{", b"[]", b'{"builds": [1]}', content[:-3]):
        with pytest.raises(UsageError, match="this is no plan with edges"):
            pieces.from_plan(broken)


def test_wheels_of_one_name_are_refused(tmp_path: Path) -> None:
    files = [tmp_path / folder / "w.toml" for folder in ("a", "b")]
    for file, arch in zip(files, ("8.6", "8.9"), strict=True):
        file.parent.mkdir()
        file.write_text(f'tag = "v0.33.0"\n[cuda]\narch_list = ["{arch}"]\n', encoding="utf-8")
    options = [word for file in files for word in ("--profile", str(file))]
    plan = json.loads(plan_file(tmp_path).read_bytes())
    plan["builds"][1] |= {"archs": ["8.9"], "selects": plan["builds"][0]["selects"]}
    (tmp_path / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    with pytest.raises(UsageError, match=r"several wheels would be named v0\.33\.0-w\n"):
        run(*options, "--from", str(tmp_path / "plan.json"))


def test_a_text_for_a_reader_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="for a reader") as caught:
        run("--tag", "v0.33.0", "--arch-list", "8.6", "--out", str(tmp_path / "m"))
    assert "--format json" in str(caught.value.fix)
    assert not (tmp_path / "m").exists()


def test_the_workflow_asks_for_the_same_builds(tmp_path: Path) -> None:
    out = tmp_path / "w.yml"
    options = ["--profile", "sm86", "--profile", "sm89", "--workflow", "github", "--out", str(out)]
    assert run(*options) == 0
    assert "--profile sm86 --profile sm89" in out.read_text()
