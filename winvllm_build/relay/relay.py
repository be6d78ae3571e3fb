"""Collectives on tensors of any device, over a Gloo group of the same processes.

Tensors that need it are copied to the host's memory, passed on from there, and the result is copied back.
What only moves data moves bytes, so that every type does; what adds is left to Gloo in the tensor's own type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist

from winvllm_build.relay.buffers import HostBuffers

SUM = dist.ReduceOp.SUM
Needs = Callable[[torch.Tensor], bool]


class CaptureError(RuntimeError):
    """A collective was asked for while a CUDA graph is captured."""

    def __init__(self) -> None:
        super().__init__(
            "the CPU relay (WINVLLM_RELAY) waits for other processes on the host, "
            "which no CUDA graph can hold: start vLLM with --enforce-eager"
        )


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
        with self._host(tensor) as host:
            dist.all_reduce(host, op=op, group=self.group)
            self._back(tensor, host)

    def broadcast(self, tensor: torch.Tensor, src: int) -> None:
        with self._host(tensor, filled=dist.get_rank() == src) as host:
            dist.broadcast(_bytes(host), src, group=self.group)
            self._back(tensor, host)

    def all_gather(self, output: torch.Tensor, tensor: torch.Tensor) -> None:
        """`output` gets the tensors of all processes one after the other."""
        with self._host(tensor) as host, self._host(output, filled=False) as whole:
            dist.all_gather_into_tensor(_bytes(whole), _bytes(host), group=self.group)
            self._back(output, whole)

    def reduce_scatter(
        self, output: torch.Tensor, tensor: torch.Tensor, op: dist.ReduceOp.RedOpType = SUM
    ) -> None:
        """`output` gets this process' part of the sum."""
        with self._host(tensor) as host, self._host(output, filled=False) as part:
            dist.reduce_scatter_tensor(part.view(-1), host.view(-1), op=op, group=self.group)
            self._back(output, part)

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

    def recv(self, tensor: torch.Tensor, src: int, tag: int = 0) -> None:
        self.irecv(tensor, src, tag).wait()

    def isend(self, tensor: torch.Tensor, dst: int, tag: int = 0) -> Pending:
        host = self._taken(tensor)
        host.copy_(tensor)
        work = dist.isend(_bytes(host), dst, group=self.group, tag=tag)
        return Pending(work, lambda: self.buffers.give(host))

    def irecv(self, tensor: torch.Tensor, src: int, tag: int = 0) -> Pending:
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


def _bytes(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.view(-1).view(torch.uint8)
