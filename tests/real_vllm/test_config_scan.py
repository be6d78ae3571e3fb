"""Build files of v0.14.1 as published and as patched: what the patches meet is found before, and gone after.

`data/config_judged.toml` has the live hits of five tags, judged by reading the sources; those of v0.14.1 are
held against the scan here.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from packaging.version import Version

from scripts.windows_wheels import kinds
from tests.real_vllm.conftest import unheard
from winvllm_build.audit.config.scanner import scan
from winvllm_build.audit.config.wheels import Kind
from winvllm_build.audit.files import Files
from winvllm_build.audit.hazard import catalogue
from winvllm_build.audit.hit import Found, Hit, Reach, State
from winvllm_build.index import Index
from winvllm_build.patchset.patchset import PatchSet
from winvllm_build.review.find import listed
from winvllm_build.workspace import Workspace

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.network
TAG = "v0.14.1"
OURS = {f"D{n}" for n in (17, 19, 21, 23, *range(29, 34), 36, *range(38, 43))} | {"E21", "E22", "E45"}
NEW_FILES = {"cmake/windows.cmake", "cmake/windows_cuda.h"}
"""What a patch adds meets hazards of other files."""
LEFT = {("D41", "nested-cutlass"), ("D63", "shared-object"), ("D69", "torch-without-cuda")}
"""What the patched tree still has: the tool's short build root meets the first, nothing uses the second on
Windows, and the tool installs torch itself."""


def found(root: Path) -> Found:
    files = [
        path for path in root.rglob("*") if path.is_file() and ".git" not in path.relative_to(root).parts
    ]
    return scan(
        Files([path.relative_to(root).as_posix() for path in files], lambda name: (root / name).read_bytes())
    )


def live(made: Found) -> list[Hit]:
    return [hit for hit in made.hits if hit.state is State.LIVE]


@pytest.fixture(scope="module")
def before(pristine_tree: Path) -> Found:
    return found(pristine_tree)


@pytest.fixture(scope="module")
def after(patched_tree: Path) -> Found:
    return found(patched_tree)


@pytest.fixture(scope="module")
def judged() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "data" / "config_judged.toml").read_text("utf-8"))


@pytest.fixture(scope="module")
def named(patch_set: PatchSet) -> set[tuple[str, str]]:
    """File and hazard of the patches of build files, as their headers say."""
    patches = [patch for patch in patch_set.patches if not str(patch.path).startswith(("csrc/", "vllm/"))]
    return {
        (str(patch.path), hazard)
        for patch in patches
        for hazard in listed(patch.content.header, "Hazards")
        if hazard in OURS
    }


def test_everything_is_read(before: Found, after: Found) -> None:
    assert (before.blind, after.blind) == ((), ())
    assert before.files > 25
    assert after.files == before.files + 1


def test_what_the_patches_meet_is_live_before(
    before: Found, named: set[tuple[str, str]], judged: dict[str, Any]
) -> None:
    """File by file, but for the files that the patches add; what no rule finds is listed as missed."""
    hits = {(hit.path, hit.hazard) for hit in live(before)}
    hazards = {hazard for _, hazard in hits}
    missed = {
        (path, hazard)
        for path, hazard in named
        if (hazard not in hazards if path in NEW_FILES else (path, hazard) not in hits)
    }
    assert missed == {(entry["path"], entry["hazard"]) for entry in judged["missed"]}
    assert len(named) == 18
    assert all(entry["why"] for entry in judged["missed"])


def test_it_is_not_live_after(after: Found, named: set[tuple[str, str]]) -> None:
    hits = {(hit.path, hit.hazard) for hit in live(after)}
    assert named & hits == set()


def test_what_is_left_is_known(after: Found) -> None:
    left = {(hit.hazard, hit.rule) for hit in live(after) if hit.reach is Reach.BUILD}
    left |= {(hit.hazard, hit.rule) for hit in live(after) if not hit.path.startswith("requirements/")}
    assert left == LEFT


def test_the_judged_hits_are_those_of_the_scan(before: Found, judged: dict[str, Any]) -> None:
    listed_ = Counter(
        (hit["hazard"], hit["path"], hit["text"]) for hit in judged["hit"] if TAG in hit["tags"]
    )
    shown = {(hit.hazard, hit.path, " ".join(hit.text.split())) for hit in live(before)}
    assert shown == set(listed_)


def test_each_group_says_how_many_and_why(before: Found, judged: dict[str, Any]) -> None:
    rules = Counter((hit.hazard, hit.rule) for hit in live(before))
    for group in judged["group"]:
        told = group["true"].get(TAG, 0) + group["false"].get(TAG, 0)
        assert told == rules[group["hazard"], group["rule"]], group
        assert group["why"]
        assert group["hazard"] in catalogue()
    assert len(rules) <= len(judged["group"])


@pytest.mark.parametrize(
    ("project", "version", "kind"),
    [
        ("outlines-core", "0.2.11", Kind.WINDOWS),
        ("tilelang", "0.1.9", Kind.LINUX),
    ],
)
def test_the_index_says_what_the_data_say(tmp_path: Path, project: str, version: str, kind: Kind) -> None:
    """Releases do not change; the newest ones are for who runs the script."""
    index = Index(Workspace(root=tmp_path), on_event=unheard)
    assert kinds(index.files(project))[Version(version)] is kind
