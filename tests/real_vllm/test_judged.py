"""What a port does to real patches, judged by reading: each verdict that is not plain, on two releases."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from winvllm_build.git import RepoPath
from winvllm_build.index import Index
from winvllm_build.intake.unpinned import released_source
from winvllm_build.patchset import tree
from winvllm_build.patchset.patchset import MAIN_TARGET, PatchSet
from winvllm_build.patchset.worktree import scratch_of
from winvllm_build.port.carry import Unit, carry
from winvllm_build.port.verdict import Kind
from winvllm_build.sources.source import Source
from winvllm_build.workspace import Workspace

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TAGS = ("v0.19.0", "v0.33.0")
PLAIN = {Kind.IDENTICAL, Kind.OFFSET, Kind.NEW_FILE}


@pytest.fixture(scope="module")
def judged(checkout: Path) -> Mapping[tuple[str, str], Mapping[str, Any]]:
    file = checkout / "tests" / "real_vllm" / "data" / "judged.toml"
    entries = tomllib.loads(file.read_text(encoding="utf-8"))["verdict"]
    found = {(entry["tag"], entry["path"]): entry for entry in entries}
    assert len(found) == len(entries)
    return found


def test_every_verdict_is_judged_and_right(
    judged: Mapping[tuple[str, str], Mapping[str, Any]], checkout: Path
) -> None:
    matrix = json.loads((checkout / "tests" / "real_vllm" / "data" / "port-matrix.json").read_bytes())
    plain = {kind.value for kind in PLAIN}
    kinds = {
        (tag, name.partition("/")[2]): verdicts[tag].partition(":")[0]
        for name, verdicts in matrix["verdicts"].items()
        for tag in TAGS
    }
    assert {key: entry["kind"] for key, entry in judged.items()} == {
        key: kind for key, kind in kinds.items() if kind not in plain
    }
    assert all(entry["right"] and entry["why"] for entry in judged.values())


@pytest.mark.network
@pytest.mark.parametrize("tag", TAGS)
def test_the_carried_files_are_those_that_were_read(
    judged: Mapping[tuple[str, str], Mapping[str, Any]], published: Source, patch_set: PatchSet,
    test_cache: Path, tag: str,
) -> None:  # fmt: skip
    workspace = Workspace(root=test_cache / "workspace")
    heard: list[str] = []
    index = Index(workspace, offline=False, on_event=heard.append)
    _, new = released_source(tag, workspace=workspace, index=index, offline=False, on_event=heard.append)
    assert new.repository == published.repository
    with scratch_of(published.repository / "objects") as git:
        diffs = [patch.content.diff for patch in patch_set.of(MAIN_TARGET)]
        patched = tree.compute(git, published.tree, diffs, fix="")
        made = carry(git, Unit(old_base=published.tree, old_patched=patched, new_base=new.tree))
    found = {
        path: made.diffs[verdict.to].post
        for path, verdict in made.verdicts.items()
        if verdict.kind not in PLAIN and verdict.kind.is_carried and verdict.to is not None
    }
    read = {RepoPath(path): entry.get("blob") for (at, path), entry in judged.items() if at == tag}
    assert found == {path: blob for path, blob in read.items() if blob is not None}, "read the others anew"
