"""torch.distributed's own functions, which vLLM also calls beside its communicators, on a relayed group.

vLLM passes the tensors of pipeline stages, dictionaries of tensors and sampled tokens that way. Only what is
asked of a group that `relay_group` was told of, for a tensor that its relay is for, goes another way.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, Final

import torch
import torch.distributed as dist
from torch.distributed import distributed_c10d

from winvllm_build.relay.relay import Pending, Relay

Arguments = dict[str, Any]
Handler = Callable[[Relay, Arguments], Pending | int | None]
RELAYED: Final[dict[str, Relay]] = {}
"""The relays of groups, by a group's name."""


def relay_group(group: dist.ProcessGroup, relay: Relay) -> None:
    """Give what is asked of `group` to `relay`.

    Raises:
        ValueError: it is the group that the relay itself uses.
    """
    if group.group_name == relay.group.group_name:
        raise ValueError(f"the group {group.group_name} cannot be relayed over itself")
    RELAYED[group.group_name] = relay


def forget(relay: Relay) -> None:
    """Leave to torch again what was asked of the relay's groups: torch gives their names to later groups."""
    for name in [name for name, one in RELAYED.items() if one is relay]:
        del RELAYED[name]


def _rank(arguments: Arguments, name: str) -> int | None:
    """A global rank, also where the group's own is given; None where neither is.

    Raises:
        ValueError: both are given.
    """
    whole, own = arguments.get(name), arguments.get(f"group_{name}")
    if own is None:
        return None if whole is None else int(whole)
    if whole is not None:
        raise ValueError(f"{name} and group_{name} are given: one of them says which process is meant")
    return int(dist.get_global_rank(arguments["group"], own))


def _peer(arguments: Arguments, name: str) -> int:
    found = _rank(arguments, name)
    if found is None:
        raise ValueError(f"neither {name} nor group_{name} is given: one of them says which process is meant")
    return found


def _all_reduce(relay: Relay, a: Arguments) -> None:
    relay.all_reduce(a["tensor"], a.get("op", dist.ReduceOp.SUM))


def _broadcast(relay: Relay, a: Arguments) -> None:
    relay.broadcast(a["tensor"], _peer(a, "src"))


def _all_gather_into_tensor(relay: Relay, a: Arguments) -> None:
    relay.all_gather(a["output_tensor"], a["input_tensor"])


def _all_gather(relay: Relay, a: Arguments) -> None:
    whole = torch.empty((relay.size, *a["tensor"].shape), dtype=a["tensor"].dtype)
    relay.all_gather(whole, a["tensor"])
    for output, one in zip(a["tensor_list"], whole, strict=True):
        output.copy_(one)


def _reduce_scatter_tensor(relay: Relay, a: Arguments) -> None:
    relay.reduce_scatter(a["output"], a["input"], a.get("op", dist.ReduceOp.SUM))


def _all_to_all_single(relay: Relay, a: Arguments) -> None:
    relay.all_to_all(a["output"], a["input"], a.get("output_split_sizes"), a.get("input_split_sizes"))


def _gather(relay: Relay, a: Arguments) -> None:
    relay.gather(a["tensor"], a.get("gather_list"), _rank(a, "dst") or 0)


def _isend(relay: Relay, a: Arguments) -> Pending:
    return relay.isend(a["tensor"], _peer(a, "dst"), a.get("tag", 0))


def _irecv(relay: Relay, a: Arguments) -> Pending:
    return relay.irecv(a["tensor"], _rank(a, "src"), a.get("tag", 0))


def _send(relay: Relay, a: Arguments) -> None:
    _isend(relay, a).wait()


def _recv(relay: Relay, a: Arguments) -> int:
    return relay.recv(a["tensor"], _rank(a, "src"), a.get("tag", 0))


HANDLERS: Final[dict[str, tuple[str, Handler]]] = {
    "all_reduce": ("tensor", _all_reduce),
    "broadcast": ("tensor", _broadcast),
    "all_gather_into_tensor": ("input_tensor", _all_gather_into_tensor),
    "all_gather_single": ("input_tensor", _all_gather_into_tensor),
    "all_gather": ("tensor", _all_gather),
    "reduce_scatter_tensor": ("input", _reduce_scatter_tensor),
    "reduce_scatter_single": ("input", _reduce_scatter_tensor),
    "all_to_all_single": ("input", _all_to_all_single),
    "gather": ("tensor", _gather),
    "isend": ("tensor", _isend),
    "irecv": ("tensor", _irecv),
    "send": ("tensor", _send),
    "recv": ("tensor", _recv),
}
"""What is relayed: for each function the tensor that tells whether, and what does it."""


def install() -> None:
    """Put the relay before torch's functions; a second time changes nothing."""
    for name, (deciding, handler) in HANDLERS.items():
        original = getattr(distributed_c10d, name, None)  # two of them came with torch 2.13
        if original is None or hasattr(original, "winvllm_relay"):
            continue
        made = _before(original, deciding, handler)
        for module in (dist, distributed_c10d):
            setattr(module, name, made)


def _before(original: Callable[..., Any], deciding: str, handler: Handler) -> Callable[..., Any]:
    signature = inspect.signature(original)

    @functools.wraps(original)
    def relayed(*positional: Any, **named: Any) -> Any:  # noqa: ANN401 - whatever torch's own function takes
        if not RELAYED:
            return original(*positional, **named)
        arguments = signature.bind(*positional, **named).arguments
        group = arguments.get("group")
        # a process outside of a group has a number in its place
        relay = RELAYED.get(group.group_name) if isinstance(group, dist.ProcessGroup) else None
        if relay is None or not relay.needs(arguments[deciding]):
            return original(*positional, **named)
        pending = handler(relay, arguments)
        if pending is None and arguments.get("async_op"):
            return Pending(None, lambda: None)
        return pending

    relayed.winvllm_relay = True  # type: ignore[attr-defined] # a mark for the second installation
    return relayed
