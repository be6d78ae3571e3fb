"""Build folders of another generator, and what earlier builds left among temporary files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from winvllm_build.commands import remove
from winvllm_build.doctor.facts import Facts
from winvllm_build.doctor.finding import Check, Outcome, advice, problem

GENERATOR: Final = "Ninja"
SHOWN: Final = 3


def generators(facts: Facts) -> Iterator[Outcome]:
    """CMake refuses to use a folder with another generator than the one before."""
    for folder in facts.builds:
        if folder.generator != GENERATOR:
            yield problem(
                f"{folder.path} was configured for {folder.generator}; a build takes {GENERATOR}",
                remove(folder.path, facts.system),
            )


def temporary(facts: Facts) -> Iterator[Outcome]:
    """Setuptools and pip configure among temporary files, and an edited CMake file meets them again."""
    if facts.leftovers:
        named = ", ".join(f"{one.path} ({one.days} days)" for one in facts.leftovers[:SHOWN])
        more = len(facts.leftovers) - SHOWN
        yield advice(
            f"left by earlier builds: {named}" + (f" and {more} more" if more > 0 else ""),
            "\n".join(remove(one.path, facts.system) for one in facts.leftovers[:SHOWN]),
        )


CHECKS: Final = (
    Check(id="generator", title="build folders are Ninja's", ask=generators, rows=("002 generator",)),
    Check(id="temporary-builds", title="no stale temporary builds", ask=temporary),
)  # fmt: skip
