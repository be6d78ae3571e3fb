"""The quality of scan as a page of the docs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EXPECTED = Path(__file__).resolve().parents[1] / "tests" / "real_vllm" / "data" / "scan_expected.toml"
HEAD = """\
# Rules of scan, measured

Written by `python -m benchmarks.scan --rounds 0 --quality --page docs/scan-measured.md`.

Hits are the live ones of a tag as published. Of v0.14.1 and v0.19.0 each was judged, of v0.33.0 those of C++,
CUDA and the build files. True and false is what people said who read them, or what cudafe++ in Microsoft mode
did with the file (`tests/real_vllm/data/*_judged.toml`). Undecided is what
only cl.exe can say, or nobody judged. Precision is the share of the judged that are true.

Named are the pairs of file and hazard that patch headers name, which people wrote while they ported. Recall
is the share of them with a hit of that hazard in that file.
"""


def page(said: Sequence[dict[str, Any]]) -> str:
    """The quality of several tags as Markdown.

    Raises:
        SystemExit: a miss has no reason.
    """
    parts = (
        "\n".join([*_sums(one), *_rule_rows(one), *_recall_rows(one), *_misses(one)]) + "\n" for one in said
    )
    return "".join([HEAD, *parts])


def _sums(one: dict[str, Any]) -> list[str]:
    sums = [f"\n## {one['tag']}: {one['live']} live hits\n"]
    for words, rules in (("All rules", one["rules"]), ("Without advice", severe(one["rules"]))):
        true, false, left = (sum(rule[name] for rule in rules) for name in ("true", "false", "unjudged"))
        sums.append(
            f"- {words}: {true} true, {false} false, precision {_share(true, true + false)}; "
            f"{left} undecided."
        )
    if one["pairs"]:
        sums.append(
            f"- Recall: {one['hit']} of {one['pairs']} named pairs, {_share(one['hit'], one['pairs'])}."
        )
    found, all_of_them = one["front_ends"]
    if all_of_them:
        sums.append(
            f"- Recall against compilers: {found} of {all_of_them} pairs of file and hazard at which the "
            "Windows front ends stop on the unpatched tag ([frontend.md](frontend.md))."
        )
    return sums


def _rule_rows(one: dict[str, Any]) -> list[str]:
    rows = ["\n| rule | hits | true | false | undecided | precision |", "|---|---|---|---|---|---|"]
    for rule in one["rules"]:
        numbers = " | ".join(str(rule[name]) for name in ("hits", "true", "false", "unjudged"))
        rows.append(f"| {rule['name']} | {numbers} | {_share(rule['true'], rule['true'] + rule['false'])} |")
    return rows


def _recall_rows(one: dict[str, Any]) -> list[str]:
    if not one["recall"]:
        return []
    whole = [name for name, (hit, of) in one["recall"].items() if hit == of]
    rows = [
        f"\nAll named pairs are hit of {', '.join(whole)}.",
        "\n| hazard | named | hit | recall |",
        "|---|---|---|---|",
    ]
    rows += [
        f"| {name} | {of} | {hit} | {_share(hit, of)} |"
        for name, (hit, of) in one["recall"].items()
        if hit < of
    ]
    return rows


def _misses(one: dict[str, Any]) -> list[str]:
    why = _reasons(one["tag"])
    unexplained = [f"{hazard} {path}" for path, hazard in one["missed"] if (path, hazard) not in why]
    if unexplained:
        raise SystemExit(f"no reason in scan_expected.toml for {one['tag']}: {', '.join(unexplained)}")
    if not one["missed"]:
        return []
    rows = ["\n| missed | in | why |", "|---|---|---|"]
    return [*rows, *(f"| {hazard} | `{path}` | {why[path, hazard]} |" for path, hazard in one["missed"])]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "-"


def _reasons(tag: str) -> dict[tuple[str, str], str]:
    """Why a pair of file and hazard is missed."""
    loaded = tomllib.loads(EXPECTED.read_text("utf-8"))
    return {
        (entry["path"], entry["hazard"]): entry["why"] for entry in loaded["missed"] if tag in entry["tags"]
    }


def severe(rules: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that are more than advice."""
    return [rule for rule in rules if not rule["advice"]]
