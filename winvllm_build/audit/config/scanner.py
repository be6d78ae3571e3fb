"""Every hazard of a tree outside its C++, its CUDA and the Python of `vllm/`."""

from __future__ import annotations

from winvllm_build.audit.config import build_python, cmake, requirements, rust
from winvllm_build.audit.files import Files
from winvllm_build.audit.hit import Found

READERS = (cmake, build_python, requirements, rust)


def scan(files: Files) -> Found:
    """What CMake files, build programs, requirements and Rust have that Windows has not.

    Args:
        files: a tag's, or a few in memory; what is not there is not looked for.
    """
    found = Found()
    for reader in READERS:
        found += reader.scan(files)
    return found
