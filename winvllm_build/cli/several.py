"""Several builds on one command line: profiles and lists of architectures, each with each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from winvllm_build.profile.loader import ResolvedProfile


def lists(arch: list[str] | None, arch_list: list[str] | None) -> list[list[str] | None]:
    """The lists of architectures, one for each build; None for that of the profile.

    Raises:
        UsageError: both options are used.
    """
    from winvllm_build.errors import UsageError

    if arch and arch_list:
        raise UsageError("--arch adds to one build, --arch-list is one each", fix="use one of the two")
    if arch_list:
        return [[word for word in text.replace(",", ";").split(";") if word.strip()] for text in arch_list]
    return [arch or None]


def wanted(
    profiles: Sequence[str | None],
    lists: Sequence[list[str] | None],
    overrides: dict[str, Any],
    settings: Sequence[str],
) -> list[tuple[str, ResolvedProfile]]:
    """Each build with the title that tells it from the others."""
    from winvllm_build.cli.profiles import resolve_profile

    found = []
    for name in profiles:
        for archs in lists:
            resolved = resolve_profile(
                name, settings=settings, overrides={**overrides, "cuda.arch_list": archs}
            )
            listed = ";".join(resolved.profile.cuda.arch_list)
            named = f"{name} {listed}" if name is not None and len(profiles) > 1 else listed
            found.append((named, resolved))
    return found
