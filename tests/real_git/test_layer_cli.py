"""Layers from the command line and in a build's tree: output, JSON, exit codes, which tree is meant."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from packaging.version import Version

from tests.layered import expected, layered
from tests.patch_upstream import BASE, TAG, Upstream, nothing
from winvllm_build.build import trees
from winvllm_build.build.equipment import for_tag, layers_of
from winvllm_build.build.result import DryRun
from winvllm_build.choices import SourceKind
from winvllm_build.cli.main import run
from winvllm_build.errors import TreeStateError, UsageError
from winvllm_build.patchset.layers import select
from winvllm_build.profile.loader import ProfileRoots, resolve
from winvllm_build.profile.model import Profile, SourceSection
from winvllm_build.sources.pins import read_pins
from winvllm_build.sources.source import Source, acquire
from winvllm_build.wheel.version import wheel_version
from winvllm_build.workspace import Workspace, locked


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    return layered(tmp_path_factory.mktemp("layered"))


@pytest.fixture
def tree(template: Upstream, tmp_path: Path) -> Upstream:
    return template.copied(tmp_path / "upstream")


def places(tree: Upstream) -> list[str]:
    return ["--patches", str(tree.patches), "--tree", str(tree.folder)]


def test_apply_status_switch_and_back(tree: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["apply", TAG, "--layer", "extra", "--layer", "narrow", *places(tree)]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{TAG} + fast + extra + narrow: 7 patches applied to {tree.folder}")
    assert tree.content() == expected("fast", "extra", "narrow")
    assert run(["status", *places(tree)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{tree.folder}: outdated ({TAG}, 7 patched files: 5 outdated, 2 applied)"
    assert lines[1] == (
        "  the layers windows + fast + extra + narrow are applied, not windows; `status --layer fast --layer "
        "extra --layer narrow` compares with them; `apply` with the same options as here switches"
    )
    assert run(["status", "--layer", "narrow", "--layer", "extra", *places(tree)]) == 0
    whole = f"{tree.folder}: applied ({TAG} + fast + extra + narrow, 7 patched files)\n"
    assert capsys.readouterr().out == whole
    assert run(["apply", *places(tree)]) == 0
    assert tree.content() == expected()
    assert run(["apply", "--reverse", "--layer", "rival", *places(tree)]) == 0
    assert tree.content() == dict(BASE)


def test_a_dry_run_counts_the_lines_of_every_layer(
    tree: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["apply", "--dry-run", "--layer", "fast", *places(tree)]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["+3", "-3", "a.py"]
    assert tree.content() == dict(BASE)


def test_json_says_which_layers_are_in(tree: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["apply", "--json", "--layer", "extra", *places(tree)]) == 0
    assert json.loads(capsys.readouterr().out)["layers"] == ["windows", "fast", "extra"]
    assert run(["status", "--json", *places(tree)]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["layers"], found["applied"], found["state"]) == (
        ["windows"], ["windows", "fast", "extra"], "outdated",
    )  # fmt: skip
    assert run(["apply", "--json", "--layer", "farst", *places(tree)]) == 2
    assert 'did you mean \\"fast\\"' in capsys.readouterr().out
    tree.write({"a.py": b"mine\n"})
    assert run(["status", "--json", *places(tree)]) == 1
    dirty = json.loads(capsys.readouterr().out)
    assert (dirty["state"], dirty["applied"]) == ("dirty", ["windows", "fast", "extra"])


def test_the_commands_that_a_refusal_prints_do_what_they_say(
    tree: Upstream, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["apply", "--layer", "extra", *places(tree)]) == 0
    tree.write({"a.py": tree.content()["a.py"].replace(b"line 35\n", b"line 35, edited\n")})
    assert run(["regen", *places(tree)]) == 2
    said = [line.strip() for line in capsys.readouterr().err.splitlines() if " regen " in line]
    assert len(said) == 3
    assert run(shlex.split(said[2])[1:]) == 0
    assert b"line 35, edited" in tree.patch_file("a.py", "extra").read_bytes()
    assert run(["regen", "--relock", "--layer", "extra", *places(tree)]) == 2
    assert run(["regen", "--relock", *places(tree)]) == 0


def test_a_conflict_is_exit_code_3(tree: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["apply", *places(tree)]) == 0
    tree.write({"a.py": tree.content()["a.py"].replace(b"line 20\n", b"line twenty\n")})
    assert run(["regen", *places(tree)]) == 3
    assert "the layer narrow does not fit on top of these edits" in capsys.readouterr().err


def source_of(tree: Upstream, workspace: Workspace) -> Source:
    tree.git.out("update-ref", f"refs/tags/{TAG}", tree.commit)
    manifest = tree.patches / TAG / "patchset.toml"
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(text.replace("https://example.invalid/u", tree.folder.as_uri()), encoding="utf-8")
    return acquire(
        read_pins(manifest).upstream, kind=SourceKind.GIT, location=None, workspace=workspace, offline=False,
        on_event=nothing,
    )  # fmt: skip


def prepared(
    tree: Upstream, source: Source, *layers: str, archs: tuple[str, ...] = ("8.6",)
) -> trees.PatchedTree:
    patch_set = tree.load()
    selection = select(patch_set.manifest, layers)
    folder = trees.tree_folder(Workspace.default(), TAG, archs, selection.optional)
    with locked(folder.with_name(f"{folder.name}.lock"), f"the tree {folder}"):
        return trees.prepare(source, patch_set, folder, selection, allow_edits=False, on_event=nothing)


def test_each_combination_of_a_build_has_a_tree_of_its_own(
    tree: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = source_of(tree, Workspace.default())
    plain, extra = prepared(tree, source), prepared(tree, source, "extra")
    assert (plain.folder.name, extra.folder.name) == (f"{TAG}-sm86", f"{TAG}-sm86+fast+extra")
    assert (plain.layers, plain.patches) == (("windows",), 5)
    assert (extra.layers, extra.patches) == (("windows", "fast", "extra"), 6)
    assert Upstream(folder=plain.folder, patches=tree.patches).content() == expected()
    assert Upstream(folder=extra.folder, patches=tree.patches).content() == expected("fast", "extra")
    assert prepared(tree, source, "extra").changed == 0
    monkeypatch.chdir(tmp_path)
    patches = ["--patches", str(tree.patches)]
    for options, folder in (([], plain.folder), (["--layer", "extra"], extra.folder)):
        assert run(["status", *options, *patches]) == 0
        assert capsys.readouterr().out.startswith(f"{folder}: applied")
    assert run(["status", "--layer", "narrow", *patches]) == 2
    assert f"--layer narrow --tree {extra.folder}" in capsys.readouterr().err
    edited = extra.folder / "a.py"
    edited.write_bytes(edited.read_bytes() + b"mine\n")
    with pytest.raises(TreeStateError, match=r"edits in patched files: a\.py") as caught:
        prepared(tree, source, "extra")
    undo = str(caught.value.fix).rpartition("`winvllm-build ")[2].rstrip("`")
    assert run(shlex.split(undo)) == 0
    assert prepared(tree, source, "extra").changed == 0


def test_a_profile_names_layers(tree: Upstream, tmp_path: Path, checkout: Path) -> None:
    profile = tmp_path / "mine.toml"
    profile.write_text('tag = "v1.2.3"\n[source]\nlayers = ["extra", "rival"]\n', encoding="utf-8")
    roots = ProfileRoots(shipped=checkout / "profiles", user=tmp_path)
    found = resolve(str(profile), roots=roots, environment={}, overrides={}).profile
    assert layers_of(found, tree.patches).optional == ("fast", "extra", "rival")
    by_variable = {"WINVLLM_SOURCE__LAYERS": "narrow;fast"}
    found = resolve(str(profile), roots=roots, environment=by_variable, overrides={}).profile
    assert layers_of(found, tree.patches).optional == ("fast", "narrow")
    found = resolve(str(profile), roots=roots, environment={}, overrides={"source.layers": ""}).profile
    assert layers_of(found, tree.patches).optional == ()
    wrong = Profile(tag=TAG, source=SourceSection(layers=("narow",)))
    with pytest.raises(
        UsageError, match=r'source\.layers of v1\.2\.3: no layer named .*did you mean "narrow"'
    ):
        layers_of(wrong, tree.patches)


def test_layers_of_a_profiles_own_tag_are_no_obstacle_to_another(
    tree: Upstream, tmp_path: Path, checkout: Path
) -> None:
    profile = tmp_path / "mine.toml"
    profile.write_text('tag = "v9.9"\n[source]\nlayers = ["later", "fast"]\n', encoding="utf-8")
    roots = ProfileRoots(shipped=checkout / "profiles", user=tmp_path)
    found = resolve(str(profile), roots=roots, environment={}, overrides={"tag": TAG})
    fitted = for_tag(found, tree.patches)
    assert fitted.profile.source.layers == ("fast",)
    assert fitted.notes == (f"{TAG} has no layer later, which {profile}:3 asks for",)
    asked = {"tag": TAG, "source.layers": "later"}
    found = resolve(str(profile), roots=roots, environment={}, overrides=asked)
    assert for_tag(found, tree.patches) == found


def test_names_of_trees_and_wheels() -> None:
    assert trees.tree_name("v1", ["8.6"]) == "v1-sm86"
    assert trees.tree_name("v1", ["8.6"], ["a", "b-2"]) == "v1-sm86+a+b-2"
    many = [f"layer{number}" for number in range(12)]
    long = trees.tree_name("v1", ["8.6"], many)
    assert len(long) < 44
    assert long != trees.tree_name("v1", ["8.6"], many[:-1])
    cuda = Version("13.0")
    assert wheel_version("v0.14.1", cuda, ["8.6"]) == "0.14.1+cu130.sm86"
    assert wheel_version("v0.14.1", cuda, ["8.6"], layers=["a", "b-_2"], partial=True) == (
        "0.14.1+cu130.sm86.a.b.2.partial"
    )


def test_a_plan_says_which_layers_are_in(tmp_path: Path) -> None:
    plan = DryRun(
        tag=TAG, tree=tmp_path, layers=("windows", "fast"), build=tmp_path, ninja_targets=(), pending=(),
        total=0, left_out=(), jobs="1",
    )  # fmt: skip
    assert plan.as_data()["layers"] == ["windows", "fast"]
