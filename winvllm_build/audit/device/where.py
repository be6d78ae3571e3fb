"""For which architectures upstream's CMake files compile a file that a build for others leaves out."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from winvllm_build import arch
from winvllm_build.audit.device.closure import Includes
from winvllm_build.git import RepoPath
from winvllm_build.intake import cmake_facts
from winvllm_build.intake.checkout import Checkout
from winvllm_build.intake.cmake_targets import archs_of
from winvllm_build.sources.source import Source


def archs_for(
    source: Source, paths: Collection[RepoPath], includes: Includes
) -> Mapping[str, tuple[RepoPath, ...]]:
    """The first architecture of each file as configuring takes it, and the files that need it.

    Args:
        source: upstream's tag.
        paths: files that no unit of a build had.
        includes: reads what sources include.
    """
    found: dict[str, list[RepoPath]] = {}
    for path, wanted in _asked(source, paths, includes).items():
        found.setdefault(wanted, []).append(path)
    return {
        wanted: tuple(files) for wanted, files in sorted(found.items(), key=lambda one: arch.order(one[0]))
    }


def _asked(source: Source, paths: Collection[RepoPath], includes: Includes) -> dict[RepoPath, str]:
    made: dict[RepoPath, str] = {}
    for target in cmake_facts.read(Checkout.of(source)).targets:
        for file in target.sources:
            named = sorted({arch.base(one) for one in archs_of(file.conditions)}, key=arch.order)
            if named and not file.path.startswith("$"):
                for path in includes.of(RepoPath(file.path)) & set(paths):
                    made.setdefault(path, named[0])
    return made
