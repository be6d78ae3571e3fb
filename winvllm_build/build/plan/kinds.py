"""Classes of files that cost alike, with the figures that hold where nobody has measured."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from winvllm_build.build.engine.edge import Edge, Language

MB: Final = 1_000_000


class Kind(Enum):
    """What a file is, as far as its cost goes."""

    FLASH_ATTENTION_2 = "FlashAttention 2"
    FLASH_ATTENTION_2_SPLIT = "FlashAttention 2, split keys"
    FLASH_ATTENTION_3 = "FlashAttention 3"
    FLASHMLA = "FlashMLA"
    CUTLASS = "CUTLASS"
    MARLIN = "Marlin"
    MOE = "mixture of experts"
    ORDINARY = "ordinary"
    CXX = "C++"
    LINK = "link"


class Headers(Enum):
    """What of torch a file reads, which is half of the cost of many."""

    STABLE = "stable ABI"
    ALL = "torch/all.h"
    NARROW = "fewer of torch"
    NONE = "none"


STABLE_ABI: Final = "-DTORCH_TARGET_VERSION"
NARROW: Final = re.compile(r"[\\/]narrow_torch[\\/]\w+$")
"""Folders of headers that the layer `fast-compile` puts before torch's."""
PATHS: Final = (
    (re.compile(r"_entry\.cu$"), Kind.ORDINARY),
    (re.compile(r"marlin"), Kind.MARLIN),
    (re.compile(r"^<flash-attn>.*/?hopper/|flash_fwd_.*sm90|/hopper/"), Kind.FLASH_ATTENTION_3),
    (re.compile(r"flash_fwd_split"), Kind.FLASH_ATTENTION_2_SPLIT),
    (re.compile(r"^<flash-attn>|/flash_attn/"), Kind.FLASH_ATTENTION_2),
    (re.compile(r"^<flash-mla>"), Kind.FLASHMLA),
    (re.compile(r"cutlass|scaled_mm|machete|c3x|sm\d+_(?:mla|dense|sparse)|^<(?:qutlass|deepgemm|flash-kda)>"),
     Kind.CUTLASS),
    (re.compile(r"/moe/"), Kind.MOE),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a class costs on the machine of reference.

    Attributes:
        host: seconds for the host code.
        device: seconds for each architecture of device code.
        memory: peak bytes.
        size: bytes of the output, with debug information; see `DEBUG_SHARE`.
    """

    host: float
    device: float
    memory: int
    size: int


def kind_of(edge: Edge) -> Kind:
    """The class of an edge, by its language and its source's path."""
    if edge.language is Language.LINK:
        return Kind.LINK
    if edge.language is Language.CXX:
        return Kind.CXX
    return next((kind for pattern, kind in PATHS if pattern.search(edge.source)), Kind.ORDINARY)


def headers_of(edge: Edge) -> Headers:
    """By the definition that CMake gives to targets of the stable ABI alone, and by the layer's folders."""
    if edge.language is Language.LINK:
        return Headers.NONE
    if any(NARROW.search(word) for word in edge.arguments):
        return Headers.NARROW
    if any(word.startswith(STABLE_ABI) for word in edge.arguments):
        return Headers.STABLE
    if edge.language is Language.CXX and "binding" not in edge.source and "api" not in edge.source:
        return Headers.NONE
    return Headers.ALL


def passes(gencodes: tuple[str, ...]) -> int:
    """How often device code is made: once for each architecture, PTX beside it costs next to nothing.

    nvcc takes an architecture of its own choice where it is told none.
    """
    return max(len({code.split("_")[-1].rstrip("af") for code in gencodes}), 1)


FIGURES: Final[dict[tuple[Kind, Headers], Figures]] = {
    (Kind.ORDINARY, Headers.STABLE): Figures(host=8, device=10, memory=800 * MB, size=2 * MB),
    (Kind.ORDINARY, Headers.ALL): Figures(host=40, device=45, memory=2900 * MB, size=12 * MB),
    (Kind.ORDINARY, Headers.NARROW): Figures(host=12, device=7, memory=1150 * MB, size=3 * MB),
    (Kind.MARLIN, Headers.STABLE): Figures(host=5, device=40, memory=600 * MB, size=3 * MB),
    (Kind.MARLIN, Headers.ALL): Figures(host=40, device=80, memory=2900 * MB, size=9 * MB),
    (Kind.MARLIN, Headers.NARROW): Figures(host=15, device=60, memory=1200 * MB, size=6 * MB),
    (Kind.MOE, Headers.STABLE): Figures(host=8, device=15, memory=900 * MB, size=3 * MB),
    (Kind.MOE, Headers.ALL): Figures(host=40, device=45, memory=2900 * MB, size=13 * MB),
    (Kind.MOE, Headers.NARROW): Figures(host=14, device=16, memory=1300 * MB, size=5 * MB),
    (Kind.CUTLASS, Headers.STABLE): Figures(host=20, device=120, memory=4500 * MB, size=40 * MB),
    (Kind.CUTLASS, Headers.ALL): Figures(host=60, device=200, memory=5500 * MB, size=60 * MB),
    (Kind.FLASH_ATTENTION_2, Headers.ALL): Figures(host=30, device=65, memory=4250 * MB, size=4 * MB),
    (Kind.FLASH_ATTENTION_2_SPLIT, Headers.ALL): Figures(host=30, device=315, memory=4250 * MB, size=7 * MB),
    (Kind.FLASH_ATTENTION_3, Headers.ALL): Figures(host=30, device=75, memory=3000 * MB, size=20 * MB),
    (Kind.FLASHMLA, Headers.ALL): Figures(host=30, device=150, memory=4500 * MB, size=10 * MB),
    (Kind.CXX, Headers.STABLE): Figures(host=13, device=0, memory=700 * MB, size=5 * MB),
    (Kind.CXX, Headers.ALL): Figures(host=42, device=0, memory=1900 * MB, size=20 * MB),
    (Kind.CXX, Headers.NONE): Figures(host=1, device=0, memory=150 * MB, size=MB),
    (Kind.LINK, Headers.NONE): Figures(host=2, device=0, memory=500 * MB, size=50 * MB),
}
"""From complete and sampled builds with nvcc 13.0 and GCC 12 on Linux; see docs/plan.md."""


DEBUG: Final = frozenset({"RelWithDebInfo", "Debug"})
DEBUG_SHARE: Final = {Headers.STABLE: 0.78, Headers.ALL: 0.94, Headers.NARROW: 0.94, Headers.NONE: 0.7}
"""How much is debug information, where there is any: all of v0.33.0, some of v0.14.1; NONE is for links."""


def size_for(size: int, of: str, wanted: str, headers: Headers) -> int:
    """Bytes of an object as it is with another build type.

    Args:
        size: bytes.
        of: the build type that `size` is of.
        wanted: the other one.
        headers: what of torch the source reads.
    """
    rest = 1 - DEBUG_SHARE[headers]
    if (of in DEBUG) == (wanted in DEBUG):
        return size
    return int(size * rest if of in DEBUG else size / rest)


GROWING: Final = frozenset({Kind.ORDINARY, Kind.MOE})
BYTES_A_SECOND: Final = 8 * MB
SMALLEST: Final = 450 * MB


def memory_for(edge: Edge, seconds: float) -> int:
    """Peak bytes of a file whose memory nobody measured, but that takes so long on the machine of reference.

    With the stable ABI it grows with the time: 0.46 GB in 5 s, 0.74 in 14, 1.42 in 132.
    """
    rough = figures_of(edge).memory
    if kind_of(edge) not in GROWING or headers_of(edge) is not Headers.STABLE:
        return rough
    return max(rough, SMALLEST + int(BYTES_A_SECOND * seconds))


def figures_of(edge: Edge) -> Figures:
    """The figures of its class; those of the dearer headers where there are none for its own."""
    kind = kind_of(edge)
    return FIGURES.get((kind, headers_of(edge))) or FIGURES[kind, Headers.ALL]


def reckoned(edge: Edge, gencodes: tuple[str, ...] | None = None) -> float:
    """Seconds by class on the machine of reference, for the edge's own device codes or for others."""
    figures = figures_of(edge)
    codes = edge.gencodes if gencodes is None else gencodes
    device = figures.device * passes(codes) if edge.language is Language.CUDA else 0.0
    return figures.host + device
