"""The settings of a card: by its size, and by what a model leaves of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as settings_of
from hypothesis import strategies as st
from packaging.version import Version

from tests.kv_caches import model, recorded
from winvllm_build.choices import KvCacheType, ModelType
from winvllm_build.errors import ToolchainError, UsageError
from winvllm_build.runtime import budget, building, detection, fitting, settings, stated
from winvllm_build.runtime.building import TagNeeds
from winvllm_build.runtime.fitting import Plan
from winvllm_build.runtime.host import GIB, Host
from winvllm_build.runtime.modelfiles import Model
from winvllm_build.toolchain.gpu import Absence, DriverModel, Gpu, Gpus

HOST = Host(
    windows=True, memory_total=64 * GIB, memory_free=50 * GIB, page_file_free=8 * GIB, cores=16,
    disk_free=200 * GIB,
)  # fmt: skip
NEEDS = TagNeeds(tag="v0.33.0", reason="as asked", torch="2.14.0", cuda=">=12.6,<14")
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128}


def card(text: str, *, windows: bool = True) -> Gpu:
    return stated.gpu(text, index=0, windows=windows)


RTX_2060 = card("RTX 2060,6GB,7.5")
RTX_3060 = card("RTX 3060,12GB,8.6")
RTX_4090 = card("RTX 4090,24GB,8.9")
RTX_5090 = card("RTX 5090,32GB,12.0")


@pytest.mark.parametrize(
    ("gpu", "length", "requests"), [(RTX_2060, 2048, 4), (RTX_3060, 4096, 12), (RTX_4090, 8192, 32)]
)
def test_without_a_model_the_size_of_the_card_decides(gpu: Gpu, length: int, requests: int) -> None:
    found = settings.choose(gpu, HOST, None)
    assert (found.max_model_len.value, found.max_num_seqs.value) == (length, requests)
    assert found.fits is None


def test_windows_keeps_a_share_of_a_card_it_draws_with() -> None:
    on_linux = replace(RTX_3060, model=None, shows_display=None)
    assert budget.budget(on_linux).utilization == 0.92
    assert budget.budget(RTX_3060).utilization == 0.83
    assert budget.budget(replace(RTX_3060, shows_display=False)).utilization == 0.87
    assert budget.budget(replace(RTX_3060, model=DriverModel.TCC)).utilization == 0.92
    busy = budget.budget(replace(RTX_3060, memory_free=6 * GIB))
    assert busy.utilization == 0.45
    assert "other programs have 6.0 GiB" in busy.reason


@pytest.mark.parametrize("gpu", [RTX_2060, RTX_3060, RTX_4090, RTX_5090])
def test_what_is_chosen_fits_the_card(gpu: Gpu, tmp_path: Path) -> None:
    """Weights, the peak of a step, graphs and the cache of all requests stay below what is left."""
    found = settings.choose(gpu, HOST, model(tmp_path, num_hidden_layers=12, quantization_config=AWQ))
    assert found.fits
    assert found.gpu_memory_utilization.value * gpu.memory_total + budget.CONTEXT <= gpu.memory_total
    assert 256 <= found.max_model_len.value <= 40960
    assert 1 <= found.max_num_seqs.value <= 256


def test_turing_computes_in_float16_without_compiling(tmp_path: Path) -> None:
    found = settings.choose(RTX_2060, HOST, None)
    assert found.dtype.value is ModelType.FLOAT16
    assert found.enforce_eager.value
    gemma = settings.choose(RTX_2060, HOST, model(tmp_path, model_type="gemma3_text", sliding_window=1024))
    assert gemma.dtype.value is ModelType.FLOAT32
    assert settings.choose(RTX_3060, HOST, None).dtype.value is ModelType.AUTO
    assert not settings.choose(RTX_3060, HOST, None).enforce_eager.value
    assert settings.choose(RTX_3060, HOST, None, triton=False).enforce_eager.value


def test_a_model_decides_length_and_requests(tmp_path: Path) -> None:
    found = settings.choose(RTX_3060, HOST, model(tmp_path, quantization_config=AWQ))
    assert found.fits
    assert 8192 <= found.max_model_len.value < 16384
    assert "KV cache 144.0 KiB a token (36 layers)" in found.max_model_len.reason
    assert not found.enforce_eager.value
    larger = settings.choose(RTX_4090, HOST, model(tmp_path, quantization_config=AWQ))
    assert larger.max_num_seqs.value > found.max_num_seqs.value


def test_a_model_that_does_not_fit_is_told(tmp_path: Path) -> None:
    found = settings.choose(RTX_3060, HOST, model(tmp_path))
    assert found.fits is False
    assert "does not fit: weights 15.3 GiB" in found.notes[0]
    assert "quantised to fewer bits" in found.notes[0]


def test_graphs_go_first_and_half_of_the_cache_next(tmp_path: Path) -> None:
    """A card on which the weights leave less and less."""

    def on(gib: float, capability: str) -> settings.RuntimeSettings:
        gpu = card(f"card,{gib}GB,{capability}", windows=False)
        return settings.choose(gpu, replace(HOST, windows=False), model(tmp_path))

    roomy, tight, tighter = on(20, "8.9"), on(17.9, "8.9"), on(17.4, "8.9")
    assert (roomy.enforce_eager.value, roomy.kv_cache_dtype.value) == (False, KvCacheType.AUTO)
    assert (tight.enforce_eager.value, tight.kv_cache_dtype.value) == (True, KvCacheType.AUTO)
    assert (tighter.enforce_eager.value, tighter.kv_cache_dtype.value) == (True, KvCacheType.FP8)
    assert on(17.4, "8.6").kv_cache_dtype.value is KvCacheType.AUTO, "no FP8 before Ada"


def test_a_model_that_cannot_be_read_falls_back(tmp_path: Path) -> None:
    found = settings.choose(RTX_3060, HOST, model(tmp_path, model_type="deepseek_v4"))
    assert found.fits is None
    assert found.max_model_len.value == 4096
    assert "is not computed" in found.notes[0]


def test_the_table_never_exceeds_what_the_model_allows(tmp_path: Path) -> None:
    short = model(tmp_path / "a", model_type="deepseek_v4", max_position_embeddings=2048)
    found = settings.choose(RTX_4090, HOST, short)
    assert found.max_model_len.value == 2048
    assert "all that the model allows" in found.max_model_len.reason
    too_large = model(tmp_path / "b", num_hidden_layers=400, max_position_embeddings=1024)
    found = settings.choose(RTX_4090, HOST, too_large)
    assert (found.fits, found.max_model_len.value) == (False, 1024)


def test_a_large_card_computes_more_tokens_in_a_step(tmp_path: Path) -> None:
    """As vLLM's `get_batch_defaults`: from 70 GiB on 8192, from 160 on 16384, an A100 as a small one."""
    cards = {
        "H100,80GB,9.0": 8192, "A100-SXM4,80GB,8.0": 2048, "RTX PRO 6000,96GB,12.0": 8192,
        "B200,180GB,10.0": 16384, "L40S,48GB,8.9": 2048, "card,69GB,9.0": 2048,
    }  # fmt: skip
    assert {text: budget.batched(card(text)) for text in cards} == cards
    wide = model(tmp_path, intermediate_size=250_000, num_hidden_layers=4)
    reasons = [
        settings.choose(card(text), HOST, wide).max_num_seqs.reason
        for text in ("H100,80GB,9.0", "A100,80GB,8.0")
    ]
    assert "a step takes 11.8 GiB" in reasons[0]
    assert "a step takes 3.0 GiB" in reasons[1]


