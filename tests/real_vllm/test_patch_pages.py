"""The pages of the patch sets say what the sets, their records and `audit guards` say today."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import patch_pages
from winvllm_build.patchset.patchset import load, tags
from winvllm_build.workspace import Workspace

pytestmark = pytest.mark.network


def test_the_pages_are_current(test_cache: Path) -> None:
    made = patch_pages.pages(Workspace(root=test_cache / "workspace"))
    written = {file.name: file.read_text(encoding="utf-8") for file in patch_pages.FOLDER.iterdir()}
    assert written == made, "run: python scripts/patch_pages.py"
    for tag in tags(patch_pages.PATCHES):
        for patch in load(patch_pages.PATCHES, tag).patches:
            assert f"{patch.file.relative_to(patch_pages.PATCHES).as_posix()})" in made[f"{tag}.md"]
