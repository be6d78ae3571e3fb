"""The command line, with the names of `vllm serve`."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

EXAMPLES = """examples:
  python -m winvllm_build.fallback qwen3-0.6b
  python -m winvllm_build.fallback --model D:\\models\\Qwen3-8B --served-model-name qwen --max-model-len 8192
  python -m winvllm_build.fallback ./model --host 0.0.0.0 --port 9000 --api-key SECRET
"""


class Dtype(Enum):
    """In what the model computes; `half` and `float` as upstream has them."""

    AUTO = "auto"
    FLOAT16 = "float16"
    HALF = "half"
    BFLOAT16 = "bfloat16"
    FLOAT32 = "float32"
    FLOAT = "float"


class Device(Enum):
    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the server was asked to be."""

    model: str
    host: str
    port: int
    served_names: tuple[str, ...]
    max_model_len: int | None
    max_num_seqs: int
    max_num_batched_tokens: int
    dtype: Dtype
    device: Device
    gpu_memory_utilization: float
    api_keys: tuple[str, ...]
    allowed_origins: tuple[str, ...]
    seed: int
    chat_template: Path | None
    trust_remote_code: bool
    alias_file: Path | None


def length(text: str) -> int:
    """A number of tokens as `vllm serve` takes it: 8192, 8k (8000), 8K (8192).

    Raises:
        argparse.ArgumentTypeError: something else.
    """
    factor = {"k": 1000, "K": 1024}.get(text[-1:], 1)
    digits = text[:-1] if factor > 1 else text
    try:
        found = int(float(digits) * factor)
    except (ValueError, OverflowError):
        found = 0
    if found < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of tokens")
    return found


def port(text: str) -> int:
    found = int(text) if text.isdecimal() else -1
    if found not in range(65536):
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return found


def share(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 < found <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 1")
    return found


def origins(text: str) -> tuple[str, ...]:
    """A JSON list as `vllm serve` takes it."""
    with contextlib.suppress(ValueError):
        found = json.loads(text)
        if isinstance(found, list) and all(isinstance(each, str) for each in found):
            return tuple(found)
    raise argparse.ArgumentTypeError(f"{text!r} is no JSON list of origins")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m winvllm_build.fallback",
        description="Serve a model with transformers where vLLM is not built: the same protocol, slower.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument(
        "model_tag", nargs="?", metavar="MODEL", help="a folder, an id on Hugging Face or an alias"
    )
    made.add_argument("--model", help="the same")
    made.add_argument("--host", default="127.0.0.1")
    made.add_argument("--port", type=port, default=8000, help="0: any free one (default: 8000)")
    made.add_argument(
        "--served-model-name", nargs="+", default=[], metavar="NAME", help="what requests call it"
    )
    made.add_argument("--max-model-len", type=length, metavar="TOKENS", help="prompt and answer together")
    made.add_argument("--max-num-seqs", type=length, default=16, metavar="N", help="answers at a time (16)")
    made.add_argument(
        "--max-num-batched-tokens", type=length, default=512, metavar="N", help="in one step (512)"
    )
    made.add_argument("--dtype", choices=[each.value for each in Dtype], default="auto")
    made.add_argument("--device", choices=[each.value for each in Device], default="auto")
    made.add_argument("--gpu-memory-utilization", type=share, default=0.9, metavar="SHARE")
    made.add_argument(
        "--api-key", nargs="+", default=[], metavar="KEY", help="one must be in a request (VLLM_API_KEY)"
    )
    made.add_argument(
        "--allowed-origins",
        type=origins,
        default=(),
        metavar="JSON",
        help="""pages of which origins may ask, '["*"]' for all (none)""",
    )
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--chat-template", type=Path, metavar="FILE")
    made.add_argument("--trust-remote-code", action="store_true", help="run Python that comes with the model")
    made.add_argument("--alias-file", type=Path, metavar="FILE", help="JSON: name to id or folder")
    return made


def read(arguments: Sequence[str]) -> Options:
    """The options; ends the process with status 2 and a usage line where they make no sense."""
    reader = parser()
    found = reader.parse_args(arguments)
    if found.model and found.model_tag:
        reader.error("name the model once: MODEL or --model")
    model = found.model or found.model_tag
    if not model:
        reader.error("no model: name a folder, an id or an alias")
    return Options(
        model=model,
        host=found.host,
        port=found.port,
        served_names=tuple(found.served_model_name),
        max_model_len=found.max_model_len,
        max_num_seqs=found.max_num_seqs,
        max_num_batched_tokens=found.max_num_batched_tokens,
        dtype=Dtype(found.dtype),
        device=Device(found.device),
        gpu_memory_utilization=found.gpu_memory_utilization,
        api_keys=tuple(found.api_key or filter(None, [os.environ.get("VLLM_API_KEY")])),
        allowed_origins=found.allowed_origins,
        seed=found.seed,
        chat_template=found.chat_template,
        trust_remote_code=found.trust_remote_code,
        alias_file=found.alias_file,
    )
