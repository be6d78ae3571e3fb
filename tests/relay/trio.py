"""One of three processes, of which 1 and 2 are a relayed group: `python trio.py RANK MEETING ANSWER`.

A process' number in the group is not its number in all: both are asked for. ANSWER gets the names of what was
tried, and of what differed from what every process knows it must be.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
import torch.distributed as dist

from tests.relay.pair import MOVED, content, same
from winvllm_build.relay import direct
from winvllm_build.relay.relay import Relay, UnsummableError, everything

RANKS = [1, 2]
SHAPE = (4, 6)
EMPTY = [(0,), (0, 4), (4, 0)]
ROUNDED = [torch.float8_e4m3fn, torch.float8_e5m2, torch.int16, torch.uint16, torch.uint32, torch.int8]
Said = Iterator[tuple[str, bool]]


def pieces(dtype: torch.dtype, shape: tuple[int, ...] = SHAPE) -> list[torch.Tensor]:
    return [content(rank, shape, dtype) for rank in RANKS]


def chosen(group: dist.ProcessGroup, own: int, dtype: torch.dtype) -> Said:
    """One process of the group is meant, by either number, or none."""
    both = pieces(dtype)
    for name, meant in ({"src": 1}, 0), ({"src": 2}, 1), ({"group_src": 0}, 0), ({"group_src": 1}, 1):
        tensor = both[own].clone()
        dist.broadcast(tensor, group=group, **name)
        yield f"broadcast {name}", same(tensor, both[meant])
    for name, meant in ({"dst": 1}, 0), ({"dst": 2}, 1), ({"group_dst": 0}, 0), ({"group_dst": 1}, 1):
        outputs = [torch.empty_like(one) for one in both] if own == meant else None
        dist.gather(both[own], outputs, group=group, **name)
        yield f"gather {name}", outputs is None or all(map(same, outputs, both))
    for name in {"src": 1}, {"group_src": 0}, {}:
        if own == 0:
            dist.send(both[0], 2, group)
            dist.send(both[0], group=group, group_dst=1)
            continue
        got = [torch.empty_like(one) for one in both]
        yield f"recv {name} says who sent", dist.recv(got[0], group=group, **name) == 1
        dist.irecv(got[1], group=group, **name).wait()
        yield f"recv {name}", all(same(one, both[0]) for one in got)


def reduced(group: dist.ProcessGroup, own: int) -> Said:
    """Types that Gloo does not add, other operations than the sum, and the type that has none."""
    for dtype in (*ROUNDED, torch.float16, torch.int64):
        both = pieces(dtype)
        whole = torch.stack([one.double() for one in both])
        for op, wanted in (dist.ReduceOp.SUM, whole.sum(0)), (dist.ReduceOp.MAX, whole.amax(0)):
            tensor = both[own].clone()
            dist.all_reduce(tensor, op=op, group=group)
            yield f"all_reduce {op} {dtype}", same(tensor, wanted.to(dtype))
            part = torch.empty_like(both[0][:2])
            dist.reduce_scatter_tensor(part, both[own], op=op, group=group)
            yield f"reduce_scatter {op} {dtype}", same(part, wanted.to(dtype).chunk(2)[own])
    told = refused(UnsummableError, lambda: dist.all_reduce(torch.ones(2, dtype=torch.bool), group=group))
    yield "a type that is not added is named", "torch.bool" in told and "bfloat16" in told


def dealt(group: dist.ProcessGroup, own: int) -> Said:
    """Rows of other numbers for each process, none among them."""
    for sent in [[1, 3], [2, 2]], [[0, 4], [4, 0]], [[4, 0], [4, 0]]:
        for dtype in MOVED:
            both = pieces(dtype)
            got = [one.split(rows)[own] for one, rows in zip(both, sent, strict=True)]
            output = both[0].new_empty((sum(map(len, got)), *both[0].shape[1:]))
            dist.all_to_all_single(output, both[own], list(map(len, got)), sent[own], group)
            yield f"all_to_all {sent} {dtype}", same(output, torch.cat(got))


def empty(group: dist.ProcessGroup, own: int) -> Said:
    for shape in EMPTY:
        nothing = torch.empty(shape)
        dist.all_reduce(nothing, group=group)
        dist.broadcast(nothing, 2, group)
        whole = torch.empty((2, *shape))
        dist.all_gather_into_tensor(whole, nothing, group=group)
        dist.all_to_all_single(torch.empty_like(nothing), nothing, group=group)
        dist.gather(nothing, [nothing, nothing] if own == 0 else None, 1, group)
        dist.reduce_scatter_tensor(nothing, whole, group=group)
        if own == 0:
            dist.send(nothing, 2, group)
        else:
            yield f"recv of {shape}", dist.recv(nothing, group=group, src=1) == 1
        yield f"{shape}", nothing.shape == shape


def unclear(group: dist.ProcessGroup) -> Said:
    """What torch refuses, too, refused before a process waits for it."""
    tensor = torch.ones(2)
    yield "no source", "src" in refused(ValueError, lambda: dist.broadcast(tensor, group=group))
    both = refused(ValueError, lambda: dist.broadcast(tensor, 1, group, group_src=0))
    yield "two sources", "group_src" in both


def refused(kind: type[Exception], call: Callable[[], object]) -> str:
    try:
        call()
    except kind as error:
        return str(error)
    return ""


def left(group: dist.ProcessGroup, relay: Relay) -> Said:
    """After the relay has gone its group is torch's."""
    staged = relay.staged
    yield "many went through the host's memory", staged > len(MOVED)
    direct.forget(relay)
    tensor = torch.ones(2)
    dist.all_reduce(tensor, group=group)
    yield "a forgotten group", relay.staged == staged and tensor.tolist() == [2.0, 2.0]


def main() -> None:
    rank, meeting, answer = int(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=3)
    hosts, devices = dist.new_group(RANKS, backend="gloo"), dist.new_group(RANKS, backend="gloo")
    direct.install()
    if rank in RANKS:
        own = RANKS.index(rank)
        relay = Relay(hosts, needs=everything)
        direct.relay_group(devices, relay)
        said = [pair for dtype in MOVED for pair in chosen(devices, own, dtype)]
        said += [
            *reduced(devices, own),
            *dealt(devices, own),
            *empty(devices, own),
            *unclear(devices),
            *left(devices, relay),
        ]
    else:
        own_group = dist.new_group([0], backend="gloo", use_local_synchronization=True)
        direct.relay_group(own_group, Relay(dist.group.WORLD, needs=everything))
        said = [("outside", dist.all_reduce(torch.ones(1), group=devices) is None)]
    found = {"tried": len(said), "wrong": [name for name, right in said if not right]}
    answer.write_text(json.dumps(found), encoding="utf-8")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
