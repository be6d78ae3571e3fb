"""The toolchain a profile and a tag ask for, and whether the two can go together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from winvllm_build.build.facts import TagFacts
from winvllm_build.index import Index
from winvllm_build.profile import validate
from winvllm_build.profile.loader import ResolvedProfile
from winvllm_build.profile.model import Profile
from winvllm_build.profile.validate import ToolkitFacts
from winvllm_build.toolchain import toolchain as toolchain_room
from winvllm_build.toolchain.request import ToolchainRequest
from winvllm_build.toolchain.toolchain import Toolchain
from winvllm_build.workspace import Workspace

AUTO: Final = "auto"


def refuse_early(resolved: ResolvedProfile, *, patched_tags: tuple[str, ...]) -> None:
    """Refuse what is impossible whatever this machine has.

    Raises:
        InvalidProfileError: with every such combination.
    """
    home = resolved.profile.cuda.home
    known = ToolkitFacts(
        cuda_home=None if home == AUTO else home,
        home_is_toolkit=None if home == AUTO else validate.holds_nvcc(Path(home)),
        patched_tags=patched_tags,
    )
    validate.require(validate.check(resolved.profile, known), resolved.origins)


def equip(
    resolved: ResolvedProfile,
    facts: TagFacts,
    *,
    workspace: Workspace,
    index: Index,
    on_event: Callable[[str], None],
) -> Toolchain:
    """Find or lay down the toolchain and refuse what does not go together.

    Raises:
        ToolchainError: something is missing.
        InvalidProfileError: profile, tag and toolchain contradict each other.
    """
    found = toolchain_room.discover(
        _request(resolved.profile, facts), workspace=workspace, index=index, on_event=on_event
    )
    findings = validate.check(resolved.profile, _known(found, facts))
    for note in validate.require(findings, resolved.origins):
        on_event(note.message)
    return found


def _request(profile: Profile, facts: TagFacts) -> ToolchainRequest:
    python, torch = profile.python, profile.torch
    return ToolchainRequest(
        cuda_home=None if profile.cuda.home == AUTO else Path(profile.cuda.home),
        cuda_version=SpecifierSet(profile.cuda.version),
        architectures=profile.cuda.arch_list,
        python=None if python.executable == AUTO else Path(python.executable),
        python_version=facts.requires_python if python.version == AUTO else SpecifierSet(python.version),
        torch_version=facts.torch,
        torch_source=torch.source,
        allow_laydown=profile.cuda.allow_laydown,
        environment=profile.environment,
    )


def _known(found: Toolchain, facts: TagFacts) -> ToolkitFacts:
    return ToolkitFacts(
        cuda_home=str(found.cuda.home),
        home_is_toolkit=True,
        cuda_version=found.cuda.version,
        listed_archs=found.cuda.architectures,
        torch_version=Version(found.torch.version),
        torch_cuda=None if found.torch.cuda is None else Version(found.torch.cuda),
        torch_origin=found.torch.origin,
        python_version=found.python.version,
        tag_python=facts.requires_python,
        tag_torch=facts.torch,
        tag_archs=facts.supported_archs,
    )


def describe(found: Toolchain) -> dict[str, str]:
    """The toolchain in words, for the summary and `--json`."""
    cuda, host, torch = found.cuda, found.host, found.torch
    headers = "" if torch.runs else ", headers only"
    return {
        "CUDA toolkit": f"{cuda.version} at {cuda.home} ({cuda.origin.value})",
        "host compiler": f"{host.kind.value} {host.version} at {host.cxx}",
        "Python": f"{found.python.version} at {found.python.executable}",
        "torch": f"{torch.version}{headers}",
    }
