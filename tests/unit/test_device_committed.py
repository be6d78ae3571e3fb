"""The records in our patch sets are about the patches that are there, and leave no file out."""

from __future__ import annotations

from pathlib import Path

import pytest

from winvllm_build.audit.device import generators, record
from winvllm_build.audit.device.choice import compiled
from winvllm_build.audit.device.record import Kind, Records
from winvllm_build.audit.device.subject import pairs_of
from winvllm_build.patchset.patchset import PatchSet, load

PATCHES = Path(__file__).parents[2] / "patches"
TAGS = sorted(file.parent.name for file in PATCHES.glob(f"*/{record.FILE}"))


@pytest.fixture(scope="module", params=TAGS)
def patch_set(request: pytest.FixtureRequest) -> PatchSet:
    return load(PATCHES, str(request.param))


@pytest.fixture(scope="module")
def records(patch_set: PatchSet) -> Records:
    return record.read(patch_set.folder)


def test_the_set_of_v0_14_1_has_a_record() -> None:
    assert "v0.14.1" in TAGS


def test_a_record_is_about_the_files_of_the_set(patch_set: PatchSet, records: Records) -> None:
    stale = records.stale(pairs_of(patch_set))
    assert not stale, (
        f"{record.FILE} is about other contents of {', '.join(stale)}; run on Linux, with a CUDA toolkit:\n"
        f"winvllm-build audit device {patch_set.tag} --record"
    )


def test_a_record_has_every_file_that_is_compiled_or_says_why_not(
    patch_set: PatchSet, records: Records
) -> None:
    pairs = pairs_of(patch_set)
    wanted = {path for path in pairs if compiled(path) or generators.is_generator(path)}
    proven = {path for path in wanted if records.confirms(path, *pairs[path], among=pairs)}
    told = {found.path for found in records.unproven}
    assert wanted - proven - told == set()
    assert all(found.why for found in records.unproven)


def test_what_differs_is_named_with_its_reason(records: Records) -> None:
    assert all(found.reason for unit in records.units for found in unit.differences)
    assert not [d.name for unit in records.units for d in unit.differences if d.name.startswith("entry ")]


def test_a_record_is_written_as_the_tool_writes_it(patch_set: PatchSet, records: Records) -> None:
    assert (patch_set.folder / record.FILE).read_bytes() == records.serialise()


def test_what_is_proven_of_v0_14_1() -> None:
    found = record.read(PATCHES / "v0.14.1")
    only_on_windows = {"cmake/external_projects/fa3_unavailable.cpp", "cmake/windows_cuda.h"}
    assert {found.path for found in found.unproven} == only_on_windows
    totals = {kind: sum(unit.compared.get(kind, 0) for unit in found.units) for kind in Kind}
    assert all(totals.values()), totals
