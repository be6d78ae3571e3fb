"""`serve` as it is typed: what is wrong in any environment is told before an environment is looked at."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.serving import model
from winvllm_build.cli.main import run
from winvllm_build.errors import OfflineError, UsageError
from winvllm_build.fallback import command
from winvllm_build.fallback import options as fallback_options
from winvllm_build.serving import options, target

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

NO_PYTHON = ("--python", "no-such-python", "--dry-run")
ASKED = 'there is no Python "no-such-python"'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return model(tmp_path / "tiny")


def serve(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = run(["serve", *words[:1], *NO_PYTHON, *words[1:]])
    return code, capsys.readouterr().err


def test_the_environment_is_looked_at_where_nothing_is_wrong(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, told = serve(capsys, str(folder), "--port", "0")
    assert (code, ASKED in told) == (UsageError.exit_code, True)


@pytest.mark.parametrize("engine", ["auto", "vllm", "transformers"])
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--port", "70000"), "--port 70000 is no port"),
        (("--host", "a..b"), "is no address"),
        (("--gpu-memory-utilization", "1.5"), "1.5 is no share"),
        (("--max-model-len", "banana"), "neither a number of tokens"),
        (("--max-num-seqs", "0"), "less than 1"),
        (("--dtype", "float8"), '"float8" is none of'),
        (("--tensor-parallel-size", "0"), "at least 1"),
        (("--", "--port", "http"), "is no number"),
        (("--", "--headless"), "--headless is not for this command"),
    ],
)
def test_a_wrong_value_comes_first(
    folder: Path, capsys: pytest.CaptureFixture[str], engine: str, words: tuple[str, ...], told: str
) -> None:
    code, said = serve(capsys, str(folder), "--engine", engine, *words)
    assert (code, told in said, ASKED in said) == (UsageError.exit_code, True, False)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("x.gguf", "is a GGUF file"),
        ("nope.gguf", "does not exist"),
        ("./nope", "does not exist"),
        ("empty", "has no config.json: it is empty"),
        ("--port=0", "no model is named"),
    ],
)
def test_a_wrong_model_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x.gguf").touch()
    Path("empty").mkdir()
    code, said = serve(capsys, name)
    assert (code, told in said, ASKED in said) == (UsageError.exit_code, True, False)


def test_what_has_to_be_downloaded_is_asked_in_an_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ASKED in serve(capsys, "author/model")[1]
    assert ASKED in serve(capsys, "author/model:Q4_K_M")[1]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, said = serve(capsys, "author/model")
    assert (code, "HF_HUB_OFFLINE forbids" in said) == (OfflineError.exit_code, True)


def test_the_manual_and_the_help_tell_the_defaults_of_both_engines(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (checkout / "docs" / "serving.md").read_text(encoding="utf-8")
    run(["serve", "--help"])
    told = " ".join(capsys.readouterr().out.split())
    own = fallback_options.read(["m"])
    for option, vllm, fallback in (
        ("--gpu-memory-utilization", options.UTILIZATION, own.gpu_memory_utilization),
        ("--max-num-seqs", options.REQUESTS, own.max_num_seqs),
    ):
        assert f"\n| `{option}` | {vllm} | {fallback} |" in page
        assert f"(computed; {vllm}, fallback {fallback})" in told


def test_what_the_fallback_needs_is_said_in_one_way(checkout: Path) -> None:
    table = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
    extra = {re.split(r"[<>=]", one)[0]: one for one in table["project"]["optional-dependencies"]["fallback"]}
    assert set(extra) == set(target.FALLBACK)
    bounded = {name: one for name, one in target.FALLBACK.items() if one != name}
    assert bounded == {name: extra[name] for name in bounded} != {}
    assert {name.replace("-", "_") for name in extra} == command.PACKAGES
    page = (checkout / "docs" / "fallback.md").read_text(encoding="utf-8")
    assert f"\n    {command.NEEDED}\n" in page