def test_the_longest_requests_fit_beside_the_sampling_of_all(tmp_path: Path) -> None:
    """A vocabulary of a million: sampling for 32 requests takes what was left for the second long one."""
    wide = model(tmp_path, vocab_size=1_000_000, num_hidden_layers=1, max_position_embeddings=1 << 20)
    for gib in range(8, 40):
        gpu = card(f"card,{gib}GB,8.6", windows=False)
        share = budget.budget(gpu)
        wanted = fitting.Wanted.of(wide, 2, share)
        found = fitting.fit(wanted, Plan(eager=True, fp8=False), together=4, target=256)
        cache = wanted.pool(found.plan)
        if found.length:
            assert cache.longest(found.cache, found.length, together=found.together) == found.length, gib


def test_what_sees_is_told_not_reckoned_with(tmp_path: Path) -> None:
    seeing = model(tmp_path, vision_config={"depth": 2}, num_hidden_layers=4)
    without_files = settings.choose(RTX_4090, HOST, seeing)
    assert without_files.fits is None
    assert "weights of vision_config" in without_files.notes[0]
    header = json.dumps({"w": {"dtype": "BF16", "data_offsets": [0, 4000]}}).encode()
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    found = settings.choose(RTX_4090, HOST, seeing)
    assert found.fits
    assert "vision_config" in found.notes[0]


