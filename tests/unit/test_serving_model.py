"""The model that is served: folders, files and names, and what is left to the engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kv_caches import model as caches_model
from tests.serving_plans import made, profile
from winvllm_build.errors import OfflineError, UsageError
from winvllm_build.serving import model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return caches_model(tmp_path / "Qwen-Tiny").folder


def test_a_profile_names_the_model_and_speaks_for_no_other(folder: Path, tmp_path: Path) -> None:
    own = profile(tmp_path, f"model = '{folder}'", "max_num_seqs = 3")
    assert made(None, profile=own).settings["max-num-seqs"].value == 3
    other = caches_model(tmp_path / "other").folder
    found = made(other, profile=own)
    assert found.settings["max-num-seqs"].value == 64
    assert any("is not taken for" in note for note in found.notes)


def test_a_model_is_the_profiles_however_it_is_written(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    written = (f"{folder}", "./Qwen-Tiny", "Qwen-Tiny/", "~/Qwen-Tiny", "Qwen-Tiny/config.json")
    for own in written:
        for asked in (None, *written):
            found = made(asked, profile=profile(tmp_path, f"model = '{own}'", "max_num_seqs = 3"))
            assert found.settings["max-num-seqs"].value == 3, (own, asked)
    cached = caches_model(tmp_path / "hub" / "models--Qwen--Qwen3-0.6B" / "snapshots" / "1").folder
    for own, asked in (("qwen3-0.6b", "Qwen/Qwen3-0.6B"), ("Qwen/Qwen3-0.6B", str(cached))):
        own_profile = profile(tmp_path, f"model = '{own}'", "max_num_seqs = 3")
        found = made(asked, profile=own_profile, inherited={"HF_HUB_CACHE": str(tmp_path / "hub")})
        assert found.settings["max-num-seqs"].value == 3


def test_folders_that_are_no_models(tmp_path: Path, folder: Path) -> None:
    refused = {"empty": [], "gguf": ["a.Q4_K_M.gguf"], "adapter": ["adapter_config.json"], "part": ["x.bin"]}
    words = {
        "empty": "it is empty",
        "gguf": "GGUF file, a.Q4",
        "adapter": "LoRA",
        "part": "what makes a model",
    }
    for name, files in refused.items():
        (tmp_path / name).mkdir()
        for file in files:
            (tmp_path / name / file).touch()
        with pytest.raises(UsageError, match=words[name]):
            made(tmp_path / name)
    with pytest.raises(UsageError, match="is a file"):
        made(tmp_path / "part" / "x.bin")
    with pytest.raises(UsageError, match="does not exist"):
        made(tmp_path / "nowhere")
    for name in ("~nosuchuser/x", "n" * 300):
        with pytest.raises(UsageError, match="is no name of a model"):
            made(name)
    with pytest.raises(UsageError, match="no model is named"):
        made(None)
    assert made(folder / "config.json").served.argument == str(folder)
    (tmp_path / "link").symlink_to(folder)
    assert made(tmp_path / "link").served.names[0] == "link"


def test_a_gguf_file_is_for_those_who_know(tmp_path: Path) -> None:
    file = tmp_path / "tiny.gguf"
    file.touch()
    with pytest.raises(UsageError, match="is a GGUF file") as caught:
        made(file)
    assert "--tokenizer" in str(caught.value.fix)
    assert made(file, passed=("--tokenizer", "a/b")).arguments[1] == str(file)


def test_a_name_of_the_hub(tmp_path: Path) -> None:
    environ = {"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    with pytest.raises(OfflineError, match="HF_HUB_OFFLINE forbids"):
        made("author/model", inherited=environ)
    cached = tmp_path / "hub" / "models--author--model" / "snapshots" / "1"
    caches_model(cached)
    found = made("author/model", inherited=environ)
    assert found.served.names == ("author/model",)
    assert found.served.files is not None
    long = "Qwen/Qwen3-0.6B"
    caches_model(tmp_path / "hub" / f"models--{long.replace('/', '--')}" / "snapshots" / "1")
    found = made("qwen3-0.6b", inherited=environ)
    assert (found.served.argument, found.served.names) == (long, (long, "qwen3-0.6b"))


@pytest.mark.parametrize(
    ("kinds", "words"),
    [
        (["GatedRepoError", "RepositoryNotFoundError"], "after a login"),
        (["RepositoryNotFoundError", "HfHubHTTPError"], "nor a model that"),
        (["LocalEntryNotFoundError", "EntryNotFoundError"], "network does not answer"),
        (["EntryNotFoundError"], "has no config.json at"),
        (["huggingface_hub"], "has no huggingface_hub"),
        (["ValueError"], r"does not tell about a/b \(first\)"),
    ],
)
def test_what_the_hubs_client_raises(kinds: list[str], words: str) -> None:
    """The names are those of huggingface_hub 2.4, whose classes inherit in this order."""
    problem = model._problem("a/b", kinds, ["first", "second"])
    with pytest.raises(type(problem), match=words):
        raise problem
    assert problem.fix


@pytest.mark.parametrize(
    ("name", "passed", "inherited"),
    [
        ("s3://bucket/model", (), {}),
        ("author/model:Q4_K_M", (), {}),
        ("author/model", ("--revision", "v1"), {}),
        ("author/model", ("--hf-token=t",), {}),
        ("author/model", (), {"VLLM_USE_MODELSCOPE": "True"}),
    ],
)
def test_what_the_engine_gets_by_itself_is_left_to_it(
    name: str, passed: tuple[str, ...], inherited: dict[str, str]
) -> None:
    found = made(name, passed=passed, inherited={**inherited, "HF_HUB_OFFLINE": "1"})
    assert found.arguments[1] == name
    assert any("is not looked at" in note for note in found.notes)


def test_a_folder_that_is_read_otherwise_is_left_to_the_engine(tmp_path: Path, folder: Path) -> None:
    for name, file, passed in (("a", "params.json", ()), ("b", "x.bin", ("--load-format", "tensorizer"))):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).touch()
        assert made(tmp_path / name, passed=passed).served.names[0] == name
    assert made(folder, passed=("--load-format", "auto")).served.files is not None
