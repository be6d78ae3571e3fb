"""Every patch says what it is for, which hazards it answers and what it does to Linux."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from winvllm_build.audit.hazard import catalogue
from winvllm_build.patchset.manifest import read
from winvllm_build.patchset.patchset import Patch, PatchSet

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXPECTED: dict[str, Any] = tomllib.loads(
    Path(__file__).with_name("data").joinpath("expected.toml").read_text("utf-8")
)
FIELDS = (
    "Subject",
    "Topic",
    "Description",
    "Hazards",
    "Guard",
    "Upstream-Status",
    "Remove-When",
    "Since",
)
GUARD = re.compile(r"guarded|(guarded \+ )?neutral - \S.{9,}|new file - \S.{9,}", re.DOTALL)
NONE_OF_THE_LIST = "-"


def hazards(patch: Patch) -> set[str]:
    return set((patch.content.header.get("Hazards") or "").replace(",", " ").split())


def test_no_header_has_anything_left_to_write(patch_set: PatchSet) -> None:
    assert patch_set.findings == ()
    assert patch_set.notices == ()
    assert [p.path for p in patch_set.patches if b"TODO" in p.content.header.serialise()] == []


@pytest.mark.parametrize("name", FIELDS)
def test_every_header_is_complete(patch_set: PatchSet, name: str) -> None:
    lacking = [p.path for p in patch_set.patches if not (p.content.header.get(name) or "").strip()]
    assert lacking == []


def test_every_hunk_has_its_reason(patch_set: PatchSet) -> None:
    for patch in patch_set.patches:
        explained = [note.hunk for note in patch.content.header.notes]
        assert explained == [hunk.id for hunk in patch.content.diff.hunks], patch.path


def test_every_guard_is_of_a_known_kind(patch_set: PatchSet) -> None:
    for patch in patch_set.patches:
        assert GUARD.fullmatch(patch.content.header.get("Guard") or ""), patch.path


def test_hazards_are_known(patch_set: PatchSet) -> None:
    known = set(EXPECTED["hazards"])
    assert len(known) == 87
    named = {patch.path: hazards(patch) for patch in patch_set.patches}
    assert {path for path, ids in named.items() if ids == {NONE_OF_THE_LIST}} == set(EXPECTED["unlisted"])
    assert set[str]().union(*named.values()) - known - set(catalogue()) == {NONE_OF_THE_LIST}


def test_topics_are_those_of_the_manifest(patch_set: PatchSet) -> None:
    topics = {topic.name for topic in read(patch_set.folder / "patchset.toml").topics}
    assert {patch.content.header.get("Topic") for patch in patch_set.patches} == topics


def test_every_file_of_the_earlier_port_is_patched(patch_set: PatchSet) -> None:
    files = EXPECTED["files"]
    assert len(set(files)) == 26
    assert set(files) - {patch.path for patch in patch_set.of("vllm")} == set()


def test_no_left_over_in_the_added_lines(patch_set: PatchSet) -> None:
    for patch in patch_set.patches:
        added = [line for line in patch.content.diff.text.splitlines() if line.startswith(b"+")]
        assert not [line for line in added if re.search(rb"\b(TODO|FIXME|XXX)\b", line)], patch.path
