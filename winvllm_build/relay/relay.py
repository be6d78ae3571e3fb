"""Collectives on tensors of any device, over a Gloo group of the same processes.

Tensors that need it are copied to the host's memory, passed on from there, and the result is copied back.
What only moves data moves bytes, so that every type does. What adds is left to Gloo in the tensor's own type,
or in a wider one where Gloo does not know that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import torch
import torch.distributed as dist

from winvllm_build.relay.buffers import HostBuffers

SUM = dist.ReduceOp.SUM
# torch 2.13 gives these two new names, and warns of the old ones
ALL_GATHER = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
REDUCE_SCATTER = getattr(dist, "reduce_scatter_single", None) or dist.reduce_scatter_tensor
Needs = Callable[[torch.Tensor], bool]

ADDED: Final = frozenset(
    {
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int8, torch.uint8),
    }
)
"""What Gloo adds."""
WIDER: Final = {
    torch.float8_e4m3fn: torch.float32,
    torch.float8_e4m3fnuz: torch.float32,
    torch.float8_e5m2: torch.float32,
    torch.float8_e5m2fnuz: torch.float32,
    torch.int16: torch.int32,
    torch.uint16: torch.int32,
    torch.uint32: torch.int64,
}
"""What is added in another type and rounded, or cut, once at the end."""


class CaptureError(RuntimeError):
    """A collective was asked for while a CUDA graph is captured."""

    def __init__(self) -> None:
        super().__init__(
            "the CPU relay (WINVLLM_RELAY) waits for other processes on the host, "
            "which no CUDA graph can hold: start vLLM with --enforce-eager"
        )


class UnsummableError(TypeError):
    """A sum was asked for of a type that has none."""

    def __init__(self, dtype: torch.dtype) -> None:
        known = ", ".join(sorted(str(one).removeprefix("torch.") for one in (*ADDED, *WIDER)))
        super().__init__(f"the CPU relay (WINVLLM_RELAY) does not reduce {dtype}; it reduces {known}")


def on_device(tensor: torch.Tensor) -> bool:
    return bool(tensor.device.type != "cpu")


def everything(_: torch.Tensor) -> bool:
    return True


def capturing() -> bool:
    """Whether a CUDA graph is being captured on the current stream."""
    return bool(torch.cuda.is_available() and torch.cuda.is_current_stream_capturing())


class Pending:
    """A transfer under way, with the methods of torch's own handles that vLLM calls."""

    def __init__(self, work: dist.Work | None, end: Callable[[], None]) -> None:
        self._work, self._end, self._ended = work, end, False

    def wait(self, *_: object) -> bool:
        if not self._ended:
            if self._work is not None:
                self._work.wait()
            self._ended = True
            self._end()
        return True

    def is_completed(self) -> bool:
        if not self._ended and (self._work is None or self._work.is_completed()):
            self.wait()
        return self._ended

    def source_rank(self) -> int:
        """Which process of the group sent, where any might."""
        if self._work is None:
            raise ValueError("nothing was sent")
        return int(self._work._source_rank())  # noqa: SLF001 - torch's own recv asks so, too


