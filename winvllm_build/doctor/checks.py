"""All checks, in the order in which they are told."""

from __future__ import annotations

from typing import Final

from winvllm_build.doctor import compilers, gpus, leftovers, paths, programs, resources, toolkits
from winvllm_build.doctor.facts import Facts
from winvllm_build.doctor.finding import RANK, Check, Finding

CHECKS: Final[tuple[Check, ...]] = (
    *compilers.CHECKS,
    *toolkits.CHECKS,
    *gpus.CHECKS,
    *programs.CHECKS,
    *paths.CHECKS,
    *resources.CHECKS,
    *leftovers.CHECKS,
)


def examine(facts: Facts) -> tuple[Finding, ...]:
    """Every check's findings, the gravest first."""
    found = [finding for check in CHECKS for finding in check.run(facts)]
    return tuple(sorted(found, key=lambda one: RANK[one.status]))
