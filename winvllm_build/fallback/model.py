"""The model, its tokenizer and what its folder says about both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedConfig,
    PreTrainedModel,
)

from .errors import StartError
from .options import Device, Dtype, Options
from .sizing import Needs
from .text import Tokenizer

SAMPLED = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
TYPES = {
    Dtype.FLOAT16: torch.float16,
    Dtype.HALF: torch.float16,
    Dtype.BFLOAT16: torch.bfloat16,
    Dtype.FLOAT32: torch.float32,
    Dtype.FLOAT: torch.float32,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model that is ready to compute."""

    model: PreTrainedModel
    tokenizer: Tokenizer
    vocabulary: int
    length: int
    needs: Needs
    end: int | None
    """The token that ends an answer without being a reason of its own."""
    more_ends: frozenset[int]
    defaults: Mapping[str, float]
    """What generation_config.json says about sampling."""
    template: str | None


def load(target: str, options: Options) -> Loaded:
    """The model `target` on its device.

    Raises:
        StartError: it is not there, not whole, not one that generates text, or does not fit.
    """
    trusted = {"trust_remote_code": options.trust_remote_code}
    try:
        config = AutoConfig.from_pretrained(target, **trusted)
        tokenizer = AutoTokenizer.from_pretrained(target, **trusted)
        device = _device(options.device)
        dtype = _dtype(options.dtype, config, device)
        model = AutoModelForCausalLM.from_pretrained(
            target, config=config, dtype=dtype, attn_implementation="sdpa", **trusted
        )
        model = model.to(device).eval()
        return _described(target, options, model, tokenizer)
    except StartError:
        raise
    except Exception as error:  # a folder may be broken in any way, and have Python of its own
        raise unusable(target, error) from error


def unusable(target: str, error: Exception) -> StartError:
    """One line of what transformers says in several."""
    said = " ".join(str(error).split())
    first = said.split(". ")[0][:300]
    if not first or not isinstance(error, (OSError, ValueError, RuntimeError, ImportError)):
        first = f"{type(error).__name__}: {first}"
    if "trust_remote_code" in said:
        return StartError(
            f"{target} comes with Python of its own", fix="--trust-remote-code, if you trust it"
        )
    if isinstance(error, torch.OutOfMemoryError):
        return StartError(
            f"{target} does not fit into the GPU's memory", fix="--device cpu, or a smaller model"
        )
    return StartError(f"{target}: {first}", fix="name a folder with config.json, tokenizer and *.safetensors")


def _device(wanted: Device) -> torch.device:
    if wanted is Device.CUDA and not torch.cuda.is_available():
        raise StartError("this PyTorch finds no CUDA device", fix="--device cpu, or install PyTorch for CUDA")
    if wanted is Device.CPU or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())


def _dtype(wanted: Dtype, config: PreTrainedConfig, device: torch.device) -> torch.dtype:
    if wanted is not Dtype.AUTO:
        return TYPES[wanted]
    own = getattr(config.get_text_config(), "dtype", None) or getattr(config, "dtype", None) or torch.float32
    if device.type == "cpu" and own == torch.float16:
        return torch.float32  # half precision is emulated on most processors
    if device.type == "cuda" and own == torch.float32:
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return own if isinstance(own, torch.dtype) else torch.float32


def _described(target: str, options: Options, model: PreTrainedModel, tokenizer: Tokenizer) -> Loaded:
    text = model.config.get_text_config()
    longest = int(getattr(text, "max_position_embeddings", None) or 0)
    length = options.max_model_len or longest or 2048
    if longest and length > longest:
        raise StartError(
            f"--max-model-len {length} is longer than what {target} was made for ({longest})",
            fix=f"--max-model-len {longest}",
        )
    heads = getattr(text, "num_key_value_heads", None) or text.num_attention_heads
    size = getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads
    needs = Needs(
        layers=text.num_hidden_layers, heads=heads, head_size=size, value_bytes=model.dtype.itemsize
    )
    generation = _generation(target, options)
    ends = generation.get("eos_token_id")
    vocabulary = int(text.vocab_size)
    every = frozenset(ends if isinstance(ends, list) else [ends] if isinstance(ends, int) else [])
    own = tokenizer.eos_token_id
    end = own if own is not None and own < vocabulary else None  # what has no score is never drawn
    return Loaded(
        model=model,
        tokenizer=tokenizer,
        vocabulary=vocabulary,
        length=length,
        needs=needs,
        end=end,
        more_ends=frozenset(token for token in every - {end} if 0 <= token < vocabulary),
        defaults={name: generation[name] for name in SAMPLED if generation.get(name) is not None},
        template=_template(options.chat_template),
    )


def _generation(target: str, options: Options) -> dict[str, Any]:
    try:
        found = GenerationConfig.from_pretrained(target, trust_remote_code=options.trust_remote_code)
    except (OSError, ValueError):  # few tokens of a model's folder are as optional as this file
        return {}
    values: dict[str, Any] = found.to_diff_dict()
    return values


def _template(file: Path | None) -> str | None:
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise StartError(f"{file}: {error}", fix="--chat-template FILE, a Jinja template in UTF-8") from error
