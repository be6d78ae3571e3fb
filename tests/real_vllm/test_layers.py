"""Every combination of layers that a shipped set allows, on the real source; and a layer of our own."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.real_vllm.conftest import TAG, unheard
from winvllm_build.build.equipment import layers_of
from winvllm_build.choices import SourceKind
from winvllm_build.git import Git
from winvllm_build.patchset import tree
from winvllm_build.patchset.apply import apply, unapply
from winvllm_build.patchset.layers import compose, layer_base, select, selections
from winvllm_build.patchset.patchset import load, tags
from winvllm_build.patchset.regen import regen
from winvllm_build.patchset.status import TreeState, status
from winvllm_build.patchset.worktree import scratch_of
from winvllm_build.profile.loader import ProfileRoots, available, resolve
from winvllm_build.sources.source import Source, acquire, worktree
from winvllm_build.workspace import Workspace

CHECKOUT = Path(__file__).resolve().parents[2]
LAYER = '\n[layer.ours]\ntitle = "For this test"\n'
BOTH = "cmake/utils.cmake"
"""A file that the required layer changes too."""
PLAIN = "vllm/version.py"


@pytest.mark.network
@pytest.mark.parametrize("tag", tags(CHECKOUT / "patches"))
def test_every_combination_of_a_shipped_set(tag: str, test_cache: Path) -> None:
    patch_set = load(CHECKOUT / "patches", tag)
    kind = SourceKind.SDIST if patch_set.pin.sdist else SourceKind.AUTO
    source = acquire(
        patch_set.pin, kind=kind, location=None, workspace=Workspace(root=test_cache / "workspace"),
        offline=False, on_event=unheard,
    )  # fmt: skip
    with scratch_of(source.repository / "objects") as git:
        for selection in selections(patch_set.manifest):
            made = compose(git, patch_set.of("vllm"), selection, source.tree, fix="regenerate the set")
            assert tree.difference(git, source.tree, made) == patch_set.selected(selection)
            if not selection.optional:
                pair = patch_set.target("vllm").pair_of(source.tree)
                assert pair is not None
                assert pair.patched == made


def test_the_layers_of_every_shipped_profile_can_be_combined(tmp_path: Path) -> None:
    roots = ProfileRoots(shipped=CHECKOUT / "profiles", user=tmp_path)
    for summary in available(roots):
        profile = resolve(summary.name, roots=roots, environment={}, overrides={}).profile
        wanted = layers_of(profile, CHECKOUT / "patches")
        assert wanted in selections(load(CHECKOUT / "patches", profile.tag).manifest)


@pytest.mark.network
@pytest.mark.usefixtures("hostile_git")
def test_a_layer_of_our_own_on_top_of_the_port(published: Source, tmp_path: Path) -> None:
    root = tmp_path / "patches"
    shutil.copytree(CHECKOUT / "patches" / TAG, root / TAG)
    manifest = root / TAG / "patchset.toml"
    manifest.write_text(manifest.read_text(encoding="utf-8") + LAYER, encoding="utf-8")
    shipped = (root / TAG / "patchset.lock").read_bytes()
    folder = worktree(published, tmp_path / "tree")
    port = apply(load(root, TAG), folder, on_event=unheard)
    for name in (BOTH, PLAIN):
        file = folder / name
        file.write_bytes(file.read_bytes() + b"# ours\n")
    regen(root, TAG, folder, on_event=unheard, layer="ours")
    assert {file.name for file in (root / TAG / "ours").rglob("*.patch")} == {
        "utils.cmake.patch", "version.py.patch",
    }  # fmt: skip

    patch_set = load(root, TAG)
    ours = select(patch_set.manifest, ["ours"])
    assert (
        patch_set.lock.targets["vllm"].patches == load(CHECKOUT / "patches", TAG).lock.targets["vllm"].patches
    )
    shipped_with = load(CHECKOUT / "patches", TAG).lock.targets["vllm"].combined
    combined = patch_set.lock.targets["vllm"].combined
    assert {path for path, sides in combined.items() if sides and path not in shipped_with} == {BOTH}
    with scratch_of(published.repository / "objects") as git:
        assert (
            layer_base(git, patch_set.of("vllm"), patch_set.manifest, "ours", published.tree, fix="")
            == port.tree
        )
    found = status(patch_set, folder)
    assert (found.state, found.applied) == (TreeState.OUTDATED, ("windows", "ours"))
    assert set(apply(patch_set, folder, on_event=unheard).files) == {BOTH, PLAIN}
    assert Git(folder).line("write-tree") == port.tree
    assert set(apply(patch_set, folder, on_event=unheard, selection=ours).files) == {BOTH, PLAIN}
    assert all((folder / name).read_bytes().endswith(b"# ours\n") for name in (BOTH, PLAIN))

    required = folder / "setup.py"
    required.write_bytes(required.read_bytes() + b"# of the port\n")
    regen(root, TAG, folder, on_event=unheard, layer="windows")
    regen(root, TAG, folder, on_event=unheard, layer="ours", check=True)
    unapply(load(root, TAG), folder, on_event=unheard)
    assert Git(folder).out("status", "--porcelain") == b""
    apply(load(root, TAG), folder, on_event=unheard)
    assert required.read_bytes().endswith(b"# of the port\n")
    assert (root / TAG / "patchset.lock").read_bytes() != shipped
