"""`winvllm-build doctor` as a user starts it, on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from winvllm_build.cli.main import run
from winvllm_build.doctor.checks import CHECKS
from winvllm_build.doctor.finding import Status


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = run(["doctor", *arguments])
    return code, capsys.readouterr().out


def test_every_check_is_in_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = asked(capsys, "--json", "--profile", "sm86")
    data = json.loads(said)
    assert {one["id"] for one in data["findings"]} == {check.id for check in CHECKS}
    assert {one["status"] for one in data["findings"]} <= {status.value for status in Status}
    assert code == int(any(one["status"] == "problem" for one in data["findings"]))
    assert data["profile"] == "sm86"


def test_a_variable_that_names_bin_is_a_problem_with_its_repair(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_HOME", str(tmp_path / "cuda" / "bin"))
    code, said = asked(capsys)
    assert code == 1
    lines = said.splitlines()
    first = next(at for at, line in enumerate(lines) if "cuda-home" in line)
    assert lines[first].strip().startswith("problem")
    assert lines[first + 1].strip() == f"fix: export CUDA_HOME={tmp_path / 'cuda'}"


@pytest.mark.parametrize("below", ["", "sub/folder"])
def test_a_workspace_that_cannot_be_made_is_a_problem(
    below: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a-file"
    file.touch()
    monkeypatch.setenv("WINVLLM_BUILD_HOME", str(file / below))
    code, said = asked(capsys, "--json")
    disk = next(one for one in json.loads(said)["findings"] if one["id"] == "disk")
    assert (code, disk["status"]) == (1, "problem")
    assert disk["detail"] == f"the workspace {file / below} cannot be made: {file} is no folder"
    assert disk["fix"].startswith("export WINVLLM_BUILD_HOME=")


def test_a_workspace_that_has_yet_to_be_made_is_none(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WINVLLM_BUILD_HOME", str(tmp_path / "new" / "folder"))
    _, said = asked(capsys, "--json")
    assert "is no folder" not in said
    assert not (tmp_path / "new").exists()


def test_warnings_fail_only_where_they_are_to(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    _, said = asked(capsys, "--json")
    grave = [one for one in json.loads(said)["findings"] if one["status"] == "problem"]
    assert asked(capsys)[0] == int(bool(grave))
    assert asked(capsys, "--strict")[0] == 1


def test_a_profile_that_a_build_would_refuse_is_a_problem(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = asked(capsys, "--arch", "8.6", "--set", "cuda.home=/nowhere", "--json")
    assert code == 1
    found = [one for one in json.loads(said)["findings"] if one["id"] == "profile"]
    assert [one["status"] for one in found] == ["problem"]
    assert "cuda.home: /nowhere is no CUDA toolkit" in found[0]["detail"]


def test_a_tag_without_patches_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = asked(capsys, "--tag", "v0.1.0", "--json")
    assert code == 6
    assert "no patch set for v0.1.0" in json.loads(said)["error"]["message"]


def test_the_patch_sets_have_their_own_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = asked(capsys, "patches", "--help")
    assert code == 0
    assert "--online" in said
