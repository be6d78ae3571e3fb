"""The record of compared units: a proof only for the very ids that were compiled."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from winvllm_build.audit.device import record
from winvllm_build.audit.device.record import Difference, Kind, Proof, Records, Unit, Unproven
from winvllm_build.errors import PatchError
from winvllm_build.git import Oid, RepoPath

PRE, POST, OTHER = (Oid(digit * 40) for digit in "abc")
KERNEL, HEADER = RepoPath("csrc/k.cu"), RepoPath("csrc/h.cuh")
UNIT = Unit(
    source=KERNEL, arch="8.6", options=("-std=c++17",), compiler="nvcc 13.0.88", inputs="0" * 64,
    files={KERNEL: (PRE, POST), HEADER: (POST, PRE)}, compared={Kind.PTX: 3, Kind.HOST: 20},
)  # fmt: skip
PAIRS = dict(UNIT.files)
OPEN = Unproven(path=HEADER, pair=(POST, PRE), source=RepoPath("csrc/m.cu"), arch="10.0", why="no CUTLASS")
DIFFERENCE = Difference(kind=Kind.PTX, name="global v", reason="nobody refers to v")


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert record.read(tmp_path) == Records()
    other = replace(UNIT, arch="9.0a", differences=(DIFFERENCE,))
    written = Records(units=(UNIT, other), unproven=(OPEN,))
    file = record.write(tmp_path, written)
    assert file == tmp_path / "device.json"
    assert record.read(tmp_path) == written
    assert file.read_bytes() == Records(units=(other, UNIT), unproven=(OPEN,)).serialise()
    assert file.read_bytes().endswith(b"}\n")


def test_only_the_ids_that_were_compiled_are_proven() -> None:
    held = Records(units=(UNIT,))
    assert held.confirms(KERNEL, PRE, POST) == Proof(path=KERNEL, units=(UNIT,))
    assert held.confirms(KERNEL, PRE, OTHER) is None
    assert held.confirms(KERNEL, OTHER, POST) is None
    assert held.confirms(KERNEL, POST, PRE) is None
    assert held.confirms(RepoPath("csrc/x.cu"), PRE, POST) is None
    assert Records(unproven=(OPEN,)).confirms(HEADER, POST, PRE) is None


def test_a_unit_proves_nothing_once_another_file_of_it_changed() -> None:
    held = Records(units=(UNIT,))
    assert held.confirms(KERNEL, PRE, POST, among=PAIRS) is not None
    changed = {**PAIRS, HEADER: (POST, OTHER)}
    assert held.confirms(KERNEL, PRE, POST, among=changed) is None
    assert held.stale(PAIRS) == ()
    assert held.stale(changed) == (HEADER,)
    assert held.current(changed) == Records()
    assert Records(unproven=(OPEN,)).stale({}) == (HEADER,)


def test_a_proof_says_what_was_compared() -> None:
    proof = Proof(path=KERNEL, units=(UNIT, replace(UNIT, arch="9.0a", differences=(DIFFERENCE,))))
    assert proof.count(Kind.PTX) == 6
    assert proof.differences == (DIFFERENCE,)
    assert Proof(path=KERNEL, units=(UNIT,)).words() == (
        "3 PTX entries, 20 host symbols of k.cu all the same (nvcc 13.0.88; 8.6)"
    )
    assert "all but 1 the same (nvcc 13.0.88; 8.6, 9.0a)" in proof.words()


def test_what_is_newly_known_of_a_unit_replaces_the_old() -> None:
    again = replace(UNIT, inputs="1" * 64)
    assert Records(units=(UNIT,)).with_units([again], []) == Records(units=(again,))
    other = replace(UNIT, arch="10.0")
    assert Records(units=(UNIT,)).with_units([other], []).units == (UNIT, other)
    proven = replace(UNIT, source=RepoPath("csrc/m.cu"), arch="10.0")
    assert Records(unproven=(OPEN,)).with_units([proven], []).unproven == ()
    assert Records().with_units([], [OPEN]).unproven == (OPEN,)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"schema": 1', '"schema": 2'),
        ("a" * 40, "a" * 39),
        ('"ptx"', '"sass"'),
        ('"inputs"', '"input"'),
        ("{", "["),
        ('"units": [', '"units": [7, '),
        ('"pair": [', '"pair": ["x", '),
    ],
)
def test_a_damaged_record_is_refused(tmp_path: Path, old: str, new: str) -> None:
    text = Records(units=(UNIT,), unproven=(OPEN,)).serialise().decode()
    assert old in text
    (tmp_path / "device.json").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(PatchError, match=r"device\.json") as caught:
        record.read(tmp_path)
    assert f"audit device {tmp_path.name} --record" in (caught.value.fix or "")


def test_whatever_json_it_is_a_record_is_read_or_refused(tmp_path: Path) -> None:
    for found in (
        "null",
        "[]",
        "{}",
        '{"schema": 1}',
        '{"schema": 1, "units": 3, "unproven": []}',
        "1",
        '"x"',
    ):
        (tmp_path / "device.json").write_text(found, encoding="utf-8")
        with pytest.raises(PatchError):
            record.read(tmp_path)
