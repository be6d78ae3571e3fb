"""Two versions of a list of requirements compared on every Linux machine and Python."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement

from winvllm_build.audit.guard.facts import facts
from winvllm_build.audit.guard.judgement import Confirmed, Ground, View

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

COMMENT: Final = re.compile(r"(^|\s+)#.*$")
LISTS: Final = (("build-system", "requires"), ("project", "dependencies"))
GROUPS: Final = (("project", "optional-dependencies"), ("dependency-groups",))


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: what is asked for, without the marker, and the marker."""

    what: str
    marker: Marker | None = None

    def on(self, machine: Mapping[str, str]) -> bool:
        return self.marker is None or self.marker.evaluate(dict(machine))

    @property
    def words(self) -> str:
        return self.what if self.marker is None else f"{self.what}; {self.marker}"


def view(before: str, after: str) -> View:
    """How Linux sees the change of `requirements/*.txt`."""
    return _compared(_entries(before.splitlines()), _entries(after.splitlines()))


def project_view(before: str, after: str) -> View:
    """How Linux sees the change of `pyproject.toml`: requirements by their markers, the rest as it stands."""
    try:
        old, new = (tomllib.loads(text) for text in (before, after))
    except tomllib.TOMLDecodeError as error:
        return View.of((), left=(f"cannot be read: {error}",))
    lists = [dict(_lists(table)) for table in (old, new)]
    if old != new:  # whatever is left once the lists are out
        return View.of((), left=("a table other than a list of requirements changed",))
    found = [
        _compared(_entries(lists[0].get(name, ())), _entries(lists[1].get(name, ())))
        for name in sorted({*lists[0], *lists[1]})
    ]
    return View.of(
        [ground for one in found for ground in one.grounds],
        [change for one in found for change in one.changes],
        left=[change for one in found if not _fine(one) for change in one.changes],
    )


def _fine(found: View) -> bool:
    return bool(found.grounds) or not found.changes


def _lists(table: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """The lists of requirements, taken out of the table."""
    for section, name in LISTS:
        yield f"{section}.{name}", table.get(section, {}).pop(name, [])
    for way in GROUPS:
        inner = table
        for part in way[:-1]:
            inner = inner.get(part, {})
        for name, listed in inner.pop(way[-1], {}).items():
            yield f"{'.'.join(way)}.{name}", [str(one) for one in listed]


def machines() -> Iterator[dict[str, str]]:
    """Every Linux that counts, as the variables of a marker."""
    for machine, python in itertools.product(facts().machines, facts().pythons):
        yield {
            "sys_platform": "linux", "platform_system": "Linux", "os_name": "posix",
            "platform_machine": machine, "python_version": python, "python_full_version": f"{python}.0",
            "implementation_name": "cpython", "platform_python_implementation": "CPython", "extra": "",
            "implementation_version": f"{python}.0", "platform_release": "6.1", "platform_version": "#1 SMP",
        }  # fmt: skip


def _entries(lines: Iterable[str]) -> list[Entry]:
    found: list[Entry] = []
    for line in lines:
        text = COMMENT.sub("", line).strip()
        if not text:
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            found.append(Entry(text))
            continue
        marker, requirement.marker = requirement.marker, None
        found.append(Entry(str(requirement), marker))
    return found


def _compared(old: list[Entry], new: list[Entry]) -> View:
    all_machines = list(machines())
    before, after = ([one for one in side if any(map(one.on, all_machines))] for side in (old, new))
    if [one.words for one in before] == [one.words for one in after]:
        return View.of(())
    had, has = [one.words for one in before], [one.words for one in after]
    changes = [f"-{words}" for words in had if words not in has]
    changes += [f"+{words}" for words in has if words not in had]
    for machine in all_machines:
        if [one.what for one in before if one.on(machine)] != [one.what for one in after if one.on(machine)]:
            where = f"on {machine['platform_machine']} with Python {machine['python_version']}"
            return View.of((), left=[*(changes or ["another order"]), f"differs {where}"])
    names = ", ".join(words[1:].partition(";")[0] for words in changes if words[0] == "+")
    return View.of([Confirmed(ground=Ground.MARKERS, detail=names)], changes)
