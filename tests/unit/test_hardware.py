"""`winvllm-build detect`: the same values as `profile detect`, in the words of those who run models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.kv_caches import model
from winvllm_build.cli.main import run
from winvllm_build.errors import UsageError
from winvllm_build.toolchain import gpu


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    capsys.readouterr()
    assert run([*words, "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize(
    ("card", "name", "quantization", "attention"),
    [
        ("RTX 2060,8GB,7.5", "entry", "4bit", "TRITON_ATTN"),
        ("RTX 3060,12GB,8.6", "prosumer", "4bit", "FLASH_ATTN"),
        ("RTX 4090,24GB,8.9", "enthusiast", "none", "FLASH_ATTN"),
    ],
)
def test_the_classes_of_cards(
    capsys: pytest.CaptureFixture[str], card: str, name: str, quantization: str, attention: str
) -> None:
    stated = ("--gpu", card, "--system", "windows", "--ram", "32GB")
    found = told(capsys, "detect", *stated)
    assert (found["device"], found["profile"]["name"]) == ("cuda", name)
    values = {key: entry["value"] for key, entry in found["recommended"].items()}
    assert (values["quantization"], values["attention"]) == (quantization, attention)
    profile = told(capsys, "profile", "detect", *stated)["values"]
    for key, entry in profile.items():
        table, _, short = key.rpartition(".")
        assert (found["recommended"][short] if table == "runtime" else found["build"][key]) == entry
    assert all(entry["reason"] for entry in found["recommended"].values())


def test_the_text_has_no_values_of_python_and_its_columns_are_straight(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("detect", "--gpu", "RTX 4090,24GB,8.9", "--system", "windows", "--ram", "32GB")
    found = told(capsys, *words)
    assert run(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "  build.leave_out  _vllm_fa3_C  FlashAttention-3 is for 9.0 only" in lines
    assert any(line.split()[:2] == ["enforce_eager", "false"] for line in lines)
    for section in ("recommended", "build"):
        told_at = {
            line.index(entry["reason"])
            for name, entry in found[section].items()
            for line in lines
            if line.split()[0] == name and entry["reason"] in line
        }
        assert len(told_at) == 1


def test_a_model_is_reckoned_with(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = model(tmp_path / "model").folder
    assert told(capsys, "detect", str(folder), "--gpu", "RTX 3060,12GB,8.6")["fits"] is False
    found = told(capsys, "detect", str(folder), "--gpu", "RTX 3090,24GB,8.6")
    assert found["fits"] is True
    assert found["recommended"]["model"]["value"] == str(folder)
    assert run(["detect", str(tmp_path / "nothing"), "--gpu", "RTX 3060,12GB,8.6"]) == 2


@pytest.mark.parametrize(("system", "together"), [("windows", 1), ("linux", 2)])
def test_two_cards(capsys: pytest.CaptureFixture[str], system: str, together: int) -> None:
    cards = ("--gpu", "RTX 4090,24GB,8.9", "--gpu", "RTX 3060,12GB,8.6")
    found = told(capsys, "detect", *cards, "--system", system)
    assert found["recommended"]["tensor_parallel_size"]["value"] == together
    assert found["name"] == "RTX 3060"  # what the settings have to fit
    assert len(found["gpus"]) == 2


def test_a_machine_without_a_card(capsys: pytest.CaptureFixture[str]) -> None:
    if gpu.read().gpus:
        pytest.skip("this machine has a GPU")
    found = told(capsys, "detect", "--ram", "8GB")
    assert (found["device"], found["profile"]["name"]) == ("cpu", "cpu")
    assert found["recommended"]["engine"]["value"] == "transformers"
    assert found["recommended"]["max_num_seqs"]["value"] == 1
    assert run(["detect"]) == 0
    shown = capsys.readouterr().out
    assert "profile    cpu" in shown
    assert "engine         transformers" in shown


def test_a_model_is_looked_for_without_a_card_too(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    if gpu.read().gpus:
        pytest.skip("this machine has a GPU")
    assert run(["detect", str(tmp_path / "gone")]) == UsageError.exit_code
    assert "neither a folder with a config.json" in capsys.readouterr().err
    folder = model(tmp_path / "tiny").folder
    assert f"{folder} is not reckoned with" in told(capsys, "detect", str(folder))["notes"][-2]
