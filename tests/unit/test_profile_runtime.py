"""The keys of `[runtime]`, and the indexes of torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from winvllm_build.profile.loader import ProfileRoots, resolve
from winvllm_build.profile.problem import InvalidProfileError


def values(tmp_path: Path, text: str, **environment: str) -> dict[str, object]:
    file = tmp_path / "p.toml"
    file.write_text(text, encoding="utf-8")
    found = resolve(
        str(file),
        roots=ProfileRoots(shipped=tmp_path, user=tmp_path),
        environment=environment,
        overrides={},
    )
    runtime: dict[str, object] = found.profile.runtime.model_dump(mode="json")
    return {**runtime, "indexes": found.profile.torch.indexes}


def test_all_is_vllms_own_choice_unless_it_is_said(tmp_path: Path) -> None:
    assert values(tmp_path, "") == {
        "model": "",
        "gpu_memory_utilization": "auto",
        "max_model_len": "auto",
        "max_num_seqs": "auto",
        "dtype": "auto",
        "enforce_eager": "auto",
        "kv_cache_dtype": "auto",
        "indexes": (),
    }


def test_variables_are_read_as_their_keys_want(tmp_path: Path) -> None:
    found = values(
        tmp_path,
        "[runtime]\nmax_model_len = 4096",
        WINVLLM_RUNTIME__ENFORCE_EAGER="yes",
        WINVLLM_RUNTIME__GPU_MEMORY_UTILIZATION="0.7",
        WINVLLM_RUNTIME__MAX_MODEL_LEN="auto",
        WINVLLM_RUNTIME__KV_CACHE_DTYPE="fp8",
        WINVLLM_TORCH__INDEXES="https://a.example/cu130;file:///mirror/cu130",
    )
    assert found["enforce_eager"] is True
    assert found["gpu_memory_utilization"] == 0.7
    assert found["max_model_len"] == "auto"
    assert found["kv_cache_dtype"] == "fp8"
    assert found["indexes"] == ("https://a.example/cu130", "file:///mirror/cu130")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[runtime]\ngpu_memory_utilization = 0", "a share such as 0.85"),
        ("[runtime]\ngpu_memory_utilization = 85", "a share such as 0.85"),
        ("[runtime]\ngpu_memory_utilization = true", "a share such as 0.85"),
        ("[runtime]\nmax_model_len = 0", "a whole number from 1"),
        ("[runtime]\nmax_num_seqs = '8'", "write 8 without quotes"),
        ("[runtime]\nenforce_eager = 1", '"auto", true or false'),
        ("[runtime]\nenforce_eager = 'aut'", 'did you mean "auto"'),
        ("[runtime]\ndtype = 'bf16'", "expected one of auto, float16, bfloat16, float32"),
        ("[runtime]\nkv_cache_dtype = 'int4'", "expected one of auto, fp8"),
        ('[runtime]\nmodel = "a\\u0007"', "U+0007"),
        ("[runtime]\nmax_len = 1", "unknown key"),
        ("[torch]\nindexes = ['https://me:secret@a.example/x']", "user or password"),
        ("[torch]\nindexes = ['a.example/x']", "is not the address of an index"),
        ("[torch]\nindexes = ['https://a.example/x y']", "is not the address of an index"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InvalidProfileError) as caught:
        values(tmp_path, text)
    assert said in str(caught.value)
