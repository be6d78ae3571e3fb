"""Marlin's generated `kernel_selector.h`: read, and compared on every configuration there is."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

OTHER = "<another value>"
"""Stands for every value that no condition names."""
PART = re.compile(
    r"""\s*(?:
      //[^\n]*\n
    | (?P<loop>do\s*\{)
    | (?P<end>\}\s*while\s*\(false\);)
    | (?P<if>(?P<chained>else\s+)?if\s*\((?P<condition>[^\n]*)\)\s*
        (?:\{\s*(?P<body>[^{}]*?)\s*\}|(?P<single>[^;{}]*;)))
    )""",
    re.VERBOSE,
)
EQUALITY = re.compile(r"\s*(\w+)\s*==\s*([\w:-]+)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One `if`: where `condition` holds, `action` is executed.

    Attributes:
        chain: number of the if/else-if chain it is in; of a chain, the first that holds is executed.
        final: nothing after it is executed.
    """

    condition: Mapping[str, str]
    action: str
    chain: int
    final: bool


def parse(text: str) -> list[Branch]:
    """The branches of a selector: ifs of one statement, at most all of them in one `do {} while (false)`.

    Raises:
        ValueError: anything else is in it.
    """
    branches: list[Branch] = []
    at, loop = 0, False
    while text[at:].strip():
        match = PART.match(text, at)
        if match is None:
            raise ValueError(f"cannot parse: {text[at : at + 80]!r}")
        at = match.end()
        if match["loop"]:
            if loop or branches:
                raise ValueError("a loop that does not enclose everything")
            loop = True
        elif match["end"]:
            if not loop or text[at:].strip():
                raise ValueError("a loop that does not enclose everything")
            loop = False
        elif match["if"]:
            branches.append(_branch(match, branches, loop=loop))
    if loop:
        raise ValueError("unclosed loop")
    return branches


def _branch(match: re.Match[str], before: Sequence[Branch], *, loop: bool) -> Branch:
    statements = [part.strip() for part in (match["body"] or match["single"]).split(";") if part.strip()]
    leaves = loop and statements[-1:] == ["break"]
    if leaves:
        statements.pop()
    if len(statements) != 1 or statements == ["break"]:
        raise ValueError(f"not one statement: {statements}")
    chained = bool(match["chained"])
    if chained and (not before or before[-1].final):
        raise ValueError("an else without its if")
    action = " ".join(statements[0].split())
    last = before[-1].chain if before else -1
    return Branch(
        condition=_condition(match["condition"]),
        action=action,
        chain=last if chained else last + 1,
        final=leaves or action.startswith("TORCH_CHECK"),
    )


def _condition(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for term in text.split("&&"):
        match = EQUALITY.fullmatch(term)
        if match is None or match[1] in found:
            raise ValueError(f"not a conjunction of equalities: {text!r}")
        found[match[1]] = match[2]
    return found


def deepest_chain(branches: Sequence[Branch]) -> int:
    """How many blocks of a chain stand in one another, as a compiler counts them."""
    return max(len(list(group)) for _, group in itertools.groupby(branches, key=lambda b: b.chain))


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Configurations that both selectors treat alike: `size` of them, with the values of `fixed`."""

    fixed: Mapping[str, str]
    size: int
    before: str
    after: str


def regions(before: Sequence[Branch], after: Sequence[Branch]) -> Iterator[Region]:
    """Every configuration exactly once, in regions: every value named anywhere, and one more for the rest."""
    domains = _domains([*before, *after])
    yield from _split({}, domains, before, after)


def configurations(before: Sequence[Branch], after: Sequence[Branch]) -> int:
    """How many there are."""
    return math.prod(len(values) for values in _domains([*before, *after]).values())


def differing(before: Sequence[Branch], after: Sequence[Branch]) -> list[tuple[str, str]]:
    """The choices that are not the same, in all regions; every configuration is in one of them."""
    found: list[tuple[str, str]] = []
    covered = 0
    for region in regions(before, after):
        covered += region.size
        if region.before != region.after:
            found.append((region.before, region.after))
    if covered != configurations(before, after):
        raise AssertionError(covered)
    return found


def _domains(branches: Sequence[Branch]) -> dict[str, list[str]]:
    values: dict[str, set[str]] = {}
    for branch in branches:
        for name, value in branch.condition.items():
            values.setdefault(name, set()).add(value)
    return {
        name: sorted(found) if found == {"true", "false"} else [*sorted(found), OTHER]
        for name, found in sorted(values.items())
    }


def _split(
    fixed: Mapping[str, str],
    free: Mapping[str, Sequence[str]],
    before: Sequence[Branch],
    after: Sequence[Branch],
) -> Iterator[Region]:
    """Divide by a variable that some branch still asks for; `before` and `after` hold where it does not."""
    asked = next((n for n in free if any(n in b.condition for b in (*before, *after))), None)
    if asked is None:
        size = math.prod(len(values) for values in free.values())
        yield Region(fixed=fixed, size=size, before=_run(before), after=_run(after))
        return
    rest = {name: values for name, values in free.items() if name != asked}
    for value in free[asked]:
        left = [[b for b in side if b.condition.get(asked, value) == value] for side in (before, after)]
        yield from _split({**fixed, asked: value}, rest, left[0], left[1])


def _run(holding: Sequence[Branch]) -> str:
    """The last action executed where exactly these branches hold; nothing if there is none."""
    action, chain = "", -1
    for branch in holding:
        if branch.chain != chain:
            action, chain = branch.action, branch.chain
            if branch.final:
                break
    return action
