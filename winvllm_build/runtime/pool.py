"""How vLLM lays the caches of a model's layers into blocks of one size, and how many a request takes.

The same arithmetic as in vLLM: layers of one kind share a group, all groups draw blocks from one pool, and
a block holds one page of each layer of the widest group.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from winvllm_build.runtime.attention import Attention, Layer
from winvllm_build.runtime.numbers import UnknownModelError
from winvllm_build.runtime.states import State

BLOCK: Final = 16
"""Tokens of a block on a GPU, unless states are larger than its page."""
LATENT_BLOCK: Final = 128
"""vLLM rounds the block of a model with states and latent attention up to it."""
WORTH_PADDING: Final = 1.5
"""Below so many times the layers of the rarest kind, groups take the size of the most frequent one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Layers whose blocks are counted together.

    Attributes:
        layer: what one of them keeps.
        count: how many there are.
        tokens: tokens of a block; for states, of no meaning.
        page: bytes that one block takes in one layer.
    """

    layer: Layer
    count: int
    tokens: int
    page: int

    def blocks(self, length: int, *, in_flight: int, state_blocks: int) -> int:
        """Blocks that a request of that many tokens holds at most."""
        if isinstance(self.layer, State):
            return state_blocks
        if self.layer.window is not None:
            return -(-min(self.layer.window - 1 + in_flight, length) // self.tokens) + 1
        if self.layer.chunk is not None:
            return -(-min(self.layer.chunk + in_flight, length) // self.tokens)
        return -(-length // self.tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The cache of a model.

    Attributes:
        groups: what draws blocks from it.
        block: bytes of a block, over all layers that share it.
        in_flight: tokens of the steps that are under way, which a window has to hold besides.
        state_blocks: blocks that a layer's state takes: 2 with prefix caching, else 1.
    """

    groups: tuple[Group, ...]
    block: int
    in_flight: int
    state_blocks: int

    def request_blocks(self, length: int) -> int:
        """Blocks that a request of that many tokens holds at most."""
        return sum(
            g.blocks(length, in_flight=self.in_flight, state_blocks=self.state_blocks) for g in self.groups
        )

    def request_bytes(self, length: int) -> int:
        return self.request_blocks(length) * self.block

    def requests(self, memory: int, length: int) -> float:
        """Requests of that many tokens that the memory holds; vLLM prints it as `Maximum concurrency`."""
        return (memory // self.block) / self.request_blocks(length)

    def longest(self, memory: int, limit: int, *, together: int = 1) -> int:
        """Tokens of the longest request of which so many fit, or 0; one block is never given out."""
        blocks = memory // self.block - 1
        low, high = 0, limit
        while low < high:
            middle = (low + high + 1) // 2
            fits = self.request_blocks(middle) * together <= blocks
            low, high = (middle, high) if fits else (low, middle - 1)
        return low


@dataclass(frozen=True, slots=True, kw_only=True)
class Widths:
    """Bytes of a value: of keys and values (`kv_cache_dtype`), and of states, which have the model's type."""

    attention: int
    state: int

    def page(self, layer: Layer, tokens: int) -> int:
        """Bytes of a block of that many tokens in one layer."""
        if isinstance(layer, State):
            return layer.size(self.state)
        return layer.bytes_per_token(self.attention) * tokens


def pool(
    layers: Sequence[Layer], *, widths: Widths, in_flight: int, state_blocks: int = 1, tokens: int = BLOCK
) -> Pool:
    """The cache of a model.

    Args:
        layers: the caches, in the model's order.
        widths: bytes of a kept value.
        in_flight: see `Pool`.
        state_blocks: see `Pool`.
        tokens: tokens of a block where no state asks for more.

    Raises:
        UnknownModelError: vLLM has no way to share blocks among such layers.
    """
    layers = [layer for layer in layers if widths.page(layer, 1)]
    if not layers:
        raise UnknownModelError("no layer keeps anything")
    tokens = _block_tokens(layers, widths, tokens)
    groups = _groups(
        tuple(
            Group(layer=layer, count=count, tokens=tokens, page=widths.page(layer, tokens))
            for layer, count in Counter(layers).items()
        )
    )
    together = _one_length(groups)
    block = sum(g.page * g.count for g in groups) if together else max(g.page * g.count for g in groups)
    used = groups[:1] if together else groups
    return Pool(groups=used, block=block, in_flight=in_flight, state_blocks=state_blocks)


def _block_tokens(layers: Sequence[Layer], widths: Widths, tokens: int) -> int:
    """Tokens of a block, so many that a page of attention is as large as the largest state."""
    largest = max((widths.page(layer, 1) for layer in layers if isinstance(layer, State)), default=0)
    attention = next((layer for layer in layers if isinstance(layer, Attention)), None)
    if not largest or attention is None:
        return tokens
    step = max(tokens, LATENT_BLOCK) if attention.value == 0 else tokens
    return max(tokens, step * -(-largest // (step * widths.page(attention, 1))))


def _one_length(groups: Sequence[Group]) -> bool:
    """Whether all layers hold as many tokens of a request, so that one group has them all."""
    kinds = {
        (g.layer.window, g.layer.chunk) if isinstance(g.layer, Attention) else ("state", g.page)
        for g in groups
    }
    return len(kinds) == 1


def _groups(groups: tuple[Group, ...]) -> tuple[Group, ...]:
    """The groups that blocks are counted for, of one size and with pages of one size."""
    if len(groups) <= 1 or _one_length(groups):
        return groups
    unified = [_of_page(group, max(g.page for g in groups)) for group in groups]
    least, most = min(g.count for g in unified), max(g.count for g in unified)
    size = most if most < least * WORTH_PADDING else least
    return tuple(
        Group(layer=g.layer, count=size, tokens=g.tokens, page=g.page)
        for g in unified
        for _ in range(-(-g.count // size))
    )


def _of_page(group: Group, page: int) -> Group:
    """The group with pages of that size: more tokens in each, or an unused end."""
    ratio, rest = divmod(page, group.page)
    if isinstance(group.layer, State) or rest == 0:
        tokens = group.tokens if isinstance(group.layer, State) else group.tokens * ratio
        return Group(layer=group.layer, count=group.count, tokens=tokens, page=page)
    if group.layer.value == 0:
        raise UnknownModelError("latent attention shares no blocks with layers of another size")
    return Group(layer=group.layer, count=group.count, tokens=group.tokens, page=page)
