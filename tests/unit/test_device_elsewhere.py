"""Records of other tags: units about the same contents are taken, the others and damaged records are not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from winvllm_build.audit.device import elsewhere, record
from winvllm_build.audit.device.record import Kind, Records, Unit
from winvllm_build.git import Oid, RepoPath

PRE, POST, OTHER = (Oid(digit * 40) for digit in "abc")
KERNEL, HEADER = RepoPath("csrc/k.cu"), RepoPath("csrc/h.cuh")
UNIT = Unit(
    source=KERNEL, arch="8.6", options=("-std=c++17",), compiler="nvcc 13.0.88", inputs="0" * 64,
    files={KERNEL: (PRE, POST), HEADER: (POST, PRE)}, compared={Kind.PTX: 3},
)  # fmt: skip
PAIRS = {**UNIT.files, RepoPath("setup.py"): (PRE, OTHER)}


def sets(root: Path, **records: Records) -> Path:
    for name, held in records.items():
        (root / name).mkdir()
        record.write(root / name, held)
    return root


def test_units_of_equal_contents_are_taken_from_every_other_set(tmp_path: Path) -> None:
    second = replace(UNIT, inputs="1" * 64)
    root = sets(tmp_path, a=Records(units=(UNIT,)), b=Records(units=(second,)), own=Records())
    (root / "README.md").write_text("no set")
    assert elsewhere.units(root / "own", PAIRS) == (UNIT, second)


def test_units_of_other_contents_and_the_own_record_are_not(tmp_path: Path) -> None:
    changed = replace(UNIT, files={KERNEL: (PRE, OTHER)})
    partly = replace(UNIT, files={KERNEL: (PRE, POST), HEADER: (POST, OTHER)})
    root = sets(tmp_path, a=Records(units=(changed, replace(partly, arch="9.0"))), own=Records(units=(UNIT,)))
    assert elsewhere.units(root / "own", PAIRS) == ()


def test_a_damaged_record_of_another_set_is_passed_over(tmp_path: Path) -> None:
    root = sets(tmp_path, a=Records(), b=Records(units=(UNIT,)), own=Records())
    (root / "a" / record.FILE).write_bytes(b"{")
    assert elsewhere.units(root / "own", PAIRS) == (UNIT,)
