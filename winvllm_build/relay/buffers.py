"""Host memory that tensors pass through, kept for the next ones; page-locked where there is a GPU."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod

import torch

LEAST = 1 << 12
"""Bytes of the smallest buffer; others are powers of two."""


class HostBuffers:
    """Buffers by size. Each has one user at a time; a buffer given back serves the next of its size."""

    def __init__(self, *, pinned: bool | None = None) -> None:
        self.pinned = torch.cuda.is_available() if pinned is None else pinned
        self.made = 0
        self._free: dict[int, list[torch.Tensor]] = defaultdict(list)

    def take(self, shape: Sequence[int], dtype: torch.dtype) -> torch.Tensor:
        """A contiguous tensor with any content; `give` wants it back."""
        count = prod(shape) * dtype.itemsize
        size = max(LEAST, 1 << max(count - 1, 0).bit_length())
        free = self._free[size]
        if free:
            whole = free.pop()
        else:
            whole = torch.empty(size, dtype=torch.uint8, pin_memory=self.pinned)
            self.made += 1
        return whole[:count].view(dtype).view(tuple(shape))

    def give(self, tensor: torch.Tensor) -> None:
        """Take back what `take` gave."""
        storage = tensor.untyped_storage()
        whole = torch.empty(0, dtype=torch.uint8).set_(storage)
        self._free[whole.numel()].append(whole)

    @contextmanager
    def lent(self, shape: Sequence[int], dtype: torch.dtype) -> Iterator[torch.Tensor]:
        """A buffer for the length of a block."""
        taken = self.take(shape, dtype)
        try:
            yield taken
        finally:
            self.give(taken)
