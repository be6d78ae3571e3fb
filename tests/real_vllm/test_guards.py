"""Linux and ROCm read what upstream wrote, except for what `data/neutral.toml` lists, each with its grounds.

The list has exactly what differs once the conditions on Windows are decided. That a guard counts is shown by
taking it away.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest

from tests.real_vllm.test_imports import ONLY_ON_WINDOWS
from winvllm_build.audit.device import record
from winvllm_build.audit.files import Files
from winvllm_build.audit.guard import check
from winvllm_build.audit.guard.cmake_view import left, spelled
from winvllm_build.audit.guard.judgement import Ground, Judgement, Verdict, View
from winvllm_build.audit.guard.pair import Pair, Tree, opened
from winvllm_build.git import RepoPath
from winvllm_build.intake.cmake_text import commands
from winvllm_build.patchset.diff import Change
from winvllm_build.patchset.patchset import PatchSet
from winvllm_build.sources.source import Source

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.network
DATA = Path(__file__).with_name("data") / "neutral.toml"
GUARD = re.compile(r"\b_MSC_VER\b|\bMSVC\b|\bWIN32\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Neutral:
    """What differs in one file, and why that is neutral; `rocm` where USE_ROCM makes it something else."""

    grounds: Sequence[str]
    changes: Sequence[str]
    rocm: Sequence[str] | None = None

    def on(self, platform: str) -> list[str]:
        return sorted(self.changes if platform == "cuda" or self.rocm is None else self.rocm)


NEUTRAL: Mapping[str, Neutral] = {
    path: Neutral(**entry) for path, entry in tomllib.loads(DATA.read_text("utf-8")).items()
}


@pytest.fixture(scope="module")
def pairs(patch_set: PatchSet, published: Source) -> Iterator[tuple[Pair, ...]]:
    with opened(patch_set, published) as found:
        yield found


@pytest.fixture(scope="module")
def records(patch_set: PatchSet) -> record.Records:
    return record.read(patch_set.folder)


@pytest.fixture(scope="module")
def judged(pairs: tuple[Pair, ...], records: record.Records) -> dict[str, Judgement]:
    return {found.path: found for found in check.check(pairs, records)}


@pytest.fixture(scope="module")
def unproven(pairs: tuple[Pair, ...], patch_set: PatchSet, records: record.Records) -> set[str]:
    """Files that only a compiler can judge, as long as the set's record does not have them."""
    among = {patch.path: (patch.pre, patch.post) for patch in patch_set.of("vllm")}
    compiled = {path for path, neutral in NEUTRAL.items() if Ground.MACHINE_CODE.value in neutral.grounds}
    return {
        pair.path
        for pair in pairs
        if pair.path in compiled and records.confirms(RepoPath(pair.path), *pair.ids, among=among) is None
    }


def test_every_patch_is_identical_or_neutral(
    judged: dict[str, Judgement], patch_set: PatchSet, unproven: set[str]
) -> None:
    assert judged.keys() == {patch.path for patch in patch_set.of("vllm")}
    assert {path for path, found in judged.items() if found.verdict is Verdict.CHANGED} == unproven
    assert {path: found.disagreement for path, found in judged.items() if found.disagreement} == {}
    recorded = (patch_set.folder / record.FILE).is_file()
    assert unproven == set() or not recorded


@pytest.mark.parametrize("platform", ["cuda", "rocm"])
def test_nothing_else_than_the_listed_changes_reaches_linux(
    judged: dict[str, Judgement], platform: str
) -> None:
    views: dict[str, View] = {
        path: getattr(found, platform) for path, found in judged.items() if found.change is not Change.ADDED
    }
    found = {path: sorted(view.changes) for path, view in views.items() if view.changes}
    listed = {path: neutral.on(platform) for path, neutral in NEUTRAL.items()}
    assert found == {path: changes for path, changes in listed.items() if changes}


def test_each_difference_has_the_listed_grounds(judged: dict[str, Judgement], unproven: set[str]) -> None:
    found = {
        path: sorted({one.ground.value for one in found.grounds})
        for path, found in judged.items()
        if found.verdict is Verdict.NEUTRAL
    }
    assert found == {path: sorted(one.grounds) for path, one in NEUTRAL.items() if path not in unproven}


def test_a_removed_guard_is_noticed(pairs: tuple[Pair, ...], judged: dict[str, Judgement]) -> None:
    """With the condition on Windows replaced by another one, no guarded patch is neutral any more."""
    unnoticed: list[str] = []
    guarded = [
        one for one in pairs if one.change is Change.MODIFIED and (one.guard or "").startswith("guarded")
    ]
    for pair in guarded:
        without, _ = check._views(replace(pair, after=bare(pair.after or b"")))
        if without.verdict is not Verdict.CHANGED or without.changes == judged[pair.path].cuda.changes:
            unnoticed.append(pair.path)
    assert len(guarded) > 40
    assert unnoticed == []


def test_new_files_are_used_on_windows_only(judged: dict[str, Judgement], pairs: tuple[Pair, ...]) -> None:
    added = {path: found for path, found in judged.items() if found.change is Change.ADDED}
    modules = {path.removesuffix(".py").replace("/", ".") for path in added if path.endswith(".py")}
    assert modules == ONLY_ON_WINDOWS
    others = {path for path in added if not path.endswith(".py")}
    cmake = {"cmake/windows.cmake", "cmake/windows_cuda.h", "cmake/external_projects/fa3_unavailable.cpp"}
    assert others == cmake
    for path, found in added.items():
        assert [one.ground for one in found.grounds] == [Ground.NEW_FILE], path
        assert found.grounds[0].detail.startswith("named only for Windows, in "), path
    files = pairs[0].new.files
    without_guards = Tree(Files(files.names, bare_reader(files), files.fetch))
    for pair in pairs:
        if pair.path in added:
            view, _ = check._views(replace(pair, new=without_guards))
            assert view.verdict is Verdict.CHANGED, pair.path


def bare(content: bytes) -> bytes:
    """A file with the conditions on Windows replaced by others."""
    text = content.decode("utf-8", "surrogateescape")
    return GUARD.sub("UNKNOWN", text).replace('"win32"', '"linux"').encode("utf-8", "surrogateescape")


def bare_reader(files: Files) -> Callable[[str], bytes | None]:
    return cache(lambda path: bare(files.content(path) or b""))


def test_no_cuda_library_is_linked_into_a_hip_build(patched_tree: Path) -> None:
    text = (patched_tree / "CMakeLists.txt").read_text("utf-8")
    on_windows_with_hip = {"MSVC": True, "WIN32": True, "VLLM_GPU_LANG STREQUAL CUDA": False}
    found = left(commands(text, "CMakeLists.txt"), on_windows_with_hip)
    assert "CUDA::cublas" in text
    assert not [one for one in found if "CUDA::cublas" in [spelled(word) for word in one.arguments]]
