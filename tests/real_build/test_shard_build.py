"""`build --shard` on real vLLM: a share of two lists of architectures compiled, carried over, and linked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.network, pytest.mark.nvcc, pytest.mark.usefixtures("quickstart_tree")]
SMALL = ("--profile", "quickstart", "--target", "cumem_allocator", "--set", "build.objects=")


class Builder:
    """`winvllm-build build` as a user starts it, in a workspace that is kept between test runs."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).parent / "winvllm-build"
        environment = {**os.environ, "WINVLLM_BUILD_HOME": str(self.home)}
        return subprocess.run(
            [program, "build", *SMALL, *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def build(self, *arguments: str) -> dict[str, Any]:
        done = self.run(*arguments, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture
def builds(test_cache: Path) -> Builder:
    return Builder(test_cache / "workspace")


def test_two_lists_share_a_file_that_one_of_them_compiles(builds: Builder, tmp_path: Path) -> None:
    file = tmp_path / "share.tar"
    lists = ("--arch-list", "8.6", "--arch-list", "8.9")
    found = builds.build(*lists, "--shard", "1/1", "--export", str(file))
    assert (found["all_edges"], found["edges"], found["shard"]) == (1, 1, "1/1")
    assert [len(one["artifacts"]) for one in found["builds"]] == [1]
    assert found["builds"][0]["wheel"] is None
    assert file.stat().st_size > 0
    whole = builds.build("--arch-list", "8.9", "--no-wheel")
    assert whole["failed"] == []
    assert any(name.startswith("cumem_allocator") for name in whole["artifacts"])


def test_a_share_is_compiled_in_a_folder_that_was_dropped_first(builds: Builder) -> None:
    found = builds.build("--shard", "1/1")
    folder = Path(found["builds"][0]["build"])
    (folder / "mark").write_text("")
    assert builds.build("--shard", "1/1", "--fresh")["edges"] == 1
    assert not (folder / "mark").exists()
    done = builds.run("--fresh", "--dry-run")
    assert done.returncode == 2
    assert "a dry run changes nothing" in done.stderr


def test_an_empty_share_exports_nothing(builds: Builder, tmp_path: Path) -> None:
    """There is one edge for two shares; the store of this workspace has others."""
    done = builds.run("--shard", "2/2", "--export", str(tmp_path / "x.tar"))
    assert done.returncode == 0, done.stderr
    assert "is not written: the share is empty" in done.stderr
    assert not (tmp_path / "x.tar").exists()


def test_an_export_of_a_whole_build_is_refused(builds: Builder, tmp_path: Path) -> None:
    done = builds.run("--export", str(tmp_path / "x.tar"))
    assert done.returncode == 2
    assert "fix: winvllm-build state export FILE" in done.stderr
    two = builds.run("--arch-list", "8.6", "--arch-list", "8.9")
    assert two.returncode == 2
    assert "one build has one profile and one list" in two.stderr
