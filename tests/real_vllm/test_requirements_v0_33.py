"""The requirement files of v0.33.0: Linux gets upstream's list, Windows what has wheels and works there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.real_vllm.newest import TAG, patched_modules
from tests.real_vllm.test_requirements import chosen
from winvllm_build.choices import SourceKind
from winvllm_build.sources.pins import read_pins
from winvllm_build.sources.source import acquire, worktree
from winvllm_build.workspace import Workspace

pytestmark = pytest.mark.network
ONLY_ON_LINUX = {"flashinfer-python", "instanttensor", "tokenspeed-mla"}
ONLY_ON_WINDOWS = {"triton-windows"}


def unheard(event: str) -> None:
    assert event


@pytest.fixture(scope="module")
def patched(checkout: Path, test_cache: Path) -> Path:
    return patched_modules(checkout, test_cache).root


@pytest.fixture(scope="module")
def pristine(checkout: Path, test_cache: Path) -> Path:
    source = acquire(
        read_pins(checkout / "patches" / TAG / "patchset.toml").upstream,
        kind=SourceKind.SDIST,
        location=None,
        workspace=Workspace(root=test_cache / "workspace"),
        offline=False,
        on_event=unheard,
    )
    return worktree(source, test_cache / "proofs" / f"pristine-{TAG}")


def name_of(requirement: str) -> str:
    return requirement.partition("[")[0]


def test_what_windows_gets(patched: Path) -> None:
    windows = {name_of(line) for line in chosen(patched, "cuda.txt", "windows-amd64")}
    linux = {name_of(line) for line in chosen(patched, "cuda.txt", "linux-x86_64")}
    assert linux - windows == ONLY_ON_LINUX
    assert windows - linux == ONLY_ON_WINDOWS
    assert {"torch", "xgrammar", "llguidance", "tilelang", "fastsafetensors"} <= windows


@pytest.mark.parametrize("environment", ["linux-x86_64", "linux-aarch64"])
def test_linux_gets_what_upstream_asks_for(pristine: Path, patched: Path, environment: str) -> None:
    for file in sorted((pristine / "requirements").rglob("*.txt")):
        name = file.relative_to(pristine / "requirements").as_posix()
        if "-r " in file.read_text("utf-8") and "/" in name:
            continue  # upstream's CI includes them by paths of its own
        assert chosen(patched, name, environment) == chosen(pristine, name, environment), name
