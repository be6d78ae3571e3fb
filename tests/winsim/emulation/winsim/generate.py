"""Generate with vLLM: `python -m winsim.generate MODEL ANSWER`; ANSWER gets the tokens and their origin."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch
import torch.distributed
import vllm
from vllm.distributed import parallel_state
from vllm.v1.engine.core_client import InprocClient

from winsim.finder import ASKED


def no_transport(*_: object, **__: object) -> None:
    """Gloo in PyTorch 2.9 and 2.10 for Windows."""
    raise RuntimeError("makeDeviceForHostname(): unsupported gloo device")


def backends() -> list[str]:
    """Of the groups that coordinate processes."""
    world = parallel_state.get_world_group()
    groups = (world.cpu_group, world.device_group)
    return sorted({torch.distributed.get_backend(group) for group in groups})


def main() -> None:
    model, answer = Path(sys.argv[1]), Path(sys.argv[2])
    if os.environ.get("WINSIM_GLOO") == "0":
        torch.distributed.ProcessGroupGloo.create_default_device = no_transport
    golden = json.loads((model / "expected.json").read_text(encoding="utf-8"))
    llm = vllm.LLM(
        model=str(model),
        max_model_len=256,
        enforce_eager=True,
        max_num_seqs=8,
        dtype="float32",
        **json.loads(os.environ.get("WINSIM_OPTIONS", "{}")),
    )
    sampling = vllm.SamplingParams(max_tokens=len(golden["tokens"][0]), temperature=0, ignore_eos=True)
    outputs = llm.generate(golden["prompts"], sampling, use_tqdm=False)
    found = {
        "tokens": [list(output.outputs[0].token_ids) for output in outputs],
        "in_process": isinstance(llm.llm_engine.engine_core, InprocClient),
        "backends": backends() if torch.distributed.is_initialized() else [],
        "asked": sorted(map(list, ASKED)),
    }
    answer.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
