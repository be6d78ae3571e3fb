"""What a tag says of itself, read from its own files: the ground of a new manifest and of the comparison."""

from __future__ import annotations

from dataclasses import dataclass

from winvllm_build.intake import cmake_facts, expectations, extensions, rust
from winvllm_build.intake.checkout import Checkout
from winvllm_build.intake.cmake_facts import CMakeFacts
from winvllm_build.intake.expectations import Expectations
from winvllm_build.intake.extensions import Extension
from winvllm_build.intake.rust import RustFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class TagFacts:
    """One tag; `rust` is None where it has none."""

    tag: str
    expect: Expectations
    cmake: CMakeFacts
    extensions: tuple[Extension, ...]
    rust: RustFacts | None


def read(checkout: Checkout) -> TagFacts:
    """Read every fact of a tag.

    Raises:
        SourceError: a file is missing, or does not look like vLLM's; it is named.
    """
    return TagFacts(
        tag=checkout.name, expect=expectations.read(checkout), cmake=cmake_facts.read(checkout),
        extensions=extensions.read(checkout), rust=rust.read(checkout),
    )  # fmt: skip
