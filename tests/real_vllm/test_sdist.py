"""The real v0.14.1: its sdist becomes the very tree that its files make, everywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from winvllm_build.choices import SourceKind
from winvllm_build.git import Git
from winvllm_build.sources.dependency import Dependency, acquire_dependencies
from winvllm_build.sources.pins import Pins
from winvllm_build.sources.source import Source, acquire, worktree
from winvllm_build.workspace import Workspace

TREE = "eef2fed6f7f45ed1eee978f6eb10c5abce3a9ffd"
"""Made by hand once: `git add -A -f` of the unpacked archive without the four files packing adds."""
FILES = 3741
EXECUTABLES = 60

pytestmark = pytest.mark.network


def unheard(event: str) -> None:
    assert event


def test_tree_of_the_published_archive(
    pins: Pins, test_cache: Path, tmp_path: Path, hostile_git: Path
) -> None:
    assert hostile_git.is_file()
    workspace = Workspace(root=tmp_path / "ws")
    workspace.root.mkdir()
    (test_cache / "downloads").mkdir(exist_ok=True)
    workspace.downloads.symlink_to(test_cache / "downloads", target_is_directory=True)
    source = acquire(
        pins.upstream,
        kind=SourceKind.SDIST,
        location=None,
        workspace=workspace,
        offline=False,
        on_event=unheard,
    )
    assert source.tree == TREE
    entries = Git(source.repository).entries(source.tree)
    assert len(entries) == FILES
    assert sum(entry.mode == "100755" for entry in entries.values()) == EXECUTABLES
    folder = worktree(source, tmp_path / "tree")
    assert Git(folder).out("status", "--porcelain") == b""


def test_cutlass_from_its_package(pins: Pins, published: Source, tmp_path: Path) -> None:
    deps = Workspace(root=tmp_path / "ws")
    cutlass = tuple(pin for pin in pins.dependencies if pin.name == "cutlass")
    (found,) = acquire_dependencies(
        published, cutlass, archs=("8.6",), workspace=deps, offline=False, on_event=unheard
    )
    assert isinstance(found, Dependency)
    for name in (
        "CMakeLists.txt",
        "include/cutlass/cutlass.h",
        "tools/util/include/cutlass/util/host_tensor.h",
    ):
        assert (found.folder / name).is_file()
