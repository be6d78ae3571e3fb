"""The toolchain a profile and a tag ask for, and whether the two can go together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from winvllm_build import cuda_home
from winvllm_build.build import facts, path_marks, trees
from winvllm_build.build.facts import TagFacts
from winvllm_build.errors import PatchError, UsageError
from winvllm_build.git import Git
from winvllm_build.index import Index
from winvllm_build.patchset import manifest
from winvllm_build.patchset.layers import Selection, select
from winvllm_build.profile import validate
from winvllm_build.profile.loader import ResolvedProfile
from winvllm_build.profile.model import Profile
from winvllm_build.profile.validate import Finding, ToolkitFacts
from winvllm_build.sources.source import Source
from winvllm_build.toolchain import python as python_room
from winvllm_build.toolchain import toolchain as toolchain_room
from winvllm_build.toolchain.request import ToolchainRequest
from winvllm_build.toolchain.toolchain import Toolchain
from winvllm_build.workspace import Workspace

AUTO: Final = "auto"


def refuse_early(resolved: ResolvedProfile, *, patched_tags: tuple[str, ...]) -> None:
    """Refuse what is impossible whatever this machine has, and an interpreter that is not there.

    Raises:
        InvalidProfileError: with every such combination.
        ToolchainError: the Python that is named cannot be started.
    """
    validate.require(early_findings(resolved.profile, patched_tags=patched_tags), resolved.origins)
    if resolved.profile.python.executable != AUTO:
        python_room.require(Path(resolved.profile.python.executable))


def refuse_architectures(resolved: ResolvedProfile, source: Source) -> None:
    """Refuse what the tag has no kernels for, before a tree is made for it.

    Raises:
        InvalidProfileError: with every such architecture, and those that it has.
    """
    lists = Git(source.repository).run("cat-file", "blob", f"{source.commit}:CMakeLists.txt", ok=(0, 128))
    archs = facts.supported_archs(lists.out.decode("utf-8", "replace"))
    validate.require(validate.check(resolved.profile, ToolkitFacts(tag_archs=archs)), resolved.origins)


def early_findings(
    profile: Profile, *, patched_tags: tuple[str, ...], tag: TagFacts | None = None
) -> list[Finding]:
    """What a profile asks for that cannot be, or is worth a note, whatever this machine has."""
    home = profile.cuda.home
    known = ToolkitFacts(
        cuda_home=None if home == AUTO else home,
        home_is_toolkit=None if home == AUTO else cuda_home.holds_nvcc(Path(home)),
        patched_tags=patched_tags,
        tag_archs=frozenset() if tag is None else tag.supported_archs,
    )
    return validate.check(profile, known)


def for_tag(resolved: ResolvedProfile, patches: Path) -> ResolvedProfile:
    """The profile without layers that its tag lacks, where the tag was chosen in a later place than they.

    So a profile's layers for its own tag are no obstacle to `--tag`.

    Raises:
        PatchError: the manifest is malformed.
    """
    tag, asked = resolved.origins["tag"], resolved.origins["source.layers"]
    if tag.layer.rank <= asked.layer.rank:
        return resolved
    profile = resolved.profile
    known = {layer.name for layer in manifest.read(patches / profile.tag / manifest.FILE).layers}
    kept = tuple(name for name in profile.source.layers if name in known)
    lost = [name for name in profile.source.layers if name not in known]
    if not lost:
        return resolved
    source = profile.source.model_copy(update={"layers": kept})
    return dataclasses.replace(
        resolved,
        profile=profile.model_copy(update={"source": source}),
        notes=(*resolved.notes, f"{profile.tag} has no layer {', '.join(lost)}, which {asked} asks for"),
    )


def layers_of(profile: Profile, patches: Path) -> Selection:
    """The layers of the tag's patch set that a profile asks for.

    Raises:
        UsageError: no such layer, or two that conflict.
        PatchError: the manifest is malformed.
    """
    try:
        return select(manifest.read(patches / profile.tag / manifest.FILE), profile.source.layers)
    except UsageError as error:
        raise UsageError(f"source.layers of {profile.tag}: {error.message}", fix=error.fix) from error


def variables_of(profile: Profile, patches: Path) -> dict[str, str]:
    """The CMake variables by which the profile's layers are switched on.

    Raises:
        UsageError: no such layer, or two that conflict.
        PatchError: the manifest is malformed.
    """
    return {name: "ON" for layer in layers_of(profile, patches).chosen for name in layer.variables}


def facts_without_source(profile: Profile, *, workspace: Workspace, patches: Path) -> TagFacts:
    """What the tag says of itself, with nothing fetched: its tree's word, else that of `[expect]`.

    Args:
        profile: names the tag.
        workspace: where the tree is, if a build has made it.
        patches: the folder of the patch sets.

    Raises:
        PatchError: `[expect]` lacks or garbles what the toolchain depends on.
        SourceError: the tree does not look like vLLM's.
    """
    file = patches / profile.tag / manifest.FILE
    expect = manifest.read(file).expect
    layers = layers_of(profile, patches).optional
    tree = trees.tree_folder(workspace, profile.tag, profile.cuda.arch_list, layers)
    if (tree / "pyproject.toml").is_file():
        return with_expectations(facts.read(tree), expect, file)
    try:
        python, torch = SpecifierSet(str(expect["python"])), str(expect["torch"])
    except (KeyError, InvalidSpecifier) as error:
        raise PatchError(
            f"{file}: [expect] has to name python (a specifier) and torch (a version): {error}",
            fix=f"correct {file}",
        ) from error
    bare = TagFacts(
        requires_python=python, build_requires=(), torch=torch, extensions=(), supported_archs=frozenset()
    )
    return with_expectations(bare, expect, file)


def with_expectations(tag: TagFacts, expect: Mapping[str, object], file: Path) -> TagFacts:
    """The tag's facts with what only the patch set can say: the CUDA releases it is made for.

    Args:
        tag: the facts.
        expect: `[expect]` of the patch set.
        file: where that stands.

    Raises:
        PatchError: `cuda` is no specifier.
    """
    try:
        return dataclasses.replace(tag, cuda=SpecifierSet(str(expect.get("cuda", ""))))
    except InvalidSpecifier as error:
        raise PatchError(f"{file}: [expect] cuda: {error}", fix=f"correct {file}") from error


def equip(
    resolved: ResolvedProfile,
    tag: TagFacts,
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
        request(resolved.profile, tag), workspace=workspace, index=index, on_event=on_event
    )
    path_marks.refuse_toolkit(found)
    findings = validate.check(resolved.profile, _known(found, tag))
    for note in validate.require(findings, resolved.origins):
        on_event(note.message)
    return found


def request(profile: Profile, tag: TagFacts) -> ToolchainRequest:
    """What a profile and a tag ask of the toolchain together."""
    python, torch = profile.python, profile.torch
    return ToolchainRequest(
        cuda_home=None if profile.cuda.home == AUTO else Path(profile.cuda.home),
        cuda_version=SpecifierSet(profile.cuda.version) & tag.cuda,
        architectures=profile.cuda.arch_list,
        python=None if python.executable == AUTO else Path(python.executable),
        python_version=tag.requires_python if python.version == AUTO else SpecifierSet(python.version),
        torch_version=tag.torch,
        torch_fits=None if torch.version == AUTO else SpecifierSet(torch.version),
        torch_source=torch.source,
        allow_laydown=profile.cuda.allow_laydown,
        environment=profile.environment,
    )


def _known(found: Toolchain, tag: TagFacts) -> ToolkitFacts:
    return ToolkitFacts(
        cuda_home=str(found.cuda.home),
        home_is_toolkit=True,
        cuda_version=found.cuda.version,
        listed_archs=found.cuda.architectures,
        torch_version=Version(found.torch.version),
        python_version=found.python.version,
        tag_python=tag.requires_python,
        tag_torch=tag.torch,
        tag_archs=tag.supported_archs,
    )
