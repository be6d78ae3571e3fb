"""Typed reading of a hand-written TOML table: each fault names the file, the key and what was meant."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from winvllm_build.errors import PatchError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Table:
    """One table; every key must be asked for before `finish`, or it is unknown."""

    def __init__(self, file: Path, name: str, content: Mapping[str, Any]) -> None:
        self._file = file
        self._name = name
        self._content = content
        self._asked: set[str] = set()

    def text(self, key: str, pattern: re.Pattern[str], what: str) -> str:
        """A required text; `what` says in words what `pattern` wants."""
        value = self._take(key)
        if value is None:
            raise self.fault(f"`{key}` is missing; it is {what}")
        if not isinstance(value, str) or pattern.fullmatch(value) is None:
            raise self.fault(f"`{key}` is {value!r}; it has to be {what}")
        return value

    def optional_text(self, key: str, pattern: re.Pattern[str], what: str) -> str | None:
        return None if key not in self._content else self.text(key, pattern, what)

    def texts(self, key: str, pattern: re.Pattern[str], what: str) -> tuple[str, ...]:
        """A list of texts; empty where the key is absent."""
        value = self._take(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(x, str) and pattern.fullmatch(x) for x in value):
            raise self.fault(f"`{key}` is {value!r}; it has to be a list, each {what}")
        return tuple(value)

    def table(self, key: str) -> Table | None:
        value = self._take(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.fault(f"`{key}` has to be a table")
        return Table(self._file, f"{self._name}.{key}" if self._name else key, value)

    def tables(self, key: str) -> tuple[Table, ...]:
        """A list of tables; empty where the key is absent."""
        value = self._take(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(x, dict) for x in value):
            raise self.fault(f"`{key}` has to be a list of tables")
        return tuple(Table(self._file, f"{self._name}.{key}[{i}]", x) for i, x in enumerate(value))

    def keys(self) -> tuple[str, ...]:
        return tuple(self._content)

    def finish(self, *, elsewhere: Collection[str] = ()) -> None:
        """Refuse the first key nobody asked for; `elsewhere` are keys another reader takes."""
        known = self._asked | set(elsewhere)
        for key in self._content:
            if key not in known:
                close = difflib.get_close_matches(key, known, n=1)
                hint = f"; did you mean `{close[0]}`?" if close else f"; known are {', '.join(sorted(known))}"
                raise self.fault(f"unknown key `{key}`{hint}")

    def fault(self, what: str) -> PatchError:
        where = f" [{self._name}]" if self._name else ""
        return PatchError(f"{self._file}{where}: {what}", fix=f"edit {self._file}")

    def _take(self, key: str) -> Any:  # noqa: ANN401 - TOML is untyped until checked here
        self._asked.add(key)
        return self._content.get(key)


def read_table(file: Path) -> Table:
    """The whole file as a table.

    Raises:
        PatchError: it is missing, not UTF-8 or not TOML.
    """
    try:
        content = tomllib.loads(file.read_bytes().decode("utf-8"))
    except FileNotFoundError as error:
        raise PatchError(
            f"there is no manifest {file}", fix="check the tag and the patches folder"
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PatchError(f"{file} is not valid TOML: {error}", fix=f"edit {file}") from error
    return Table(file, "", content)
