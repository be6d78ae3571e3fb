"""Hits made from places in files."""

from __future__ import annotations

from winvllm_build.audit.config.cmake_view import Placed
from winvllm_build.audit.files import Files
from winvllm_build.audit.hit import Hit, Reach, State


class Places:
    """The lines of the files that are looked at."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self._lines: dict[str, list[str]] = {}

    def line(self, path: str, number: int) -> str:
        if path not in self._lines:
            self._lines[path] = (self.files.text(path) or "").split("\n")
        lines = self._lines[path]
        return lines[number - 1].strip() if 0 < number <= len(lines) else ""

    def hit(
        self, hazard: str, rule: str, path: str, line: int, *,
        state: State = State.LIVE, reach: Reach = Reach.BUILD, detail: str = "",
    ) -> Hit:  # fmt: skip
        return Hit(
            hazard=hazard, rule=rule, path=path, line=line, text=self.line(path, line), state=state,
            reach=reach, detail=detail,
        )  # fmt: skip

    def at(
        self, placed: Placed, hazard: str, rule: str, *,
        line: int = 0, state: State | None = None, detail: str = "",
    ) -> Hit:  # fmt: skip
        """A command of CMake, or one of its lines."""
        return self.hit(
            hazard, rule, placed.file, line or placed.command.line, state=state or placed.state,
            reach=placed.reach, detail=detail,
        )  # fmt: skip