JUNK = [None, 0, -1, "x", "4096", [], {}, True, 1.5, 1e300, 10**30, ["x"], {"a": 1}, float("inf"), 1]
KEYS = [
    "attn_layer_indices", "global_head_dim", "kv_lora_rank", "layer_types", "linear_attn_config",
    "max_window_layers", "multi_query", "no_rope_layers", "per_layer_config", "quantization_config",
    "text_config", "thinker_config", "vision_config",
]  # fmt: skip


@settings_of(max_examples=150, deadline=None)
@given(
    config=st.sampled_from([entry["config"] for entry in recorded().values()]),
    changes=st.dictionaries(st.sampled_from(KEYS) | st.integers(0, 30), st.sampled_from(JUNK), max_size=3),
    gpu=st.sampled_from([RTX_2060, RTX_4090, card("tiny,100,9.0")]),
)
def test_no_config_breaks_it(config: dict[str, Any], changes: dict[str | int, Any], gpu: Gpu) -> None:
    """A number stands for one of the config's own keys."""
    own = sorted(config)
    changed = {own[key % len(own)] if isinstance(key, int) else key: value for key, value in changes.items()}
    strange = Model(name="x", folder=Path("/nowhere"), config={**config, **changed})
    found = settings.choose(gpu, HOST, strange)
    assert found.max_model_len.value >= 1
    assert 1 <= found.max_num_seqs.value <= 256


def test_several_cards_are_compiled_for_and_the_smallest_is_run_on() -> None:
    gpus = Gpus(gpus=(RTX_4090, replace(RTX_3060, index=1)), cuda=Version("13.0"))
    found = detection.detect(gpus, HOST, None, NEEDS)
    assert found.values["cuda.arch_list"].value == ["8.6", "8.9"]
    assert found.runtime.max_model_len.value == 4096
    assert "GPU 1, the smallest of 2" in found.toml()


@pytest.mark.parametrize(
    ("gpu", "driver", "wanted", "note"),
    [
        (RTX_3060, "13.0", ">=12.6,<14", ""),
        (RTX_3060, "12.8", ">=12.6,<13", ""),
        (RTX_5090, None, ">=12.8,<14", ""),
        (card("V100,16GB,7.0"), None, ">=12.6,<13.0", ""),
        (card("Thor,64GB,11.0"), "12.9", ">=13.0,<14", "update the driver"),
    ],
)
def test_cuda_fits_the_card_and_the_driver(gpu: Gpu, driver: str | None, wanted: str, note: str) -> None:
    known = None if driver is None else Version(driver)
    found = building.choose([gpu], HOST, NEEDS, driver=known)
    assert found.values["cuda.version"].value == wanted
    assert note in " ".join(found.notes)


