"""`winvllm-build profile`: what is printed, and which failure comes out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from winvllm_build.errors import FindingsError, ProfileError, UsageError


def run(profile_app: typer.Typer, *arguments: str) -> object:
    return profile_app(["profile", *arguments], standalone_mode=False)


def test_list(profile_app: typer.Typer, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(profile_app, "list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["PROFILE", "FROM", "DESCRIPTION"]
    assert any(line.startswith("sm86 ") and " shipped " in line for line in lines)
    run(profile_app, "list", "--json")
    assert {"quickstart", "datacenter"} <= {entry["name"] for entry in json.loads(capsys.readouterr().out)}


def test_show_prints_every_value_with_its_origin(
    profile_app: typer.Typer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "winvllm-build.toml").write_text('[environment]\nA = "b"\n')
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", "8.9")
    run(profile_app, "show", "sm86", "--set", "build.max_jobs=4")
    printed = capsys.readouterr()
    lines = {line.split(" = ")[0]: line for line in printed.out.splitlines()}
    assert lines["build.max_jobs"].split("  # ")[0].rstrip() == "build.max_jobs = 4"
    assert lines["build.max_jobs"].endswith("  # command line (build.max_jobs)")
    assert lines["environment.A"].endswith(f"# {tmp_path / 'winvllm-build.toml'}:2")
    assert lines["cuda.arch_list"].endswith("# environment variable TORCH_CUDA_ARCH_LIST")
    assert lines["build.type"].endswith("# default")
    assert "note: environment variable TORCH_CUDA_ARCH_LIST replaces cuda.arch_list of" in printed.err


def test_show_as_json(profile_app: typer.Typer, capsys: pytest.CaptureFixture[str]) -> None:
    run(profile_app, "show", "sm120", "--json")
    shown = json.loads(capsys.readouterr().out)
    assert shown["profile"]["cuda"]["arch_list"] == ["12.0"]
    assert shown["origins"]["torch.source"] == "default"
    assert shown["name"] == "sm120"


def test_show_on_a_terminal_is_a_table(
    profile_app: typer.Typer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    run(profile_app, "show", "sm75")
    assert "KEY" in capsys.readouterr().out


def test_show_refuses_an_unknown_name_and_a_bad_setting(profile_app: typer.Typer) -> None:
    with pytest.raises(ProfileError, match='did you mean "sm86"'):
        run(profile_app, "show", "sm867")
    with pytest.raises(UsageError, match="KEY=VALUE"):
        run(profile_app, "show", "sm86", "--set", "wheel")


def test_schema_and_path(
    profile_app: typer.Typer, capsys: pytest.CaptureFixture[str], hermetic_seal: Path
) -> None:
    run(profile_app, "schema")
    assert json.loads(capsys.readouterr().out)["title"] == "Profile"
    run(profile_app, "path", "--json")
    places = {entry["what"]: entry for entry in json.loads(capsys.readouterr().out)}
    assert places["shipped profiles"]["state"] == "found"
    assert Path(places["user settings"]["path"]).is_relative_to(hermetic_seal)
    run(profile_app, "path")
    assert "not there" in capsys.readouterr().out


def test_check_finds_nothing_in_what_is_shipped(
    profile_app: typer.Typer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(profile_app, "check") == 0
    assert "no problem found" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[cuda]\narch_lst = 1\n[build]\nmax_jobs = 0\n", r"bad\.toml:2: cuda\.arch_lst(.|\n)*bad\.toml:4"),
        ('[cuda]\nversion = "==12.6.*"\narch_list = ["12.0"]\n', r"bad\.toml:3: cuda\.arch_list: no toolkit"),
        ('inherit = "none-such"\n', r"bad\.toml:1: inherit: there is no profile"),
    ],
)
def test_check_tells_all_problems_of_a_file(
    profile_app: typer.Typer, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(FindingsError, match=said):
        run(profile_app, "check", "bad.toml")


def test_a_file_that_is_not_there_is_no_finding_of_a_check(profile_app: typer.Typer) -> None:
    with pytest.raises(ProfileError, match=r"there is no file gone\.toml"):
        run(profile_app, "check", "gone.toml")


def test_show_tells_which_file_named_the_profile(
    profile_app: typer.Typer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = tmp_path / "winvllm-build.toml"
    project.write_text('tag = "v0.14.1"\ninherit = "sm86"\n')
    run(profile_app, "show")
    lines = capsys.readouterr().out.splitlines()
    (line,) = (line for line in lines if line.startswith("inherit = "))
    assert line.split() == ["inherit", "=", '"sm86"', "#", f"{project}:2"]
    run(profile_app, "show", "sm89")
    assert "inherit = - " in capsys.readouterr().out


def test_check_as_data(profile_app: typer.Typer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.toml").write_text("[build]\nwheel = 1\n")
    assert run(profile_app, "check", "bad.toml", "--json") == FindingsError.exit_code
    found = json.loads(capsys.readouterr().out)
    (problem,) = found["problems"]
    assert (problem["key"], problem["line"], problem["layer"]) == ("build.wheel", 2, "user")
    assert problem["source"].endswith("bad.toml")
    assert run(profile_app, "check", "--json") == 0
    assert json.loads(capsys.readouterr().out)["problems"] == []


def test_check_without_a_file_includes_the_project(profile_app: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "winvllm-build.toml").write_text("[build]\nwheel = 1\n")
    with pytest.raises(FindingsError, match=r"winvllm-build\.toml:2: build\.wheel") as caught:
        run(profile_app, "check")
    assert str(caught.value).count("build.wheel") == 1
