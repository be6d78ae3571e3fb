"""The source of v0.14.1 as published and as patched, both made by the product."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from tests.real_vllm.modules import Modules
from winvllm_build.choices import SourceKind
from winvllm_build.patchset.apply import apply
from winvllm_build.patchset.patchset import PatchSet, load
from winvllm_build.sources.pins import Pins, read_pins
from winvllm_build.sources.source import Source, acquire, worktree
from winvllm_build.workspace import Workspace, locked

TAG = "v0.14.1"
LOCK_SECONDS = 300.0


def unheard(event: str) -> None:
    assert event


@pytest.fixture(scope="session")
def pins(checkout: Path) -> Pins:
    return read_pins(checkout / "patches" / TAG / "patchset.toml")


@pytest.fixture(scope="session")
def patch_set(checkout: Path) -> PatchSet:
    """The required layer; the optional ones are test_layers' and test_narrow's."""
    whole = load(checkout / "patches", TAG)
    required = whole.layers[0].name
    return replace(whole, patches=tuple(patch for patch in whole.patches if patch.layer == required))


@pytest.fixture(scope="session")
def published(pins: Pins, test_cache: Path) -> Source:
    """The sdist's commit, in the workspace that all slow tests share."""
    return acquire(
        pins.upstream,
        kind=SourceKind.SDIST,
        location=None,
        workspace=Workspace(root=test_cache / "workspace"),
        offline=False,
        on_event=unheard,
    )


@pytest.fixture(scope="session")
def pristine_tree(published: Source, test_cache: Path) -> Path:
    """Upstream's files; tests only read them."""
    return worktree(published, test_cache / "proofs" / "pristine")


@pytest.fixture(scope="session")
def patched_tree(published: Source, patch_set: PatchSet, test_cache: Path) -> Path:
    """The same with the patch set applied; tests only read them. A folder for each state of the set."""
    lock = patch_set.folder / "patchset.lock"
    state = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    folder = test_cache / "proofs" / f"patched-{state}"
    with locked(folder.with_suffix(".lock"), str(folder), wait=LOCK_SECONDS):
        apply(patch_set, worktree(published, folder), on_event=unheard)
    return folder


@pytest.fixture(scope="session")
def modules(patched_tree: Path) -> Modules:
    """The patched Python modules."""
    return Modules(root=patched_tree)


@pytest.fixture(scope="session")
def pristine_modules(pristine_tree: Path) -> Modules:
    """Upstream's Python modules."""
    return Modules(root=pristine_tree)
