"""`apply`, `status` and `regen` from the command line: output, JSON and exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.patch_upstream import BASE, TAG, Upstream, after, patched
from winvllm_build.cli.main import run
from winvllm_build.workspace import Workspace


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    return patched(tmp_path_factory.mktemp("template"))


@pytest.fixture
def upstream(template: Upstream, tmp_path: Path) -> Upstream:
    return template.copied(tmp_path / "upstream")


def places(upstream: Upstream) -> list[str]:
    return ["--patches", str(upstream.patches), "--tree", str(upstream.folder)]


def test_apply_status_and_back(upstream: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["status", *places(upstream)]) == 0
    assert "pristine" in capsys.readouterr().out
    assert run(["apply", TAG, *places(upstream)]) == 0
    assert f"{TAG}: 5 patches applied to" in capsys.readouterr().out
    assert upstream.content() == after()
    assert run(["apply", *places(upstream)]) == 0
    assert "nothing to do" in capsys.readouterr().out
    assert run(["apply", "--reverse", *places(upstream)]) == 0
    assert upstream.content() == dict(BASE)


def test_a_dry_run_lists_the_files(upstream: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["apply", "--dry-run", *places(upstream)]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["a.py", "csrc/k.cu"]
    assert upstream.content() == dict(BASE)


def test_json_is_data_only(upstream: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    for command, key in (("status", "state"), ("apply", "tree"), ("regen", "written")):
        assert run([command, "--json", *places(upstream)]) == 0
        assert key in json.loads(capsys.readouterr().out)
    upstream.write({"a.py": b"mine\n"})
    assert run(["apply", "--json", *places(upstream)]) == 10
    assert json.loads(capsys.readouterr().out)["error"]["class"] == "TreeStateError"


def test_exit_codes(upstream: Upstream, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = ["--tree", str(tmp_path)]
    assert run(["status", "--patches", str(upstream.patches), *tree]) == 10
    assert "foreign" in capsys.readouterr().out
    assert run(["apply", "v9", *places(upstream)]) == 9
    assert "available: v1.2.3" in capsys.readouterr().err
    assert run(["apply", TAG, "--tag", "v9", *places(upstream)]) == 2
    assert run(["regen", "--relock", "--check", *places(upstream)]) == 2
    assert run(["apply", "--patches", str(upstream.patches)]) == 2
    upstream.write({"a.py": b"mine\n"})
    assert run(["status", *places(upstream)]) == 1
    assert run(["apply", "--check", *places(upstream)]) == 1
    assert run(["regen", "--check", *places(upstream)]) == 1
    assert run(["apply", "--restore", *places(upstream)]) == 0
    assert "refs/winvllm/saved/" in capsys.readouterr().err
    assert upstream.content() == after()


def test_the_tree_the_tool_made_is_found(upstream: Upstream, capsys: pytest.CaptureFixture[str]) -> None:
    trees = Workspace.default().trees
    trees.mkdir(parents=True)
    upstream.folder.rename(trees / f"{TAG}-sm86")
    assert run(["status", "--patches", str(upstream.patches)]) == 0
    assert f"{TAG}-sm86: pristine" in capsys.readouterr().out
    (trees / f"{TAG}-sm75").mkdir()
    assert run(["status", "--patches", str(upstream.patches)]) == 2
    assert "several trees" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["apply", "status", "regen"])
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    assert "Examples:" in capsys.readouterr().out
