"""What a build asks of the toolchain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.specifiers import SpecifierSet

from winvllm_build import arch
from winvllm_build.choices import TorchSource


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolchainRequest:
    """The part of a profile and of a tag's expectations that decides the toolchain.

    Attributes:
        cuda_home: a toolkit folder the user named; None searches.
        cuda_version: which toolkit versions fit, as in ">=12.6".
        architectures: compute capabilities as in TORCH_CUDA_ARCH_LIST: "8.6", "9.0a", "12.0+PTX".
        python: the interpreter of the target environment; None is the running one.
        python_version: which Pythons the tag supports.
        torch_version: the version the tag pins, without a local part.
        torch_fits: which torch versions fit; None is the pinned one alone.
        allow_laydown: whether NVIDIA's wheels may stand in for a missing toolkit.
        environment: extra variables for CMake and the compilers; they win.
    """

    cuda_home: Path | None = None
    cuda_version: SpecifierSet = field(default_factory=SpecifierSet)
    architectures: tuple[str, ...]
    python: Path | None = None
    python_version: SpecifierSet = field(default_factory=SpecifierSet)
    torch_version: str
    torch_fits: SpecifierSet | None = None
    torch_source: TorchSource = TorchSource.AUTO
    allow_laydown: bool = True
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The architectures without suffixes, as nvcc lists them."""
        return tuple(dict.fromkeys(arch.base(written) for written in self.architectures))

    @property
    def torch_wanted(self) -> SpecifierSet:
        """The torch versions that fit; a local part such as `+cu128` does not matter to it."""
        return SpecifierSet(f"=={self.torch_version}") if self.torch_fits is None else self.torch_fits
