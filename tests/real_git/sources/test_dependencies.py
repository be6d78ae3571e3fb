"""The dependencies of a source: from git, from a package, of the user's own, and refused."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.small_source import FILES, TAG, Answers, Take, bytes_in, git, unheard
from winvllm_build.errors import (
    UNOBTAINABLE,
    SourceError,
)
from winvllm_build.git import Oid
from winvllm_build.index import Index
from winvllm_build.pip_settings import PipSettings
from winvllm_build.sources.dependency import Dependency, NotNeeded, Unavailable, acquire_dependencies
from winvllm_build.sources.pins import DependencyPin, PackagePin, SourcePin, SubmodulePin
from winvllm_build.workspace import Workspace


def dependency_pin(upstream: Path, **changes: object) -> DependencyPin:
    made = DependencyPin(
        name="flashmla",
        url=upstream.as_uri(),
        revision=TAG,
        commit=Oid(git(upstream, "rev-parse", f"{TAG}^{{commit}}")),
        variable="FLASH_MLA_SRC_DIR",
        content="flashmla",
        targets=("_flashmla_C",),
        archs=("9.0a",),
        folder="",
        submodules=(),
        package=None,
    )
    return replace(made, **changes)  # type: ignore[arg-type] # values by name


def outcome(
    take: Take, pin: SourcePin, workspace: Workspace, dependency: DependencyPin, *,
    archs: tuple[str, ...] = ("9.0",), locations: dict[str, Path] | None = None, index: Index | None = None,
) -> Dependency | NotNeeded | Unavailable:  # fmt: skip
    (found,) = acquire_dependencies(
        take(pin), (dependency,), archs=archs, workspace=workspace, offline=False, on_event=unheard,
        locations=locations, index=index,
    )  # fmt: skip
    return found


def test_dependency_from_git_with_its_submodule(
    take: Take, pin: SourcePin, workspace: Workspace, upstream: Path
) -> None:
    old = Oid(git(upstream, "rev-parse", "v0.9^{commit}"))
    git(upstream, "config", "uploadpack.allowAnySHA1InWant", "true")
    own = dependency_pin(
        upstream, submodules=(SubmodulePin(path="csrc/sub", url=upstream.as_uri(), commit=old),)
    )
    found = outcome(take, pin, workspace, own)
    assert isinstance(found, Dependency)
    assert (
        found.folder == workspace.sources / "deps" / TAG / f"flashmla-{own.commit[:12] if own.commit else ''}"
    )
    assert (found.folder / "csrc/sub/old.txt").read_bytes() == b"history\n"
    assert (found.folder / "src/latin.bin").read_bytes() == FILES["src/latin.bin"]


def test_dependency_no_arch_needs_is_not_fetched(
    take: Take, pin: SourcePin, workspace: Workspace, upstream: Path
) -> None:
    own = dependency_pin(upstream, url="file:///nowhere/at/all")
    found = outcome(take, pin, workspace, own, archs=("8.6", "12.0"))
    assert isinstance(found, NotNeeded)
    assert bytes_in(found.folder).keys() == {"README", "csrc/a.cu", "b.cpp", "py/read.py"}


def test_unavailable_dependency_leaves_its_targets_out(
    take: Take, pin: SourcePin, workspace: Workspace, upstream: Path
) -> None:
    found = outcome(take, pin, workspace, dependency_pin(upstream, url="file:///nowhere/at/all"))
    assert isinstance(found, Unavailable)
    assert found.targets == ("_flashmla_C",)
    assert "cannot reach" in found.reason
    assert (found.folder / "csrc/a.cu").is_file()


def test_dependency_whose_tag_moved(take: Take, pin: SourcePin, workspace: Workspace, upstream: Path) -> None:
    with pytest.raises(SourceError, match="has moved"):
        outcome(take, pin, workspace, dependency_pin(upstream, commit=Oid("2" * 40)))


def test_dependency_of_the_users_own(
    take: Take, pin: SourcePin, workspace: Workspace, upstream: Path
) -> None:
    own = dependency_pin(upstream)
    found = outcome(take, pin, workspace, own, locations={"flashmla": upstream})
    assert isinstance(found, Dependency)
    assert found.folder == upstream
    with pytest.raises(SourceError, match="nothing at"):
        outcome(take, pin, workspace, own, locations={"flashmla": upstream / "none"})


EMPTY_SHA256 = base64.urlsafe_b64encode(hashlib.sha256(b"").digest()).rstrip(b"=").decode()
PACKAGE = PackagePin(project="none", version="1", record_sha256="0" * 64, root="none", folders=("include",))


@pytest.mark.parametrize("refusing", [401, 403, 404], indirect=True)
def test_a_dependency_that_is_refused_is_left_out(
    take: Take, pin: SourcePin, workspace: Workspace, upstream: Path, refusing: Answers
) -> None:
    own = dependency_pin(upstream, url=f"{refusing.url}/demo.git", package=PACKAGE)
    settings = PipSettings(index_url=f"{refusing.url}/simple")
    index = Index(workspace, on_event=unheard, settings=settings)
    found = outcome(take, pin, workspace, own, index=index)
    assert isinstance(found, Unavailable)
    assert found.targets == ("_flashmla_C",)
    assert "cannot reach" in found.reason
    assert "no none 1" in found.reason
    assert {path.split("/")[1] for path in refusing.seen} == {"demo.git", "simple"}


def test_a_dependency_without_its_tag_is_left_out(
    take: Take, pin: SourcePin, workspace: Workspace, upstream: Path
) -> None:
    found = outcome(take, pin, workspace, dependency_pin(upstream, revision="v7"))
    assert isinstance(found, Unavailable)
    assert "has no tag v7" in found.reason


def test_dependency_package_must_be_the_pinned_one(
    take: Take, pin: SourcePin, workspace: Workspace, upstream: Path, sdist: Path
) -> None:
    with zipfile.ZipFile(sdist.parent / "none-1-py3-none-any.whl", "w") as wheel:
        wheel.writestr("none/include/a.h", b"")
        wheel.writestr("none-1.dist-info/RECORD", b"")
    own = dependency_pin(upstream, url="file:///nowhere/at/all", package=PACKAGE)
    settings = PipSettings(no_index=True, find_links=(str(sdist.parent),))
    index = Index(workspace, on_event=unheard, settings=settings)
    with pytest.raises(SourceError, match="RECORD is not the pinned one") as caught:
        outcome(take, pin, workspace, own, index=index)
    assert not isinstance(caught.value, UNOBTAINABLE)


def test_a_package_that_lacks_files_loses_the_targets_that_need_them(
    take: Take, pin: SourcePin, workspace: Workspace, upstream: Path, sdist: Path
) -> None:
    with zipfile.ZipFile(sdist.parent / "none-1-py3-none-any.whl", "w") as wheel:
        record = f"none/include/a.h,sha256={EMPTY_SHA256},0\nnone-1.dist-info/RECORD,,\n".encode()
        wheel.writestr("none/include/a.h", b"")
        wheel.writestr("none-1.dist-info/RECORD", record)
    package = replace(
        PACKAGE,
        record_sha256=hashlib.sha256(record).hexdigest(),
        not_for=("10.0f",),
        not_targets=("_C",),
    )
    gone = dependency_pin(upstream, url="file:///nowhere/at/all", package=package, archs=())
    settings = PipSettings(no_index=True, find_links=(str(sdist.parent),))
    index = Index(workspace, on_event=unheard, settings=settings)
    whole = outcome(take, pin, workspace, gone, archs=("8.6", "9.0"), index=index)
    assert isinstance(whole, Dependency)
    part = outcome(take, pin, workspace, gone, archs=("8.6", "10.3"), index=index)
    assert isinstance(part, Unavailable)
    assert (part.targets, part.folder) == (("_C",), whole.folder)
    back = replace(gone, url=upstream.as_uri())
    assert isinstance(outcome(take, pin, workspace, back, archs=("10.3",), index=index), Dependency)
