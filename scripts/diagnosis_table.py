"""Write the tables of docs/diagnosis.md from rules and logs: `python scripts/diagnosis_table.py`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from winvllm_build.audit.hazard import catalogue
from winvllm_build.build.diagnosis.rule import FailureClass, Rule, rulebook

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "diagnosis.md"
LOGS: Final = ROOT / "tests" / "diagnosis" / "logs"
ROWS: Final = ROOT / "tests" / "diagnosis" / "rows.toml"
MARK: Final = "<!-- below: written by scripts/diagnosis_table.py -->\n"
HEAD: Final = "| rule | code | what it is | hazards | threads | logs |\n|---|---|---|---|---|---|\n"
KINDS: Final = {"recorded": "recorded", "constructed": "constructed"}


def rows() -> Mapping[str, Mapping[str, Any]]:
    """The rows of what users met, by their name."""
    return tomllib.loads(ROWS.read_text("utf-8"))


def origins() -> dict[str, list[str]]:
    """By rule, how its logs came about: recorded, quoted, constructed."""
    found: dict[str, list[str]] = {}
    for file in sorted(LOGS.glob("*.log")):
        head = [line.decode() for line in file.read_bytes().splitlines() if line.startswith(b"#! ")]
        fields = dict(line[3:].split(": ", 1) for line in head)
        word = fields["origin"].partition(" ")[0].strip(":")
        for rule in fields["rule"].split(", "):
            found.setdefault(rule, []).append(KINDS.get(word, "quoted"))
    return found


def page() -> str:
    """The whole page: what stands above the mark, and the tables."""
    return PAGE.read_text("utf-8").partition(MARK)[0] + MARK + "".join(tables())


def tables() -> Iterator[str]:
    made = origins()
    counted = [kind for kinds in made.values() for kind in kinds]
    yield "\n## Rules\n\n"
    yield f"{len(rulebook())} rules. Verdicts in the corpus: {len(counted)}, of them "
    yield f"{counted.count('recorded')} recorded from real programs, {counted.count('quoted')} in logs "
    yield f"around lines quoted from elsewhere, {counted.count('constructed')} in logs constructed from "
    yield "documentation.\n"
    for kind in FailureClass:
        chosen = [rule for rule in rulebook().values() if rule.kind is kind]
        if chosen:
            yield f"\n### {kind.value}\n\n{HEAD}"
            yield from (_rule(rule, made.get(rule.id, [])) for rule in chosen)
    yield "\n## Rows\n\n| row | problem | threads | rule |\n|---|---|---|---|\n"
    for name, row in rows().items():
        answer = ", ".join(row["rules"]) if "rules" in row else f"none: {row['none']}"
        yield f"| {name} | {_escaped(row['problem'])} | {row.get('threads', '')} | {answer} |\n"

    answered = {hazard for rule in rulebook().values() for hazard in rule.hazards}
    silent = [hazard for name, hazard in catalogue().items() if name not in answered]
    yield "\n## Hazards without a rule\n\n"
    yield "They have no message of their own, or one that many other causes share.\n\n"
    yield from (f"- [{h.id}](hazards/{h.id}.md) {_escaped(h.title)}: {_escaped(h.shows)}\n" for h in silent)


def _rule(rule: Rule, kinds: list[str]) -> str:
    hazards = ", ".join(f"[{name}](hazards/{name}.md)" for name in rule.hazards)
    logs = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    codes = ", ".join(code for code in rule.codes if code)
    cells = (rule.id, codes, _escaped(rule.title), hazards, ", ".join(rule.threads), logs)
    return f"| {' | '.join(cells)} |\n"


def _escaped(text: str) -> str:
    return (
        text.replace("\\", "\\\\")
        .replace("|", "\\|")
        .replace("_", "\\_")
        .replace("<", "\\<")
        .replace("*", "\\*")
    )


def write() -> None:
    PAGE.write_bytes(page().encode())


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    write()
    print(f"wrote {PAGE}")
