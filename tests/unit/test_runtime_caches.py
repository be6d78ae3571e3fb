"""What a model keeps for its tokens: as vLLM plans it, and as its own files tell it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.kv_caches import QWEN3_8B, model, recorded, same_plan
from winvllm_build.errors import UsageError
from winvllm_build.runtime import attention, modelfiles, parameters, pool, weights
from winvllm_build.runtime.attention import Attention
from winvllm_build.runtime.numbers import UnknownModelError
from winvllm_build.runtime.states import State

DEEPSEEK_V3 = {
    "model_type": "deepseek_v3", "hidden_size": 7168, "intermediate_size": 18432, "kv_lora_rank": 512,
    "moe_intermediate_size": 2048, "n_routed_experts": 256, "n_shared_experts": 1, "num_attention_heads": 128,
    "num_hidden_layers": 61, "num_key_value_heads": 128, "q_lora_rank": 1536, "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64, "v_head_dim": 128, "first_k_dense_replace": 3, "vocab_size": 129280,
    "tie_word_embeddings": False, "max_position_embeddings": 163840,
}  # fmt: skip
"""As the model publishes it."""


@pytest.mark.parametrize("name", sorted(recorded()))
def test_blocks_and_requests_are_those_that_vllm_plans(name: str) -> None:
    same_plan(recorded()[name])


def test_every_kind_of_model_was_recorded() -> None:
    kinds = {kind for model in recorded().values() for kind in model["answer"]["kinds"]}
    assert kinds >= {
        "FullAttentionSpec",
        "SlidingWindowSpec",
        "ChunkedLocalAttentionSpec",
        "MLAAttentionSpec",
        "MambaSpec",
    }
    kept = {
        model.get("kv_cache_dtype")
        for model in recorded().values()
        if "MambaSpec" in model["answer"]["kinds"]
    }
    assert kept == {None, "fp8"}


@pytest.mark.parametrize(
    ("change", "whole", "near"),
    [
        ({}, 36, 0),
        ({"model_type": "gemma2", "sliding_window": 4096}, 18, 18),
        ({"model_type": "gemma3_text", "sliding_window": 1024}, 6, 30),
        ({"model_type": "gemma3_text", "sliding_window": 1024, "sliding_window_pattern": 4}, 9, 27),
        ({"model_type": "mistral", "sliding_window": 4096, "use_sliding_window": None}, 0, 36),
        ({"sliding_window": 4096, "use_sliding_window": True, "max_window_layers": 28}, 36, 0),
        ({"layer_types": ["full_attention", "sliding_attention"] * 18, "sliding_window": 128}, 18, 18),
    ],
)
def test_windows_of_configs_that_do_not_list_their_layers(
    change: dict[str, Any], whole: int, near: int
) -> None:
    found = [one for one in attention.layers({**QWEN3_8B, **change}) if isinstance(one, Attention)]
    assert sum(one.window is None for one in found) == whole
    assert sum(one.window is not None for one in found) == near


def test_a_token_of_a_latent_cache_is_one_vector() -> None:
    layers = attention.layers(DEEPSEEK_V3)
    assert {one.bytes_per_token(2) for one in layers if isinstance(one, Attention)} == {1152}
    sparse = attention.layers(
        {**DEEPSEEK_V3, "model_type": "deepseek_v32", "index_topk": 2048, "index_head_dim": 128}
    )
    assert len(sparse) == 122
    assert {one.raw for one in sparse if isinstance(one, Attention)} == {None, 132}


def test_an_unknown_kind_of_layer_is_not_guessed() -> None:
    with pytest.raises(UnknownModelError, match="layer 1 is of the kind retention"):
        attention.layers({**QWEN3_8B, "layer_types": ["full_attention", *["retention"] * 35]})
    with pytest.raises(UnknownModelError, match="deepseek_v4"):
        attention.layers({"model_type": "deepseek_v4"})
    with pytest.raises(UnknownModelError, match="num_hidden_layers"):
        attention.layers({"model_type": "llama"})


def test_a_latent_attention_that_is_unfolded_takes_keys_of_every_head() -> None:
    """MiniCPM3-4B: 40 heads of 64 + 32 values, keys and values as wide."""
    config = {
        "model_type": "minicpm3", "num_hidden_layers": 62, "num_attention_heads": 40, "hidden_size": 2560,
        "kv_lora_rank": 256, "q_lora_rank": 768, "qk_nope_head_dim": 64, "qk_rope_head_dim": 32,
        "v_head_dim": 64, "intermediate_size": 6400, "vocab_size": 73448,
    }  # fmt: skip
    layers = attention.layers(config)
    assert {one.bytes_per_token(2) for one in layers if isinstance(one, Attention)} == {40 * 96 * 2 * 2}
    counted = parameters.count(config)
    assert (counted.quantised + counted.plain) / 1e9 == pytest.approx(4.26, rel=0.01)
    with pytest.raises(UnknownModelError, match="hy_v4 have a latent attention of their own"):
        attention.layers({**config, "model_type": "hy_v4"})


def test_requests_and_the_longest_one_agree() -> None:
    layers = [Attention(heads=8, key=128, value=128, window=1024)] * 5 + [
        Attention(heads=8, key=128, value=128)
    ]
    cache = pool.pool(layers, widths=pool.Widths(attention=2, state=2), in_flight=4096)
    memory = 3 << 30
    longest = cache.longest(memory, 1 << 20)
    assert cache.requests(memory - cache.block, longest) >= 1
    assert cache.requests(memory - cache.block, longest + 16) < 1
    assert cache.longest(memory, 512) == 512
    assert cache.longest(cache.block, 512) == 0


def test_a_state_enlarges_the_blocks_of_attention() -> None:
    layers: list[attention.Layer] = [
        State(convolution=100, recurrent=40000),
        Attention(heads=2, key=32, value=32),
    ]
    for attention_width, tokens in ((2, 320), (1, 640)):
        widths = pool.Widths(attention=attention_width, state=2)
        cache = pool.pool(layers, widths=widths, in_flight=2048)
        assert {group.page for group in cache.groups} == {81920}
        assert [g.tokens for g in cache.groups if isinstance(g.layer, Attention)] == [tokens]


@pytest.mark.parametrize(
    ("config", "billions"), [(QWEN3_8B, 8.19), (DEEPSEEK_V3, 671.0)], ids=["qwen3-8b", "deepseek-v3"]
)
def test_parameters_are_those_that_are_published(config: dict[str, Any], billions: float) -> None:
    found = parameters.count(config)
    assert (found.quantised + found.plain) / 1e9 == pytest.approx(billions, rel=0.003)


@pytest.mark.parametrize(
    ("quantisation", "wanted"),
    [
        (None, 2.0),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, 0.515625),
        ({"quant_method": "gptq", "bits": 8, "group_size": 32}, 1.0),
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, 1.0),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, 1.0),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"weights": {"num_bits": 4, "group_size": 128}}},
            },
            0.515625,
        ),
    ],
)
def test_bytes_of_a_quantised_weight(quantisation: dict[str, Any] | None, wanted: float) -> None:
    config = {**QWEN3_8B, "quantization_config": quantisation}
    assert parameters.bytes_per_weight(config, 2) == pytest.approx(wanted)


def safetensors(file: Path, **tensors: tuple[str, int]) -> None:
    """A file with these tensors: type and bytes, one after the other."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    begin = 0
    for name, (kind, size) in tensors.items():
        header[name] = {"dtype": kind, "shape": [size], "data_offsets": [begin, begin + size]}
        begin += size
    text = json.dumps(header).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text + bytes(begin))


