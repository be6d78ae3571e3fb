"""The communicator that vLLM uses for a group where the relay is asked for."""

from __future__ import annotations

import logging
from typing import Any, Final

import torch
import torch.distributed as dist
from vllm.config import get_current_vllm_config_or_none
from vllm.distributed.device_communicators.base_device_communicator import DeviceCommunicatorBase

from winvllm_build.relay import direct, plugin
from winvllm_build.relay.relay import CaptureError, Relay

LOGGER: Final = logging.getLogger("vllm.winvllm_relay")
"""Below vLLM's own, so that it is shown where vLLM's words are."""


class RelayCommunicator(DeviceCommunicatorBase):
    """All that a group of vLLM asks of its communicator, over Gloo.

    Raises:
        RuntimeError: expert parallelism over data parallel processes was asked for, which is not relayed.
        CaptureError: CUDA graphs were not switched off.
    """

    # what vLLM looks for in a communicator for CUDA
    aiter_ar_comm = ca_comm = fi_ar_comm = fi_pcie_ipc_ar_comm = None
    pynccl_comm = qr_comm = symm_mem_comm = None

    def __init__(self, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - they differ between tags
        super().__init__(*arguments, **named)
        if self.use_all2all:
            raise RuntimeError(
                "the CPU relay (WINVLLM_RELAY) has no all-to-all of experts: leave out --data-parallel-size"
            )
        if self.device.type != "cpu" and _captures_graphs():
            raise CaptureError
        self.relay = Relay(self.cpu_group, needs=plugin.needs())
        if self.device_group is not None:
            direct.relay_group(self.device_group, self.relay)
        LOGGER.info(
            "%s is relayed through the CPU, process %d of %d", self.unique_name, self.rank, self.world_size
        )

    def destroy(self) -> None:
        """Some tags destroy the groups first."""
        direct.forget(self.relay)
        super().destroy()

    def all_reduce(self, input_: torch.Tensor) -> torch.Tensor:
        output = input_.clone()
        self.relay.all_reduce(output)
        return output

    def all_gather(self, input_: torch.Tensor, dim: int = -1) -> torch.Tensor:
        dim %= input_.dim()
        shape = tuple(input_.shape)
        output = input_.new_empty((self.world_size, *shape))
        self.relay.all_gather(output, input_)
        return output.movedim(0, dim).reshape((*shape[:dim], self.world_size * shape[dim], *shape[dim + 1 :]))

    def all_gatherv(
        self, input_: torch.Tensor | list[torch.Tensor], dim: int = 0, sizes: list[int] | None = None
    ) -> torch.Tensor | list[torch.Tensor]:
        """Tensors of as many rows as `sizes` says for each process."""
        if isinstance(input_, list):
            return [self._gathered(one, dim, sizes) for one in input_]
        return self._gathered(input_, dim, sizes)

    def _gathered(self, input_: torch.Tensor, dim: int, sizes: list[int] | None) -> torch.Tensor:
        if dim != 0:
            raise NotImplementedError("only dim 0 is gathered")
        if sizes is None or len(set(sizes)) == 1:
            return self.all_gather(input_, 0)
        rows = input_.new_zeros((max(sizes), *input_.shape[1:]))
        rows[: input_.shape[0]] = input_
        output = input_.new_empty((self.world_size, *rows.shape))
        self.relay.all_gather(output, rows)
        return torch.cat([one[:size] for one, size in zip(output, sizes, strict=True)])

    def reduce_scatter(self, input_: torch.Tensor, dim: int = -1) -> torch.Tensor:
        dim %= input_.dim()
        rows = input_.movedim(0, dim).contiguous()
        output = rows.new_empty((rows.shape[0] // self.world_size, *rows.shape[1:]))
        if rows.shape[0] != output.shape[0] * self.world_size:
            raise ValueError(f"{rows.shape[0]} rows are not for {self.world_size} processes")
        self.relay.reduce_scatter(output, rows)
        return output.movedim(0, dim).contiguous()

    def reduce_scatterv(
        self, input_: torch.Tensor, dim: int = -1, sizes: list[int] | None = None
    ) -> torch.Tensor:
        """As many rows of the sum as `sizes` says for this process."""
        if sizes is None or len(set(sizes)) == 1:
            return self.reduce_scatter(input_, dim)
        dim %= input_.dim()
        rows = input_.movedim(0, dim).contiguous().clone()
        self.relay.all_reduce(rows)
        begin = sum(sizes[: self.rank_in_group])
        return rows[begin : begin + sizes[self.rank_in_group]].movedim(0, dim).contiguous()

    def gather(self, input_: torch.Tensor, dst: int = 0, dim: int = -1) -> torch.Tensor | None:
        mine = self.rank_in_group == dst
        outputs = [torch.empty_like(input_) for _ in self.ranks] if mine else None
        self.relay.gather(input_, outputs, self.ranks[dst])
        return None if outputs is None else torch.cat(outputs, dim=dim)

    def send(self, tensor: torch.Tensor, dst: int | None = None) -> None:
        self.relay.send(
            tensor, self.ranks[(self.rank_in_group + 1) % self.world_size if dst is None else dst]
        )

    def recv(self, size: torch.Size, dtype: torch.dtype, src: int | None = None) -> torch.Tensor:
        tensor = torch.empty(size, dtype=dtype, device=self.device)
        self.relay.recv(
            tensor, self.ranks[(self.rank_in_group - 1) % self.world_size if src is None else src]
        )
        return tensor

    def broadcast(self, tensor: torch.Tensor, src: int = 0) -> torch.Tensor:
        self.relay.broadcast(tensor, self.ranks[src])
        return tensor

    def batch_isend_irecv(self, p2p_ops: list[dist.P2POp]) -> None:
        """All of these transfers, in any order."""
        under_way = [
            (self.relay.isend if one.op.__name__ == "isend" else self.relay.irecv)(one.tensor, one.peer)
            for one in p2p_ops
        ]
        for one in under_way:
            one.wait()


def _captures_graphs() -> bool:
    config = get_current_vllm_config_or_none()
    if config is None or config.model_config is None or config.model_config.enforce_eager:
        return False
    mode = getattr(config.compilation_config, "cudagraph_mode", None)
    return getattr(mode, "name", "NONE") != "NONE"
