"""`winvllm-build profile detect`: a file that loads again, refusals, and a machine that is stated."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from tests.kv_caches import model
from winvllm_build.cli.main import run as run_main
from winvllm_build.errors import ToolchainError, UsageError
from winvllm_build.profile.loader import ProfileRoots, resolve
from winvllm_build.profile.validate import ToolkitFacts, check
from winvllm_build.runtime import document
from winvllm_build.runtime.setting import Setting
from winvllm_build.toolchain import gpu

CARD = ("--gpu", "RTX 3060,12GB,8.6", "--system", "windows", "--ram", "32GB")


def run(profile_app: typer.Typer, *arguments: str) -> object:
    return profile_app(["profile", *arguments], standalone_mode=False)


def test_the_file_is_a_profile(
    profile_app: typer.Typer, tmp_path: Path, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = model(tmp_path / "model", quantization_config={"quant_method": "awq", "bits": 4}).folder
    assert run(profile_app, "detect", *CARD, "--model", str(folder), "--output", "my.toml", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    roots = ProfileRoots(shipped=checkout / "profiles", user=tmp_path)
    found = resolve(str(tmp_path / "my.toml"), roots=roots, environment={}, overrides={})
    assert check(found.profile, ToolkitFacts()) == []
    runtime = found.profile.runtime.model_dump(mode="json")
    for key, entry in data["values"].items():
        if key.startswith("runtime."):
            assert runtime[key.removeprefix("runtime.")] == entry["value"], key
    assert found.profile.cuda.arch_list == ("8.6",)
    assert found.profile.build.leave_out == ("_vllm_fa3_C",)
    assert data["fits"] is True
    assert run(profile_app, "show", "my.toml") == 0
    assert "runtime.max_model_len = " in capsys.readouterr().out
    assert run(profile_app, "check", "my.toml") == 0


def test_each_value_has_its_reason_above_it(
    profile_app: typer.Typer, capsys: pytest.CaptureFixture[str]
) -> None:
    run(profile_app, "detect", *CARD)
    lines = capsys.readouterr().out.splitlines()
    keys = [index for index, line in enumerate(lines) if " = " in line and not line.startswith("#")]
    assert len(keys) > 10
    assert all(lines[i - 1].startswith("# ") for i in keys if not lines[i].startswith("description"))


def test_a_file_is_replaced_only_by_force(profile_app: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=r"my\.toml exists") as caught:
        run(profile_app, "detect", *CARD, "--output", "my.toml")
    assert "--force" in str(caught.value.fix)
    assert (tmp_path / "my.toml").read_text(encoding="utf-8") == "mine"
    run(profile_app, "detect", *CARD, "--output", "my.toml", "--force")
    assert "[runtime]" in (tmp_path / "my.toml").read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="folder of"):
        run(profile_app, "detect", *CARD, "--output", "no/my.toml")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--gpu", "RTX,12GB,8.6", "--vram", "8GB"), "names the memory already"),
        ((*CARD, "--tag", "v0.1.0"), "no patch set"),
        ((*CARD, "--system", "beos"), "neither windows nor linux"),
        ((*CARD, "--model", "no/where"), "neither a folder"),
        ((*CARD, "--ram", "much"), "--ram"),
    ],
)
def test_what_cannot_be_is_refused(profile_app: typer.Typer, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        run(profile_app, "detect", *arguments)
    assert caught.value.fix


def test_an_older_tag_has_no_triton_on_windows(
    profile_app: typer.Typer, capsys: pytest.CaptureFixture[str]
) -> None:
    run(profile_app, "detect", *CARD, "--tag", "v0.14.1", "--json")
    values = json.loads(capsys.readouterr().out)["values"]
    assert values["runtime.enforce_eager"]["value"] is True
    assert "no Triton" in values["runtime.enforce_eager"]["reason"]
    assert "torch 2.9.1" in values["cuda.version"]["reason"]


def test_no_reason_ends_its_comment() -> None:
    nasty = "a\nkey = 1\r\u2028b\x7f"
    text = document.toml([nasty], 'x"\n', {"tag": Setting(value="v1", reason=nasty)})
    assert [line for line in text.split("\n") if line and not line.startswith("#")] == [
        'description = "x\\"\\n"',
        'tag = "v1"',
    ]


def test_doctor_writes_it_and_checks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where there is no GPU, nothing is written and the reason is told."""
    monkeypatch.chdir(tmp_path)
    if gpu.read().gpus:
        assert run_main(["doctor", "--write-profile", "my.toml"]) in {0, 1}
        assert "[runtime]" in (tmp_path / "my.toml").read_text(encoding="utf-8")
    else:
        assert run_main(["doctor", "--write-profile", "my.toml"]) == ToolchainError.exit_code
        assert not (tmp_path / "my.toml").exists()
        assert "--gpu" in capsys.readouterr().err
    assert run_main(["doctor", "--write-profile", "x.toml", "--profile", "sm86"]) == UsageError.exit_code
