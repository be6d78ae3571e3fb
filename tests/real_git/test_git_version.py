"""Which git these tests ran with: the first on PATH, as for the product; `pytest -rP` shows it."""

from __future__ import annotations

from collections.abc import Callable

from winvllm_build import process
from winvllm_build.git import find_git


def test_git_is_recorded(record_testsuite_property: Callable[[str, object], None]) -> None:
    program = find_git()
    version = process.capture([program, "--version"]).text.strip()
    record_testsuite_property("git", f"{version} at {program}")
    print(f"{version} at {program}")  # noqa: T201 - pytest -rP shows it
    assert version.startswith("git version ")
