"""The page of `doctor` names checks and rules that exist, and leaves no failure of a build out."""

from __future__ import annotations

import pytest

from scripts import doctor_table
from winvllm_build.build.diagnosis.rule import rulebook
from winvllm_build.doctor.checks import CHECKS

INSTALL_AND_BUILD = [f"U{number}" for number in range(1, 21)]


def test_the_page_is_up_to_date() -> None:
    assert doctor_table.page() == doctor_table.PAGE.read_text("utf-8"), "python scripts/doctor_table.py"


def test_every_row_that_a_check_names_exists() -> None:
    named = {row for check in CHECKS for row in check.rows}
    assert named <= doctor_table.rows().keys()


def test_every_rule_that_a_row_names_exists() -> None:
    named = {rule for row in doctor_table.rows().values() for rule in row.get("rules", ())}
    assert named <= rulebook().keys()


@pytest.mark.parametrize("name", INSTALL_AND_BUILD)
def test_every_failure_of_install_and_build_is_told(name: str) -> None:
    row = doctor_table.rows()[name]
    assert doctor_table.answering(name) or row.get("rules")


def test_every_check_is_explained() -> None:
    assert [check.id for check in CHECKS if not check.title or not check.ask.__doc__] == []
