"""A release that has no patch set yet becomes a source: listed, taken once, refused when it is another."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.small_vllm import CANDIDATE, NEW, OLD, WHEELS_ONLY, SmallVllm, git, take
from winvllm_build.errors import OfflineError, RefusedError, UsageError
from winvllm_build.git import Git
from winvllm_build.intake.unpinned import released_tags
from winvllm_build.workspace import sha256_of


@pytest.fixture
def small(tmp_path: Path) -> SmallVllm:
    return SmallVllm.make(tmp_path)


def test_releases_are_listed_in_order_with_what_they_have(small: SmallVllm) -> None:
    found = [(one.tag, one.version, one.has_sdist) for one in released_tags(small.index())]
    assert found == [
        (OLD, "1.0.0", True), (WHEELS_ONLY, "1.0.5", False), (NEW, "1.1.0", True),
        (CANDIDATE, "1.2.0rc1", True),
    ]  # fmt: skip


def test_a_release_becomes_a_source_once(small: SmallVllm) -> None:
    pin, source = take(small, NEW)
    assert pin.commit is None
    assert pin.sdist is not None
    assert pin.sdist.sha256 == sha256_of(small.archive("1.1.0"))
    assert pin.abbreviated == small.commits[NEW][:9]
    assert source.tree == git(small.upstream, "rev-parse", f"{NEW}^{{tree}}")
    assert source.commit == pin.sdist.commit_id(source.tree)
    shutil.rmtree(small.links)
    shutil.rmtree(small.workspace.downloads)
    assert take(small, NEW, offline=True)[0] == pin


def test_a_tampered_cache_is_not_taken(small: SmallVllm) -> None:
    pin, source = take(small, NEW)
    bare = Git(source.repository)
    other = bare.commit_tree(bare.tree_of(source.commit), "vllm 1.1.0, from its published source archive")
    bare.out("update-ref", f"refs/winvllm/{NEW}/base-sdist", other)
    assert take(small, NEW)[1].commit == source.commit
    assert pin.sdist is not None


def test_only_wheels_is_said_so(small: SmallVllm) -> None:
    with pytest.raises(RefusedError, match="only as wheels: no source archive") as caught:
        take(small, WHEELS_ONLY)
    assert caught.value.exit_code == 16


def test_unknown_and_unreachable_releases(small: SmallVllm) -> None:
    with pytest.raises(RefusedError, match=r"no vllm 1\.7\.0"):
        take(small, "v1.7.0")
    shutil.rmtree(small.links)
    with pytest.raises(OfflineError, match="not cached"):
        take(small, NEW, offline=True)
    for wrong in ("1.1.0", "main", "v1.1.0/../x", "v1.1.0+local tag"):
        with pytest.raises(UsageError, match="not the tag of a release"):
            take(small, wrong)