def test_weights_are_read_from_the_headers_of_safetensors(tmp_path: Path) -> None:
    found = model(tmp_path)
    safetensors(tmp_path / "a.safetensors", w=("F32", 4000), q=("I32", 400), s=("BF16", 20))
    safetensors(tmp_path / "consolidated.safetensors", w=("F32", 4000))
    assert weights.read(found, 2).size == 2000 + 400 + 20
    assert weights.read(found, 4).size == 4000 + 400 + 40
    index = {"metadata": {"total_size": 5}, "weight_map": {"w": "a.safetensors", "x": "b.safetensors"}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    assert weights.read(found, 2).size == 5, "one of the files is not here"
    safetensors(tmp_path / "b.safetensors", x=("F16", 6))
    assert weights.read(found, 2) == weights.Weights(
        size=2426, source="the headers of 2 files of safetensors"
    )


def test_weights_without_files_are_counted(tmp_path: Path) -> None:
    assert weights.read(model(tmp_path / "a"), 2).size == pytest.approx(16.38e9, rel=0.003)
    awq = model(tmp_path / "b", quantization_config={"quant_method": "awq", "bits": 4, "group_size": 128})
    assert weights.read(awq, 2).size == pytest.approx(6.07e9, rel=0.01)
    (tmp_path / "b" / "m.gguf").write_bytes(bytes(77))
    assert weights.read(awq, 2).size == 77


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 8, (1 << 60).to_bytes(8, "little"), b"\x02" + bytes(7) + b"[]"]
)
def test_a_damaged_file_is_passed_over(tmp_path: Path, content: bytes) -> None:
    found = model(tmp_path)
    (tmp_path / "a.safetensors").write_bytes(content)
    assert "billion parameters" in weights.read(found, 2).source


