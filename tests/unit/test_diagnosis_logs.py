"""Every recorded log means exactly the rule that its head names: no wrong guess, nothing missed."""

from __future__ import annotations

import re

from tests.diagnosis.recorded import UNKNOWN, Recorded, recorded
from winvllm_build.build.diagnosis.finding import findings
from winvllm_build.build.diagnosis.lines import decode
from winvllm_build.build.diagnosis.log import failures
from winvllm_build.build.diagnosis.rule import best, ranking, rulebook

LOGS = recorded()
LOCALISED = ("cl", "link", "msbuild", "rc")
QUOTING = ("C1189", "C2338")
"""Their text is that of #error and static_assert."""
KEPT = re.compile(
    r"""(['"“”][^'"“”]*['"“”]|No space left on device|cublas\w+"""
    r"""|[\w.:/\\-]*[\d_./\\:<>@$?#-][\w.:/\\<>@$?#-]*)"""
)
"""What no translation touches: quoted names, paths, numbers, options, symbols, the C library's errors."""
ORIGINS = ("recorded: ", "constructed from documentation", "quoted from ", "the ")


def ids(content: bytes) -> tuple[str, ...]:
    return tuple(f.rule.id if f.rule else UNKNOWN for f in findings(content))


def test_each_log_means_its_rule() -> None:
    assert {log.name: ids(log.content) for log in LOGS} == {log.name: log.rules for log in LOGS}


def test_no_two_rules_claim_a_log_equally() -> None:
    ties = {}
    for log in LOGS:
        for failure in failures(log.content):
            ranked = ranking(best(failure)[1], failure)
            if len(ranked) > 1 and ranked[0][0] == ranked[1][0]:
                ties[log.name] = [rule.id for _, rule in ranked]
    assert ties == {}


def test_the_words_of_microsofts_programs_decide_nothing() -> None:
    """The same log with every translated word replaced by letters of no language means the same."""
    changed = {log.name: ids(strange(log).encode()) for log in LOGS}
    assert changed == {log.name: log.rules for log in LOGS}


def strange(log: Recorded) -> str:
    """The log with the words of cl.exe, link.exe and MSBuild outside of quotes made unreadable."""
    rows = decode(log.content).split("\n")
    for failure in failures(log.content):
        for message in failure.messages:
            if message.tool in LOCALISED and message.code not in QUOTING and message.at:
                row = rows[message.at - 1]
                rows[message.at - 1] = row.replace(message.text, unreadable(message.text))
    return "\n".join(rows)


def unreadable(text: str) -> str:
    parts = KEPT.split(text)
    return "".join(part if at % 2 else re.sub(r"[A-Za-z]{2,}", "žluť", part) for at, part in enumerate(parts))


def test_the_head_of_each_log_says_where_it_is_from() -> None:
    assert [log.name for log in LOGS if not log.origin.startswith(ORIGINS)] == []
    assert {rule for log in LOGS for rule in log.rules} <= {*rulebook(), UNKNOWN}


def test_precision_over_all_logs() -> None:
    """Of every failure of the corpus that a rule claims, the rule is the expected one."""
    pairs = [(got, want) for log in LOGS for got, want in zip(ids(log.content), log.rules, strict=True)]
    claimed = [(got, want) for got, want in pairs if got != UNKNOWN]
    assert len(claimed) > 100
    assert [pair for pair in claimed if pair[0] != pair[1]] == []
