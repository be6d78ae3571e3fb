"""Write the tables of docs/doctor.md from the checks and rules: `python scripts/doctor_table.py`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from winvllm_build.doctor.checks import CHECKS
from winvllm_build.doctor.finding import Check

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "doctor.md"
ROWS: Final = ROOT / "tests" / "diagnosis" / "rows.toml"
MARK: Final = "<!-- below: written by scripts/doctor_table.py -->\n"


def rows() -> Mapping[str, Mapping[str, Any]]:
    """What users met, by name: their threads, and the troubleshooting of the page on building."""
    found = tomllib.loads(ROWS.read_text("utf-8"))
    return {name: row for name, row in found.items() if name.startswith(("U", "002"))}


def answering(name: str) -> tuple[str, ...]:
    """The checks that tell a row beforehand."""
    return tuple(check.id for check in CHECKS if name in check.rows)


def page() -> str:
    """The whole page: what stands above the mark, and the tables."""
    return PAGE.read_text("utf-8").partition(MARK)[0] + MARK + "".join(tables())


def tables() -> Iterator[str]:
    yield f"\n## Checks\n\n{len(CHECKS)} checks.\n\n| check | what | where |\n|---|---|---|\n"
    for check in CHECKS:
        yield f"| {check.id} | {_sentence(check)} | {'Windows' if check.only else 'everywhere'} |\n"
    yield "\n## What users met, and where it is told\n\n"
    yield "A check tells it before a build; a rule of [diagnosis.md](diagnosis.md) names it in a log.\n\n"
    yield "| row | problem | threads | check | rule |\n|---|---|---|---|---|\n"
    for name, row in rows().items():
        rules = ", ".join(row.get("rules", ())) or f"none: {row['none']}"
        cells = (name, _escaped(row["problem"]), row.get("threads", ""), ", ".join(answering(name)), rules)
        yield f"| {' | '.join(cells)} |\n"


def _sentence(check: Check) -> str:
    told = (check.ask.__doc__ or "").strip().partition("\n")[0]
    return f"{check.title}. {_escaped(told)}".strip()


def _escaped(text: str) -> str:
    for letter in ("\\", "|", "_", "<", "*"):
        text = text.replace(letter, f"\\{letter}")
    return text


def write() -> None:
    PAGE.write_bytes(page().encode())


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    write()
    print(f"wrote {PAGE}")