class Relay:
    """The collectives of one group; ranks are global ones, as in torch.distributed.

    Attributes:
        staged: how many tensors went through the host's memory.
    """

    def __init__(
        self,
        group: dist.ProcessGroup,
        *,
        needs: Needs = on_device,
        captures: Callable[[], bool] = capturing,
        buffers: HostBuffers | None = None,
    ) -> None:
        self.group, self.needs, self._captures = group, needs, captures
        self.buffers = HostBuffers() if buffers is None else buffers
        self.size = dist.get_world_size(group)
        self.staged = 0

    def all_reduce(self, tensor: torch.Tensor, op: dist.ReduceOp.RedOpType = SUM) -> None:
        """Raises UnsummableError, as `reduce_scatter` does."""
        with self._host(tensor) as host:
            wide = host.to(_summed_in(host.dtype))
            dist.all_reduce(wide, op=op, group=self.group)
            self._back(host, wide)
            self._back(tensor, host)

    def broadcast(self, tensor: torch.Tensor, src: int) -> None:
        with self._host(tensor, filled=dist.get_rank() == src) as host:
            dist.broadcast(_bytes(host), src, group=self.group)
            self._back(tensor, host)

    def all_gather(self, output: torch.Tensor, tensor: torch.Tensor) -> None:
        """`output` gets the tensors of all processes one after the other."""
        with self._host(tensor) as host, self._host(output, filled=False) as whole:
            ALL_GATHER(_bytes(whole), _bytes(host), group=self.group)
            self._back(output, whole)

    def reduce_scatter(
        self, output: torch.Tensor, tensor: torch.Tensor, op: dist.ReduceOp.RedOpType = SUM
    ) -> None:
        """`output` gets this process' part of the sum."""
        with self._host(tensor) as host, self._host(output, filled=False) as part:
            dtype = _summed_in(host.dtype)
            wide = part.to(dtype)
            REDUCE_SCATTER(wide.view(-1), host.view(-1).to(dtype), op=op, group=self.group)
            self._back(part, wide)
            self._back(output, part)

    def all_to_all(
        self,
        output: torch.Tensor,
        tensor: torch.Tensor,
        rows: Sequence[int] | None = None,
        rows_sent: Sequence[int] | None = None,
    ) -> None:
        """Every process gets rows of every other's `tensor`: so many of each, or as many of all."""
        with self._host(tensor) as host, self._host(output, filled=False) as whole:
            dist.all_to_all_single(
                _rows(whole),
                _rows(host),
                None if rows is None else list(rows),
                None if rows_sent is None else list(rows_sent),
                group=self.group,
            )
            self._back(output, whole)

    def gather(self, tensor: torch.Tensor, outputs: Sequence[torch.Tensor] | None, dst: int) -> None:
        """`outputs`, of the process `dst` alone, get the tensors of all."""
        with self._host(tensor) as host:
            hosts = None if outputs is None else [self._taken(one) for one in outputs]
            dist.gather(
                _bytes(host),
                None if hosts is None else [_bytes(one) for one in hosts],
                dst=dst,
                group=self.group,
            )
            for output, one in zip(outputs or (), hosts or (), strict=True):
                self._back(output, one)
                self.buffers.give(one)

    def send(self, tensor: torch.Tensor, dst: int, tag: int = 0) -> None:
        self.isend(tensor, dst, tag).wait()

    def recv(self, tensor: torch.Tensor, src: int | None, tag: int = 0) -> int:
        """The process that sent; None for `src` takes any."""
        pending = self.irecv(tensor, src, tag)
        pending.wait()
        return dist.get_global_rank(self.group, pending.source_rank()) if src is None else src

    def isend(self, tensor: torch.Tensor, dst: int, tag: int = 0) -> Pending:
        host = self._taken(tensor)
        host.copy_(tensor)
        work = dist.isend(_bytes(host), dst, group=self.group, tag=tag)
        return Pending(work, lambda: self.buffers.give(host))

    def irecv(self, tensor: torch.Tensor, src: int | None, tag: int = 0) -> Pending:
        host = self._taken(tensor)

        def arrived() -> None:
            self._back(tensor, host)
            self.buffers.give(host)

        return Pending(dist.irecv(_bytes(host), src, group=self.group, tag=tag), arrived)

    @contextmanager
    def _host(self, tensor: torch.Tensor, *, filled: bool = True) -> Iterator[torch.Tensor]:
        """The tensor's content in the host's memory; the tensor itself if it lies there in one piece."""
        if not self.needs(tensor) and tensor.is_contiguous():
            yield tensor
            return
        host = self._taken(tensor)
        try:
            if filled:
                host.copy_(tensor)
            yield host
        finally:
            self.buffers.give(host)

    def _taken(self, tensor: torch.Tensor) -> torch.Tensor:
        if self._captures():
            raise CaptureError
        self.staged += 1
        return self.buffers.take(tensor.shape, tensor.dtype)

    @staticmethod
    def _back(tensor: torch.Tensor, host: torch.Tensor) -> None:
        if host is not tensor:
            tensor.copy_(host)


def _summed_in(dtype: torch.dtype) -> torch.dtype:
    if dtype in ADDED or dtype.is_complex:
        return dtype
    if dtype not in WIDER:
        raise UnsummableError(dtype)
    return WIDER[dtype]


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.view(-1).view(torch.uint8)


def _rows(tensor: torch.Tensor) -> torch.Tensor:
    """The bytes of each row."""
    count = tensor.shape[0]
    return _bytes(tensor).view(count, tensor.nbytes // count if count else 0)
