"""The source of a shipped tag, as its published archive has it or with its patch set applied."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from winvllm_build.choices import SourceKind
from winvllm_build.patchset.apply import apply
from winvllm_build.patchset.layers import select
from winvllm_build.patchset.patchset import load
from winvllm_build.sources.pins import read_pins
from winvllm_build.sources.source import acquire, worktree
from winvllm_build.workspace import Workspace, locked

PATCHES = Path(__file__).resolve().parents[1] / "patches"
LOCK_SECONDS = 300.0


def unheard(event: str) -> None:
    assert event


def published(tag: str, cache: Path, *, patched: bool, layers: Sequence[str] = ()) -> Path:
    """A worktree that tests only read; one for each state of the set.

    Args:
        tag: one that has a patch set.
        cache: the folder that slow tests share.
        patched: with the required layer, or as published.
        layers: optional ones on top of the required one.
    """
    source = acquire(
        read_pins(PATCHES / tag / "patchset.toml").upstream,
        kind=SourceKind.SDIST,
        location=None,
        workspace=Workspace(root=cache / "workspace"),
        offline=False,
        on_event=unheard,
    )
    lock = (PATCHES / tag / "patchset.lock").read_bytes()
    state = hashlib.sha256(lock).hexdigest()[:12] if patched else "published"
    folder = cache / "tag-trees" / "+".join((f"{tag}-{state}", *layers))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_name(f"{folder.name}.lock"), str(folder), wait=LOCK_SECONDS):
        tree = worktree(source, folder)
        if patched:
            patches = load(PATCHES, tag)
            apply(patches, tree, on_event=unheard, selection=select(patches.manifest, layers))
    return tree
