"""The hand-written `patchset.toml` as typed tables: each fault names file, table and what was meant."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from winvllm_build.errors import PatchError
from winvllm_build.suggest import did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA: Final = 1
TOP_LEVEL: Final = ("schema", "upstream", "dependency", "expect", "topic", "layer", "dropped")
"""Every name a manifest may have, whichever room reads it."""


class Table:
    """One table; every key must be asked for before `finish`, or it is unknown.

    Faults are collected, and what is asked for then is empty; `close` of any table raises them all.
    """

    def __init__(self, file: Path, name: str, content: Mapping[str, Any], faults: list[str]) -> None:
        self._file = file
        self._name = name
        self._content = content
        self._faults = faults
        self._asked: set[str] = set()

    def text(self, key: str, pattern: re.Pattern[str], what: str) -> str:
        """A required text; `what` says in words what `pattern` wants."""
        value = self._take(key)
        if value is None:
            self.report(f"`{key}` is missing; it is {what}")
        elif not isinstance(value, str) or pattern.fullmatch(value) is None:
            self.report(f"`{key}` is {value!r}; it has to be {what}")
        else:
            return value
        return ""

    def optional_text(self, key: str, pattern: re.Pattern[str], what: str) -> str | None:
        if key in self:
            return self.text(key, pattern, what)
        self._asked.add(key)
        return None

    def texts(self, key: str, pattern: re.Pattern[str], what: str) -> tuple[str, ...]:
        """A list of texts; empty where the key is absent."""
        value = self._take(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(x, str) and pattern.fullmatch(x) for x in value):
            self.report(f"`{key}` is {value!r}; it has to be a list, each {what}")
            return ()
        return tuple(value)

    def table(self, key: str) -> Table | None:
        value = self._take(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.report(f"`{key}` is {value!r}; it has to be a table")
            return None
        return Table(self._file, f"{self._name}.{key}" if self._name else key, value, self._faults)

    def tables(self, key: str) -> tuple[Table, ...]:
        """A list of tables; empty where the key is absent."""
        value = self._take(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(x, dict) for x in value):
            self.report(f"`{key}` is {value!r}; it has to be a list of tables")
            return ()
        return tuple(
            Table(self._file, f"{self._name}.{key}[{i}]", x, self._faults) for i, x in enumerate(value)
        )

    def named(self, key: str, pattern: re.Pattern[str], what: str) -> Iterator[tuple[str, Table]]:
        """The tables `[key.*]` by their names, which `pattern` decides about; none where `key` is absent."""
        parent = self.table(key)
        if parent is None:
            return
        for name in parent:
            if pattern.fullmatch(name) is None:
                parent.report(f"{name!r} is no name for a {key}: {what}")
            elif (own := parent.table(name)) is not None:
                yield name, own

    def __contains__(self, key: str) -> bool:
        return key in self._content

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def finish(self) -> None:
        """Report each key nobody asked for."""
        self.report_unknown(self._asked)

    def report_unknown(self, known: Iterable[str]) -> None:
        names = sorted(known)
        for key in self._content:
            if key not in names:
                hint = did_you_mean(key, names) or f"; known are {', '.join(names)}"
                self.report(f"unknown key `{key}`{hint}")

    def report(self, what: str) -> None:
        where = f" [{self._name}]" if self._name else ""
        self._faults.append(f"{self._file}{where}: {what}")

    def fault(self, what: str) -> PatchError:
        """What makes reading on pointless, and all that was reported before."""
        self.report(what)
        return PatchError("\n".join(self._faults), fix=f"edit {self._file}")

    def close(self) -> None:
        """Raise what was reported.

        Raises:
            PatchError: one line for each fault.
        """
        if self._faults:
            raise PatchError("\n".join(self._faults), fix=f"edit {self._file}")

    def _take(self, key: str) -> Any:  # noqa: ANN401 - TOML is untyped until checked here
        self._asked.add(key)
        return self._content.get(key)


def read_manifest(file: Path) -> Table:
    """The whole manifest as a table, its schema and its top-level names checked.

    Raises:
        PatchError: it is missing, not UTF-8 or not TOML.
    """
    try:
        content = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise PatchError(
            f"there is no manifest {file}", fix="check the tag and the patches folder"
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PatchError(f"{file} is not valid TOML: {error}", fix=f"edit {file}") from error
    root = Table(file, "", content, [])
    root.report_unknown(TOP_LEVEL)
    if content.get("schema") != SCHEMA:
        root.report(f"schema is {content.get('schema')!r}, this tool reads {SCHEMA}")
    return root
