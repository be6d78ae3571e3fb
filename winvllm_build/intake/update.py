"""Adding what a manifest lacks, line by line: nothing that a person wrote is changed, and that is proven."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from winvllm_build.errors import PatchError
from winvllm_build.git import Oid
from winvllm_build.intake.git_facts import Hosts
from winvllm_build.intake.manifest_text import GOES_ON, line, listed, tables
from winvllm_build.intake.manifest_writer import TODO
from winvllm_build.sources.pins import COMMIT, DependencyPin, Pins, SourcePin

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

WANTED: Final = re.compile(rf"# {TODO} submodule (\S+): ")


def completed(file: Path, text: str, pin: SourcePin, pins: Pins, hosts: Hosts) -> tuple[str, tuple[str, ...]]:
    """The manifest with what git says and it does not, and the names of what was added.

    Args:
        file: the manifest, for messages.
        text: its content.
        pin: upstream with the commit, where it is known.
        pins: what the manifest says now.
        hosts: where to ask.

    Raises:
        PatchError: the file is written in a way that cannot be added to; what to add is said.
    """
    editor = Editor(file, text)
    if pin.commit is not None and pins.upstream.commit is None:
        editor.add("upstream", "tag", [line("commit", pin.commit)], {"commit": pin.commit})
    for dependency in pins.dependencies:
        _complete(editor, dependency, hosts)
    return editor.result()


def _complete(editor: Editor, pin: DependencyPin, hosts: Hosts) -> None:
    table = f"dependency.{pin.name}"
    commit = pin.commit
    if commit is None:
        own = Oid(pin.revision) if COMMIT.fullmatch(pin.revision) else None
        commit = own or hosts.tag_commit(pin.url, pin.revision)
        if commit is not None:
            editor.add(table, "revision", [line("commit", commit)], {"commit": commit})
    paths = editor.wanted(table)
    if commit is None or not paths or pin.submodules:
        return
    found = hosts.submodules(replace(pin, commit=commit), paths)
    if {module.path for module in found} == set(paths):
        tables = [{"path": x.path, "url": x.url, "commit": str(x.commit)} for x in found]
        editor.add(table, "revision", listed("submodules", tables), {"submodules": tables})
        editor.drop(table, WANTED)


class Editor:
    """The lines of one manifest; every addition is noted, and the result has to be just that."""

    def __init__(self, file: Path, text: str) -> None:
        self._file = file
        self._before: dict[str, Any] = tomllib.loads(text)
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._lines = text.replace("\r\n", "\n").split("\n")
        self._added: list[tuple[str, Mapping[str, Any]]] = []

    def wanted(self, table: str) -> tuple[str, ...]:
        """The submodules that comments of the table ask for."""
        start, end = self._range(table)
        found = (WANTED.match(row) for row in self._lines[start:end])
        return tuple(match[1] for match in found if match)

    def add(self, table: str, after: str, rows: list[str], content: Mapping[str, Any]) -> None:
        """Put `rows`, which say `content`, behind the line of the key `after`.

        Raises:
            PatchError: there is no such line.
        """
        start, end = self._range(table)
        place = re.compile(rf"\s*{re.escape(after)}\s*=\s*(\"[^\"\\]*\"|'[^']*')\s*(#.*)?")
        at = next((n for n in range(start, end) if place.fullmatch(self._lines[n])), None)
        if at is None:
            raise self._fault(table, rows)
        self._lines[at + 1 : at + 1] = rows
        self._added.append((table, content))
        if "commit" in content:
            self.drop(table, re.compile(rf"# {TODO} commit: "))

    def drop(self, table: str, pattern: re.Pattern[str]) -> None:
        """Take out comments that ask for what is there now, with the lines they go on for."""
        start, end = self._range(table)
        kept: list[str] = []
        inside = False
        for row in self._lines[start:end]:
            inside = pattern.match(row) is not None or (inside and row.startswith(GOES_ON))
            if not inside:
                kept.append(row)
        self._lines[start:end] = kept

    def result(self) -> tuple[str, tuple[str, ...]]:
        """The text, and what was added to which table.

        Raises:
            PatchError: it says something else than before and the additions.
        """
        text = "\n".join(self._lines)
        expected = copy.deepcopy(self._before)
        for table, content in self._added:
            _inner(expected, table).update(content)
        try:
            made = tomllib.loads(text)
        except tomllib.TOMLDecodeError:
            made = {}
        if made != expected:
            table, content = self._added[-1] if self._added else ("upstream", {})
            raise self._fault(table, [line(name, value) for name, value in content.items()])
        names = tuple(f"{table}.{name}" for table, content in self._added for name in content)
        return text.replace("\n", self._newline), names

    def _range(self, table: str) -> tuple[int, int]:
        """The lines of a table, its header left out."""
        start, end = tables(self._lines).get(table, (-1, 0))
        return start + 1, end

    def _fault(self, table: str, rows: list[str]) -> PatchError:
        return PatchError(
            f"{self._file} [{table}] is written in a way that cannot be added to",
            fix=f"add to [{table}] by hand: {' '.join(rows)}",
        )


def _inner(content: dict[str, Any], table: str) -> dict[str, Any]:
    at: dict[str, Any] = content
    for part in table.split("."):
        at = at[part]
    return at
