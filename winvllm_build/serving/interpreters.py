"""The Pythons that may have an engine, the likeliest first: named, active, installed into, running."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from winvllm_build.build import placed
from winvllm_build.errors import TreeStateError
from winvllm_build.profile.loader import ResolvedProfile
from winvllm_build.profile.problem import LayerKind
from winvllm_build.serving import target
from winvllm_build.serving.target import Candidate, Target
from winvllm_build.toolchain.python import running_python
from winvllm_build.workspace import Workspace

KEY: Final = "python.executable"


def choose(
    asked: str | None, profile: ResolvedProfile | None, workspace: Workspace, environment: Mapping[str, str]
) -> Target:
    """The Python that a server runs in.

    Args:
        asked: `--python`.
        profile: it may name the interpreter that is built for.
        workspace: where `develop` noted what it installed into.
        environment: for the active virtual environment.

    Raises:
        UsageError: there is no Python of that name.
        ToolchainError: it does not answer.
    """
    if asked is not None:
        return target.ask(Candidate(python=target.interpreter(asked), reason="--python"))
    named = _of_profile(profile)
    if named is not None:
        return target.ask(named)
    return target.first_with_vllm(_guesses(workspace, environment))


def _of_profile(profile: ResolvedProfile | None) -> Candidate | None:
    if profile is None or profile.origins[KEY].layer is LayerKind.DEFAULT:
        return None
    name = profile.profile.python.executable
    if name == "auto":
        return None
    return Candidate(python=target.interpreter(name), reason=f"{KEY} of {profile.origins[KEY]}")


def _guesses(workspace: Workspace, environment: Mapping[str, str]) -> Iterator[Candidate]:
    """Each interpreter once."""
    seen: set[Path] = set()
    for candidate in (*_active(environment), *_developed(workspace), _running()):
        if candidate.python not in seen:
            seen.add(candidate.python)
            yield candidate


def _active(environment: Mapping[str, str]) -> Iterator[Candidate]:
    folder = environment.get("VIRTUAL_ENV") or environment.get("CONDA_PREFIX")
    found = target.in_environment(Path(folder)) if folder else None
    if found is not None:
        yield Candidate(python=found, reason="the active environment")


def _developed(workspace: Workspace) -> Iterator[Candidate]:
    """The environments that `develop` installed into, the latest first."""
    records = workspace.trees.glob(f"*{placed.BESIDE}/{placed.RECORD}")
    for file in sorted(records, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            record = placed.read(file.parent)
        except TreeStateError:
            continue  # a damaged record is `develop`'s to tell
        tree = file.parent.name.removesuffix(placed.BESIDE)
        for python in map(Path, reversed(record.pythons if record else ())):
            if python.is_file():
                yield Candidate(python=python, reason=f"`develop` installed {tree} there")


def _running() -> Candidate:
    return Candidate(python=running_python(), reason="the Python that runs this")
