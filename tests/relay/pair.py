"""One of two processes that relay to each other: `python pair.py RANK MEETING ANSWER`.

Every collective is asked for directly and through torch.distributed, for tensors of every type; what comes
out is compared with what both processes know it must be. ANSWER gets what was tried and what differed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from winvllm_build.relay import direct
from winvllm_build.relay.buffers import HostBuffers
from winvllm_build.relay.relay import CaptureError, Relay, everything, on_device

ADDED = [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int64, torch.int32, torch.uint8]
MOVED = [*ADDED, torch.bool, torch.float8_e4m3fn, torch.int8, torch.complex64]
SHAPES = [(4, 6), (1,), (), (2, 3, 8)]
PAIR = 2


def content(rank: int, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """What a process begins with; small numbers, so that sums are exact in every type."""
    count = torch.Size(shape).numel()
    return (torch.arange(count).reshape(shape) % 7 + 2 * rank).to(dtype)


def same(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    raw = [tensor.contiguous().view(-1).view(torch.uint8) for tensor in (one, other)]
    return bool(torch.equal(*raw))


def added(rank: int, both: list[torch.Tensor], call: Relay | Through) -> Iterator[tuple[str, bool]]:
    total = (both[0].double() + both[1].double()).to(both[0].dtype)
    tensor = both[rank].clone()
    call.all_reduce(tensor)
    yield "all_reduce", same(tensor, total)
    if both[0].dim() and both[0].shape[0] % PAIR == 0:
        part = torch.empty_like(both[0][: both[0].shape[0] // PAIR])
        call.reduce_scatter(part, both[rank])
        yield "reduce_scatter", same(part, total.chunk(PAIR)[rank])
        sideways = both[rank].clone().movedim(0, -1)
        call.all_reduce(sideways)
        yield "all_reduce, not in one piece", same(sideways.movedim(-1, 0), total)


def moved(rank: int, both: list[torch.Tensor], call: Relay | Through) -> Iterator[tuple[str, bool]]:
    tensor = both[rank].clone()
    call.broadcast(tensor, 1)
    yield "broadcast", same(tensor, both[1])
    whole = both[0].new_empty((PAIR, *both[0].shape))
    call.all_gather(whole, both[rank])
    yield "all_gather", same(whole, torch.stack(both))
    if both[0].dim() and both[0].shape[0] % PAIR == 0:
        mixed = torch.empty_like(both[0])
        call.all_to_all(mixed, both[rank])
        yield "all_to_all", same(mixed, torch.cat([one.chunk(PAIR)[rank] for one in both]))
    outputs = [torch.empty_like(both[0]) for _ in both] if rank == 0 else None
    call.gather(both[rank], outputs, 0)
    yield "gather", outputs is None or all(map(same, outputs, both))
    if rank == 0:
        call.send(both[0], 1)
        yield "send", True
    else:
        got = torch.empty_like(both[0])
        call.recv(got, 0)
        yield "recv", same(got, both[0])
    got = [torch.empty_like(both[0]) for _ in range(3)]
    arriving = [call.irecv(one, 1 - rank) for one in got]
    leaving = [call.isend(both[rank], 1 - rank) for _ in got]
    for pending in (*leaving, *arriving):
        pending.wait()
    yield "both ways at once", all(same(one, both[1 - rank]) for one in got)


class Through:
    """The same calls, made to torch.distributed for a group that is relayed."""

    def __init__(self, group: dist.ProcessGroup) -> None:
        self.group = group

    def all_reduce(self, tensor: torch.Tensor) -> None:
        dist.all_reduce(tensor, group=self.group, async_op=True).wait()

    def reduce_scatter(self, output: torch.Tensor, tensor: torch.Tensor) -> None:
        for name in "reduce_scatter_tensor", "reduce_scatter_single":
            if hasattr(dist, name):
                output.zero_()
                getattr(dist, name)(output, tensor, group=self.group)

    def broadcast(self, tensor: torch.Tensor, src: int) -> None:
        dist.broadcast(tensor, src=src, group=self.group)

    def all_gather(self, output: torch.Tensor, tensor: torch.Tensor) -> None:
        dist.all_gather(list(output), tensor, group=self.group)
        for name in "all_gather_into_tensor", "all_gather_single":
            if hasattr(dist, name):
                output.zero_()
                getattr(dist, name)(output, tensor, group=self.group)

    def all_to_all(self, output: torch.Tensor, tensor: torch.Tensor) -> None:
        dist.all_to_all_single(output, tensor, group=self.group, async_op=True).wait()

    def gather(self, tensor: torch.Tensor, outputs: list[torch.Tensor] | None, dst: int) -> None:
        dist.gather(tensor, outputs, dst=dst, group=self.group)

    def send(self, tensor: torch.Tensor, dst: int) -> None:
        dist.send(tensor, dst, self.group)

    def recv(self, tensor: torch.Tensor, src: int) -> None:
        dist.recv(tensor, src, self.group)

    def isend(self, tensor: torch.Tensor, dst: int) -> Any:  # noqa: ANN401 - torch's handle or the relay's
        return dist.isend(tensor, dst, self.group)

    def irecv(self, tensor: torch.Tensor, src: int) -> Any:  # noqa: ANN401 - torch's handle or the relay's
        return dist.irecv(tensor, src, self.group)


def refused(call: Callable[[], None]) -> str:
    try:
        call()
    except CaptureError as error:
        return str(error)
    return ""


def main() -> None:
    rank, meeting, answer = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=PAIR)
    hosts, devices = dist.new_group(backend="gloo"), dist.new_group(backend="gloo")
    relay = Relay(hosts, needs=everything)
    through = Relay(hosts, needs=everything)
    plain = dist.broadcast
    direct.install()
    direct.install()
    direct.relay_group(devices, through)
    tried, wrong = 0, []
    for way, call in (("relay", relay), ("torch.distributed", Through(devices))):
        for shape in SHAPES:
            for dtype, ops in [(one, added) for one in ADDED] + [(one, moved) for one in MOVED]:
                both = [content(one, shape, dtype) for one in range(PAIR)]
                for name, right in ops(rank, both, call):
                    tried += 1
                    if not right:
                        wrong.append([way, name, str(dtype), list(shape)])
    left_alone = torch.ones(2)
    dist.all_reduce(left_alone, group=hosts)
    made = relay.buffers.made
    for _ in range(50):
        relay.all_reduce(content(rank, (4, 6), torch.float32))
    quiet = Relay(hosts, needs=on_device, buffers=HostBuffers(pinned=False))
    quiet.all_reduce(torch.ones(3))
    captured = Relay(hosts, needs=everything, captures=lambda: True)
    found = {
        "tried": tried,
        "wrong": wrong,
        "staged": [relay.staged, through.staged, quiet.staged],
        "left_alone": left_alone.tolist(),
        "buffers": [made, relay.buffers.made],
        "refused": refused(lambda: captured.all_reduce(torch.ones(1))),
        "wrapped": dist.broadcast is not plain and dist.broadcast.__wrapped__ is plain,
        "same_group": _same_group(relay),
    }
    answer.write_text(json.dumps(found), encoding="utf-8")
    dist.barrier()
    dist.destroy_process_group()


def _same_group(relay: Relay) -> str:
    try:
        direct.relay_group(relay.group, relay)
    except ValueError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    main()
