"""Write docs/lint.md from the rules in the code: `python scripts/lint_rules.py`."""

from __future__ import annotations

import argparse
from pathlib import Path

from winvllm_build.review.rules import Rule

PAGE = Path(__file__).resolve().parent.parent / "docs" / "lint.md"
HEAD = """\
# The rules of lint

`winvllm-build lint [TAG]` holds these rules against a patch set. It reads the set's own files only: no
source tree, no git objects, no network. A malformed patch is a finding like others; the rest is still
looked at. Errors end with exit code 1, warnings only with `--strict`. `--all` takes every set of the
folder, `--json` prints data.

`tests/unit/test_lint.py` has for each rule a set that breaks it and one that almost does. The sets shipped
with this tool have no finding. `python scripts/lint_rules.py` writes this page from the code.

| rule | | what it finds | what repairs it |
|---|---|---|---|
"""
WORDS = {
    "{file}": "the file",
    "{manifest}": "`patchset.toml`",
    "{regen}": "`winvllm-build regen TAG`",
    "{restore}": "get the file back with git; if the change was meant: `winvllm-build regen TAG --relock`",
    "{drop}": "`winvllm-build drop PATH --tag TAG --reason WHY`",
    "{port}": "`winvllm-build port TAG --status`",
}


def row(rule: Rule) -> str:
    fix = rule.fix
    for name, words in WORDS.items():
        fix = fix.replace(name, words)
    cells = [f"`{rule.id}`", rule.severity.value, rule.what, fix]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def page() -> str:
    return HEAD + "".join(f"{row(rule)}\n" for rule in Rule)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    PAGE.write_bytes(page().encode())
    print(f"wrote {PAGE}")
