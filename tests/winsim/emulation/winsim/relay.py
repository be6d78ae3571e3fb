"""One of two processes of vLLM's own groups with the CPU relay: `python -m winsim.relay RANK MEETING ANSWER`.

Each thing that vLLM asks of a group is compared with what both processes know it must be.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from vllm.config import VllmConfig, set_current_vllm_config
from vllm.distributed import parallel_state
from vllm.platforms import current_platform
from vllm.plugins import load_general_plugins

from winvllm_build.relay import direct

TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.int64)
PAIR = 2


def collectives(group: Any, rank: int, dtype: torch.dtype) -> Iterator[tuple[str, bool]]:
    base = [((torch.arange(24) % 5).reshape(4, 6) + 3 * one).to(dtype) for one in range(PAIR)]
    mine, total = base[rank], base[0] + base[1]
    before = mine.clone()
    yield "all_reduce", torch.equal(group.all_reduce(mine), total) and torch.equal(mine, before)
    for dim in (0, 1, -1):
        yield f"all_gather {dim}", torch.equal(group.all_gather(mine, dim), torch.cat(base, dim))
        yield f"reduce_scatter {dim}", torch.equal(group.reduce_scatter(mine, dim), total.chunk(2, dim)[rank])
        gathered = group.gather(mine, 0, dim)
        yield f"gather {dim}", rank != 0 or torch.equal(gathered, torch.cat(base, dim))
    sizes = [1, 3]
    rows = [base[0][:1], base[1][:3]]
    yield "all_gatherv", torch.equal(group.all_gatherv(rows[rank], 0, sizes), torch.cat(rows))
    lists = group.all_gatherv([rows[rank], rows[rank] + 1], 0, sizes)
    yield "all_gatherv of two", torch.equal(lists[1], torch.cat(rows) + 1)
    parts = group.reduce_scatterv(mine, 0, sizes)
    yield "reduce_scatterv", torch.equal(parts, total.split(sizes)[rank])
    yield "broadcast", torch.equal(group.broadcast(mine.clone(), 1), base[1])
    if rank == 0:
        group.send(mine)
    else:
        yield "recv", torch.equal(group.recv(mine.shape, dtype), base[0])


def dictionaries(group: Any, rank: int) -> Iterator[tuple[str, bool]]:
    """What passes between the stages of a pipeline."""
    sent = {"hidden": torch.arange(8.0), "residual": torch.ones(2, 3).bfloat16(), "word": "x"}
    got = group.broadcast_tensor_dict(sent if rank == 0 else None, 0)
    yield "broadcast_tensor_dict", _alike(got, sent)
    if rank == 0:
        group.send_tensor_dict(sent)
    else:
        yield "recv_tensor_dict", _alike(group.recv_tensor_dict(), sent)
    if not hasattr(group, "isend_tensor_dict"):
        return
    if rank == 0:
        for handle in group.isend_tensor_dict(sent):
            handle.wait()
    else:
        found, handles, after = group.irecv_tensor_dict()
        for handle in handles:
            handle.wait()
        for call in after:
            call()
        yield "irecv_tensor_dict", _alike(found, sent)


def batched(group: Any, rank: int) -> Iterator[tuple[str, bool]]:
    """What expert balancing passes."""
    got = [torch.empty(4) for _ in range(3)]
    peer = 1 - rank
    operations = [dist.P2POp(dist.irecv, one, peer, group.device_group) for one in got]
    operations += [
        dist.P2POp(dist.isend, torch.full((4,), float(index + 10 * rank)), peer, group.device_group)
        for index in range(3)
    ]
    group.device_communicator.batch_isend_irecv(operations)
    wanted = [torch.full((4,), float(index + 10 * peer)) for index in range(3)]
    yield "batch_isend_irecv", all(map(torch.equal, got, wanted))


def _alike(found: Any, wanted: dict[str, Any]) -> bool:
    return found.keys() == wanted.keys() and all(
        torch.equal(found[key], value) if isinstance(value, torch.Tensor) else found[key] == value
        for key, value in wanted.items()
    )


def main() -> None:
    rank, meeting, answer = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    load_general_plugins()
    with set_current_vllm_config(VllmConfig()):
        parallel_state.init_distributed_environment(PAIR, rank, f"file://{meeting}", rank, "gloo")
        parallel_state.initialize_model_parallel(PAIR, backend="gloo")
    group = parallel_state.get_tp_group()
    said = [pair for dtype in TYPES for pair in collectives(group, rank, dtype)]
    said += [*dictionaries(group, rank), *batched(group, rank)]
    found = {
        "class": current_platform.get_device_communicator_cls(),
        "wrong": [name for name, right in said if not right],
        "tried": len(said),
        "staged": getattr(getattr(group.device_communicator, "relay", None), "staged", 0),
    }
    before = len(direct.RELAYED)
    parallel_state.destroy_model_parallel()
    parallel_state.destroy_distributed_environment()
    found["groups"] = [before, len(direct.RELAYED)]
    answer.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