@pytest.mark.parametrize(
    ("torch", "cuda", "wanted", "said"),
    [
        ("2.14.0", ">=12.8,<13.1", ">=12.8,<13.1", "made for >=12.8"),
        ("2.14.0", ">=13.0,<14", ">=13.0,<14", ""),
        ("9.9.9", "", ">=12.6,<14", "torch 9.9.9 has to be"),
        ("", ">= 12.6, < 13", ">=12.6,<13", ""),
    ],
)
def test_cuda_is_one_that_the_tag_and_its_torch_are_for(
    torch: str, cuda: str, wanted: str, said: str
) -> None:
    needs = TagNeeds(tag="v0.99.0", reason="as asked", torch=torch, cuda=cuda)
    found = building.choose([RTX_3060], HOST, needs, driver=None).values["cuda.version"]
    assert found.value == wanted
    assert said in found.reason


def test_a_card_that_the_tag_cannot_be_built_for_is_told() -> None:
    """A Volta, and a tag for CUDA 13 alone, which no longer compiles it."""
    needs = TagNeeds(tag="v0.99.0", reason="as asked", torch="2.14.0", cuda=">=13.0,<14")
    found = building.choose([card("V100,16GB,7.0")], HOST, needs, driver=None)
    assert "13.0 no longer compiles 7.0" in found.notes[0]
    assert "v0.99.0" in found.notes[0]
    assert found.values["cuda.version"].value == ">=13.0,<14"


def test_cards_that_no_cuda_compiles_for_together() -> None:
    found = building.choose([card("V100,16GB,7.0"), card("Thor,64GB,11.0")], HOST, NEEDS, driver=None)
    assert "name fewer cards" in " ".join(found.notes)


def test_jobs_follow_cores_memory_and_page_file() -> None:
    def jobs(host: Host) -> object:
        return building.choose([RTX_3060], host, NEEDS, driver=None).values["build.max_jobs"].value

    assert jobs(HOST) == 16
    small = replace(HOST, memory_free=8 * GIB, page_file_free=0)
    assert jobs(small) == 4
    assert jobs(replace(small, page_file_free=8 * GIB)) == 9
    assert jobs(replace(small, windows=False, page_file_free=8 * GIB)) == 4
    assert jobs(replace(small, memory_free=GIB // 4)) == 1


def test_hopper_keeps_flash_attention_3() -> None:
    assert "build.leave_out" not in building.choose([card("H100,80GB,9.0")], HOST, NEEDS, driver=None).values
    assert "build.leave_out" in building.choose([RTX_3060], HOST, NEEDS, driver=None).values


def test_little_disk_is_told() -> None:
    notes = building.choose([RTX_3060], replace(HOST, disk_free=5 * GIB), NEEDS, driver=None).notes
    assert "5.0 GiB of disk" in notes[0]


@pytest.mark.parametrize("absence", list(Absence))
def test_no_gpu_is_an_error_that_says_how_to_go_on(absence: Absence) -> None:
    with pytest.raises(ToolchainError) as caught:
        detection.detect(Gpus(absence=absence), HOST, None, NEEDS)
    assert absence.value in caught.value.message
    assert "--gpu" in str(caught.value.fix)


@pytest.mark.parametrize(
    "text", ["", "RTX", "RTX,12GB", "RTX,lots,8.6", "RTX,12GB,ampere", ",12GB,8.6", "RTX,0,8.6"]
)
def test_a_card_written_wrongly_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--gpu") as caught:
        stated.gpu(text, index=0, windows=False)
    assert "RTX 3060" in str(caught.value.fix)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("12", 12 * GIB), ("12GB", 12 * GIB), ("8188 MiB", 8188 << 20), ("0.5t", 512 * GIB), ("100b", 100)],
)
def test_amounts_of_memory(text: str, wanted: int) -> None:
    assert stated.size(text, "--ram") == wanted


def test_data_is_plain() -> None:
    found = detection.detect(Gpus(gpus=(RTX_3060,)), HOST, None, NEEDS)
    data = json.loads(json.dumps(found.as_data()))
    assert data["values"]["runtime.dtype"] == {"reason": "the model's own; 8.6 has bfloat16", "value": "auto"}
    assert data["gpus"][0]["model"] == "WDDM"
