"""The rules as data: they name what exists, and ask translated messages for nothing that is translated."""

from __future__ import annotations

import os
import re
from pathlib import Path

from scripts import diagnosis_table
from tests.diagnosis.recorded import recorded
from winvllm_build.audit.hazard import catalogue
from winvllm_build.build.diagnosis import lookup
from winvllm_build.build.diagnosis.rule import FailureClass, rulebook

THREAD = re.compile(r"(?:SP|AV|V|FI|FA|[\w.-]+/[\w.-]+|pytorch|vllm) (?:PR )?#\d+")


def test_every_rule_is_whole() -> None:
    for rule in rulebook().values():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.id)
        assert rule.kind is not FailureClass.UNKNOWN
        assert set(rule.hazards) <= set(catalogue()), rule.id
        assert [thread for thread in rule.threads if not THREAD.fullmatch(thread)] == [], rule.id
        assert all(text and text == text.strip() for text in (rule.title, rule.why, rule.do)), rule.id


def test_every_rule_has_a_log() -> None:
    seen = {rule for log in recorded() for rule in log.rules}
    assert sorted(set(rulebook()) - seen) == []


def test_every_row_of_what_users_met_has_a_rule_or_says_why_not() -> None:
    rows = diagnosis_table.rows()
    wanted = {f"D{number}" for number in range(1, 43)} | {f"U{number}" for number in range(1, 49)}
    assert wanted <= set(rows)
    for name, row in rows.items():
        assert ("rules" in row) != ("none" in row), name
        assert set(row.get("rules", ())) <= set(rulebook()), name


def test_every_row_about_a_hazard_is_answered_by_a_rule_that_names_it() -> None:
    silent = [
        name
        for name, row in diagnosis_table.rows().items()
        if name in catalogue() and not any(name in rulebook()[rule].hazards for rule in row["rules"])
    ]
    assert silent == []


def test_the_page_is_current(checkout: Path) -> None:
    written = (checkout / "docs" / "diagnosis.md").read_text(encoding="utf-8")
    assert written == diagnosis_table.page(), "run: python scripts/diagnosis_table.py"


def test_an_object_that_was_linked_in_after_the_failure_is_not_failed(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "x.log"
    log.parent.mkdir()
    log.write_bytes(b"# FAILED: [code=1] x.o\n$ c++ x.cpp\n\nx.cpp:1:1: error: no\n")
    os.utime(log, (1000, 1000))
    kept = tmp_path / "kept.o"
    kept.write_bytes(b"object")
    os.utime(kept, (500, 500))
    assert lookup.failed_logs(tmp_path) == (log,)
    os.link(kept, tmp_path / "x.o")
    assert lookup.failed_logs(tmp_path) == ()
