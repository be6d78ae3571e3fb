"""The shipped set proven on the real source by `doctor patches`."""

from __future__ import annotations

from pathlib import Path

import pytest

from winvllm_build.patchset.patchset import PatchSet, load
from winvllm_build.review.diagnosis import Part, State
from winvllm_build.review.doctor import examine
from winvllm_build.sources.source import Source
from winvllm_build.workspace import Workspace

pytestmark = pytest.mark.network


def test_patches_lock_tag_and_tool_agree(patch_set: PatchSet, published: Source, test_cache: Path) -> None:
    assert published.commit
    found = examine(patch_set.root, patch_set.tag, workspace=Workspace(root=test_cache / "workspace"))
    assert found.culprits == ()
    assert found.agreeing == tuple(Part)
    agreeing = " ".join(check.words for check in found.checks if check.state is State.AGREES)
    count = len(load(patch_set.root, patch_set.tag).of("vllm"))
    assert f"{count} patches turn exactly the source's blob" in agreeing
    assert f"git writes {count} patches byte for byte" in agreeing
    assert "the sdist tree of the lock was computed again" in agreeing