@pytest.mark.parametrize(
    "index",
    [b'{"metadata": null}', b'{"metadata": {"total_size": "5"}}', b"[" * 200_000, b"\xff\xfe{", b"[]"],
    ids=["null", "text", "deep", "utf-16", "list"],
)
def test_a_damaged_index_is_passed_over(tmp_path: Path, index: bytes) -> None:
    found = model(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_bytes(index)
    assert "billion parameters" in weights.read(found, 2).source


@pytest.mark.parametrize("offsets", [None, [], [1], ["0", "4"], [4, 0], [-4, 0], [0, 1 << 70], {"0": 4}, 7])
def test_a_tensor_with_malformed_offsets_counts_nothing(tmp_path: Path, offsets: object) -> None:
    found = model(tmp_path)
    text = json.dumps({"x": {"dtype": "F16", "data_offsets": offsets}, "y": None, "z": []}).encode()
    (tmp_path / "a.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    assert weights.read(found, 2).size == 0


def test_a_link_into_an_emptied_cache_is_no_weight(tmp_path: Path) -> None:
    found = model(tmp_path)
    (tmp_path / "pytorch_model.bin").symlink_to(tmp_path / "gone")
    assert "billion parameters" in weights.read(found, 2).source


def test_what_sees_is_in_the_files_only(tmp_path: Path) -> None:
    """The text model's numbers say nothing about the tower beside it."""
    found = model(tmp_path, vision_config={"hidden_size": 1152}, audio_config=None)
    assert found.senses == ("vision_config",)
    with pytest.raises(UnknownModelError, match="weights of vision_config"):
        weights.read(found, 2)
    safetensors(tmp_path / "a.safetensors", w=("BF16", 4000))
    assert weights.read(found, 2).size == 4000


def test_a_model_is_found_in_a_folder_and_in_the_cache(tmp_path: Path) -> None:
    folder = model(tmp_path / "here").folder
    assert modelfiles.locate(str(folder / "config.json"), {}) == folder
    cached = tmp_path / "hub" / "models--Qwen--Qwen3-8B"
    model(cached / "snapshots" / "old")
    environment = {"HF_HOME": str(tmp_path)}
    assert modelfiles.read("Qwen/Qwen3-8B", environment).folder.name == "old"
    model(cached / "snapshots" / "new")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("new", encoding="ascii")
    assert modelfiles.read("Qwen/Qwen3-8B", environment).folder.name == "new"
    for name in ("Qwen/Other", "nowhere", str(tmp_path)):
        with pytest.raises(UsageError) as caught:
            modelfiles.read(name, environment)
        assert caught.value.fix is not None


@pytest.mark.parametrize(
    ("content", "said"), [("{", "is not JSON"), ("[" * 200_000, "is not JSON"), ("[]", "holds no table")]
)
def test_a_bad_config_is_refused(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=said):
        modelfiles.read(str(tmp_path), {})


def test_the_text_model_of_several_modalities_is_taken() -> None:
    inner = {"model_type": "gemma3_text", "hidden_size": 8}
    found = modelfiles.text_config({"model_type": "gemma3", "vocab_size": 9, "text_config": inner})
    assert found == {"model_type": "gemma3_text", "hidden_size": 8, "vocab_size": 9}
    nested = {"thinker_config": {"text_config": inner, "audio_config": {}}}
    assert modelfiles.text_config(nested) == inner
    assert modelfiles.Model(name="omni", folder=Path(), config=nested).senses == ("audio_config",)


def test_a_layer_described_by_no_table_is_not_guessed() -> None:
    with pytest.raises(UnknownModelError, match="per_layer_config of layer 3"):
        attention.layers({**QWEN3_8B, "per_layer_config": {"3": "wide"}})
