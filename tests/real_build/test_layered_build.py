"""A build with an optional layer: a tree of its own, compiled with the layer in, and told in the result."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from winvllm_build.build import pipeline
from winvllm_build.build.result import BuildResult
from winvllm_build.choices import SourceKind
from winvllm_build.patchset.apply import apply
from winvllm_build.patchset.patchset import load
from winvllm_build.patchset.regen import regen
from winvllm_build.profile.loader import ProfileRoots, resolve
from winvllm_build.sources.pins import read_pins
from winvllm_build.sources.source import acquire, worktree
from winvllm_build.workspace import Workspace

TAG = "v0.14.1"
SOURCE = "csrc/cumem_allocator.cpp"
MARK = b"made with the layer ours"

pytestmark = [pytest.mark.network, pytest.mark.nvcc]


def heard(*event: Any) -> None:  # noqa: ANN401 - whatever there is to hear
    assert event


@pytest.fixture
def workspace(test_cache: Path) -> Workspace:
    return Workspace(root=test_cache / "workspace")


@pytest.fixture
def patches(checkout: Path, workspace: Workspace, tmp_path: Path) -> Path:
    """The shipped set with one layer more, which leaves a mark in the extension."""
    root = tmp_path / "patches"
    shutil.copytree(checkout / "patches" / TAG, root / TAG)
    manifest = root / TAG / "patchset.toml"
    manifest.write_text(manifest.read_text(encoding="utf-8") + "\n[layer.ours]\n", encoding="utf-8")
    pin = read_pins(manifest).upstream
    source = acquire(
        pin, kind=SourceKind.SDIST, location=None, workspace=workspace, offline=False, on_event=heard
    )
    folder = worktree(source, tmp_path / "edit")
    apply(load(root, TAG), folder, on_event=heard)
    file = folder / SOURCE
    line = b'extern "C" __attribute__((used)) const char winvllm_layer[] = "' + MARK + b'";\n'
    file.write_bytes(file.read_bytes() + line)
    regen(root, TAG, folder, on_event=heard, layer="ours")
    return root


def built(
    checkout: Path, workspace: Workspace, patches: Path, tmp_path: Path, layers: list[str]
) -> BuildResult:
    resolved = resolve(
        "quickstart", roots=ProfileRoots(shipped=checkout / "profiles", user=tmp_path), environment={},
        overrides={
            "build.targets": ["cumem_allocator"], "build.objects": "", "source.layers": layers,
            "source.kind": "sdist", "tag": TAG,
        },
    )  # fmt: skip
    request = pipeline.BuildRequest(resolved=resolved, workspace=workspace, patches=patches)
    result = pipeline.run(request, heard)
    assert isinstance(result, BuildResult)
    return result


def test_a_layer_is_built_in_a_tree_of_its_own(
    checkout: Path, workspace: Workspace, patches: Path, tmp_path: Path
) -> None:
    plain = built(checkout, workspace, patches, tmp_path, [])
    ours = built(checkout, workspace, patches, tmp_path, ["ours"])
    assert (plain.tree.name, ours.tree.name) == (f"{TAG}-sm86", f"{TAG}-sm86+ours")
    assert (plain.as_data()["layers"], ours.as_data()["layers"]) == (["windows"], ["windows", "ours"])
    assert ours.patches == plain.patches  # the port changes that file too
    extension = "cumem_allocator.abi3.so"
    assert MARK in (ours.build / extension).read_bytes()
    assert MARK not in (plain.build / extension).read_bytes()
