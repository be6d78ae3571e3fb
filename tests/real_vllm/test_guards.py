"""Linux and ROCm compile and execute what upstream wrote, except for what `data/neutral.toml` lists.

Nothing may differ in the file of a patch whose header says `Guard: guarded` once the conditions of
Windows are taken to be false; in the others, exactly the listed tokens and statements differ.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from tests.real_vllm import folding, python_folding, reading
from tests.real_vllm.test_imports import ONLY_ON_WINDOWS
from winvllm_build.git import RepoPath
from winvllm_build.patchset.diff import Change
from winvllm_build.patchset.patchset import Patch, PatchSet

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = pytest.mark.network
DATA = Path(__file__).with_name("data") / "neutral.toml"
WINDOWS_MACROS = ("_MSC_VER", "_WIN32", "_WIN64", "WIN32")
LINUX_CMAKE = {"MSVC": False, "WIN32": False}
PLATFORMS = ("cuda", "rocm")
Compare = Callable[[str, str], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Neutral:
    """What may differ in one file, and the header's reason; `rocm` where USE_ROCM makes it something else."""

    reason: str
    changes: Sequence[str]
    rocm: Sequence[str] | None = None

    def on(self, platform: str) -> list[str]:
        return list(self.changes if platform == "cuda" or self.rocm is None else self.rocm)


def read_neutral() -> dict[str, Neutral]:
    return {path: Neutral(**entry) for path, entry in tomllib.loads(DATA.read_text("utf-8")).items()}


NEUTRAL: Mapping[str, Neutral] = read_neutral()


def compare_cpp(platform: str) -> Compare:
    known = {**dict.fromkeys(WINDOWS_MACROS, False), "USE_ROCM": platform == "rocm"}
    return lambda old, new: folding.differences(*(folding.fold(reading.cpp(t), known) for t in (old, new)))


def compare_cmake(old: str, new: str) -> list[str]:
    return folding.differences(*(folding.fold(reading.cmake(t), LINUX_CMAKE) for t in (old, new)))


def comparison(path: str, platform: str) -> Compare | None:
    """How to compare a file; None for requirements, which have tests of their own."""
    if path.endswith((".cu", ".cuh", ".h", ".hpp", ".cpp")):
        return compare_cpp(platform)
    if path.endswith((".cmake", "CMakeLists.txt")):
        return compare_cmake
    if path.endswith(".py"):
        return python_folding.differences
    assert PurePosixPath(path).parts[0] == "requirements"
    return None


def modified(patch_set: PatchSet) -> list[Patch]:
    return [patch for patch in patch_set.of("vllm") if patch.change is not Change.ADDED]


def added(patch_set: PatchSet) -> set[RepoPath]:
    return {patch.path for patch in patch_set.of("vllm") if patch.change is Change.ADDED}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_nothing_else_than_the_listed_changes_reaches_linux(
    patch_set: PatchSet, pristine_tree: Path, patched_tree: Path, platform: str
) -> None:
    found: dict[str, list[str]] = {}
    for patch in modified(patch_set):
        compare = comparison(patch.path, platform)
        if compare is not None:
            texts = [(tree / patch.path).read_text("utf-8") for tree in (pristine_tree, patched_tree)]
            assert texts[0] != texts[1]
            found[patch.path] = compare(texts[0], texts[1])
    assert {path: changes for path, changes in found.items() if changes} == {
        path: neutral.on(platform) for path, neutral in NEUTRAL.items()
    }


def test_a_removed_guard_is_noticed(patch_set: PatchSet, pristine_tree: Path, patched_tree: Path) -> None:
    """With the condition of Windows replaced by another one, no guarded patch is neutral any more."""
    unnoticed: list[str] = []
    guarded = [p for p in modified(patch_set) if (p.content.header.get("Guard") or "").startswith("guarded")]
    for patch in guarded:
        compare = comparison(patch.path, "cuda")
        assert compare is not None
        old, new = ((tree / patch.path).read_text("utf-8") for tree in (pristine_tree, patched_tree))
        bare = re.sub(r"\b_MSC_VER\b|\bMSVC\b|\bWIN32\b", "UNKNOWN", new).replace('"win32"', '"linux"')
        if compare(old, bare) == compare(old, new):
            unnoticed.append(patch.path)
    assert len(guarded) > 40
    assert unnoticed == []


def test_the_list_is_that_of_the_headers(patch_set: PatchSet) -> None:
    """`guarded` has no entry; a neutral change has one, with the reason that its header gives."""
    said: dict[str, str] = {}
    for patch in modified(patch_set):
        guard = " ".join((patch.content.header.get("Guard") or "").split())
        kind, _, reason = guard.partition(" - ")
        if comparison(patch.path, "cuda") is not None and kind != "guarded":
            assert kind in ("neutral", "guarded + neutral"), patch.path
            said[patch.path] = reason
    assert said == {path: neutral.reason for path, neutral in NEUTRAL.items()}


def test_new_files_are_used_on_windows_only(patch_set: PatchSet, patched_tree: Path) -> None:
    new = added(patch_set)
    modules = {path.removesuffix(".py").replace("/", ".") for path in new if path.endswith(".py")}
    assert modules == ONLY_ON_WINDOWS
    others = {path for path in new if not path.endswith(".py")}
    assert others == {"cmake/windows.cmake", "cmake/external_projects/fa3_unavailable.cpp"}
    files = [patched_tree / "CMakeLists.txt", *(patched_tree / "cmake").rglob("*.cmake")]
    read = {file: file.read_text("utf-8") for file in files if file.name != "windows.cmake"}
    left = "".join(
        word
        for text in read.values()
        for command in folding.fold(reading.cmake(text), LINUX_CMAKE)
        for word in command
    )
    for path in others:
        name = PurePosixPath(path).name
        assert any(name in text for text in read.values())
        assert name not in left


def test_no_cuda_library_is_linked_into_a_hip_build(patched_tree: Path) -> None:
    text = (patched_tree / "CMakeLists.txt").read_text("utf-8")
    on_windows_with_hip = {"MSVC": True, "WIN32": True, 'VLLM_GPU_LANG STREQUAL "CUDA"': False}
    left = folding.fold(reading.cmake(text), on_windows_with_hip)
    assert "CUDA::cublas" in text
    assert not [line for line in left if "CUDA::cublas" in line]
