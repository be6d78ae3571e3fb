"""The rules as data: they name what exists, and ask translated messages for nothing that is translated."""

from __future__ import annotations

import re

from winvllm_build.audit.hazard import catalogue
from winvllm_build.build.diagnosis.rule import FailureClass, rulebook

THREAD = re.compile(r"(?:SP|AV|V|FI|FA|[\w.-]+/[\w.-]+|pytorch|vllm) (?:PR )?#\d+")


def test_every_rule_is_whole() -> None:
    for rule in rulebook().values():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.id)
        assert rule.kind is not FailureClass.UNKNOWN
        assert set(rule.hazards) <= set(catalogue()), rule.id
        assert [thread for thread in rule.threads if not THREAD.fullmatch(thread)] == [], rule.id
        assert all(text and text == text.strip() for text in (rule.title, rule.why, rule.do)), rule.id
