"""Patches of a vendored dependency: a copy gets them, originals stay, what does not match is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.patch_upstream import BASE, TAG, Upstream, nothing
from winvllm_build.build.dependencies import with_patches
from winvllm_build.errors import PatchError, TreeStateError
from winvllm_build.patchset.apply import apply
from winvllm_build.patchset.layers import select
from winvllm_build.patchset.regen import regen
from winvllm_build.patchset.status import status
from winvllm_build.sources.dependency import Dependency, NotNeeded, Outcome
from winvllm_build.sources.pins import DependencyPin, read_pins

CHANGED = {"a.py": b"of the library\n", "dos.bat": b"its own\r\n", "csrc/old.cu": None}
NEW = "csrc/windows.cuh"


@pytest.fixture
def library(upstream: Upstream, tmp_path: Path) -> Upstream:
    """A dependency at its pinned commit, patched: four patches in the set of `upstream`."""
    made = Upstream.make(tmp_path / "lib")
    pin = f'url = "https://example.invalid/lib"\nrevision = "v1"\ncommit = "{made.commit}"\n'
    upstream.manifest(upstream.commit, f'[dependency.lib]\n{pin}variable = "LIB"\ntargets = ["x"]\n')
    made.write({**CHANGED, NEW: b"// for Windows\n"})
    regen(upstream.patches, TAG, made.folder, on_event=nothing, target="lib", new=(NEW,))
    patches = upstream.load()
    apply(patches, made.folder, on_event=nothing, target="lib", selection=select(patches.manifest))
    return made


@pytest.fixture
def plain(library: Upstream, tmp_path: Path) -> Path:
    """What git exports of the pinned commit: no repository."""
    folder = tmp_path / "deps" / "lib-v1"
    folder.mkdir(parents=True)
    with library.git.temporary_index(library.git.tree_of(library.commit)) as index:
        library.git.run(f"--work-tree={folder}", "checkout-index", "--all", "--force", index=index)
    assert (folder / "a.py").read_bytes() == BASE["a.py"]
    return folder


def outcome(folder: Path) -> Dependency:
    return Dependency(name="lib", variable="LIB", folder=folder, description="git")


def patched(upstream: Upstream, found: Outcome, *, own: bool = False) -> Outcome:
    pins = read_pins(upstream.patches / TAG / "patchset.toml").dependencies
    made = upstream.load()
    names = frozenset({"lib"} if own else ())
    return with_patches(
        [found], pins, made, select(made.manifest), own=names, on_event=upstream.events.append
    )[0]


def files(folder: Path) -> dict[str, bytes]:
    return {
        f.relative_to(folder).as_posix(): f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()
    }


def test_a_copy_is_patched_and_the_original_stays(upstream: Upstream, library: Upstream, plain: Path) -> None:
    before = files(plain)
    made = patched(upstream, outcome(plain))
    assert made.folder != plain
    assert files(plain) == before
    wanted = library.content()
    assert files(made.folder) == wanted
    assert wanted[NEW] == b"// for Windows\n"
    assert "csrc/old.cu" not in wanted
    assert isinstance(made, Dependency)
    assert made.description == "git, 4 files patched"


def test_a_second_run_makes_nothing_and_an_edited_copy_is_made_anew(upstream: Upstream, plain: Path) -> None:
    first = patched(upstream, outcome(plain))
    when = (first.folder / "a.py").stat().st_mtime_ns
    told = len(upstream.events)
    assert patched(upstream, outcome(plain)) == first
    assert (first.folder / "a.py").stat().st_mtime_ns == when
    assert len(upstream.events) == told
    (first.folder / "a.py").write_bytes(b"edited\n")
    assert patched(upstream, outcome(plain)).folder == first.folder
    assert (first.folder / "a.py").read_bytes() == CHANGED["a.py"]


@pytest.mark.parametrize(("path", "content"), [("a.py", b"another\n"), ("dos.bat", None), (NEW, b"taken\n")])
def test_a_file_that_is_not_the_patch_s_is_refused_by_name(
    upstream: Upstream, plain: Path, path: str, content: bytes | None
) -> None:
    if content is None:
        (plain / path).unlink()
    else:
        (plain / path).write_bytes(content)
    with pytest.raises(PatchError, match=f"lib: {path}") as caught:
        patched(upstream, outcome(plain))
    assert str(plain) in (caught.value.fix or "")
    assert [entry.name for entry in plain.parent.iterdir()] == [plain.name]


def test_a_folder_of_the_user_is_never_written_to(upstream: Upstream, library: Upstream, plain: Path) -> None:
    before = files(plain)
    with pytest.raises(TreeStateError, match=r"lacks the patches of a\.py") as caught:
        patched(upstream, outcome(plain), own=True)
    assert caught.value.fix is not None
    assert f"winvllm-build apply {TAG}" in caught.value.fix
    assert "--target lib" in caught.value.fix
    assert files(plain) == before
    own = outcome(library.folder)
    assert patched(upstream, own, own=True) == own
    shutil.copyfile(library.folder / "notes/readme", library.folder / "a.py")
    with pytest.raises(PatchError, match="give a folder of https"):
        _reraised(upstream, own)


def _reraised(upstream: Upstream, own: Dependency) -> None:
    try:
        patched(upstream, own, own=True)
    except PatchError as error:
        raise PatchError(f"{error.message}; {error.fix}") from error


def test_the_command_that_the_refusal_names_leads_there(upstream: Upstream, library: Upstream) -> None:
    made = upstream.load()
    library.git.out("checkout", "-q", "-f", library.commit, "--", ".")
    (library.folder / NEW).unlink()
    with pytest.raises(TreeStateError):
        patched(upstream, outcome(library.folder), own=True)
    apply(made, library.folder, on_event=nothing, target="lib", selection=select(made.manifest))
    assert status(made, library.folder, target="lib").state.value == "applied"
    patched(upstream, outcome(library.folder), own=True)


@pytest.mark.usefixtures("library")
def test_what_has_no_patches_or_is_not_there_stays_as_it_is(upstream: Upstream) -> None:
    absent = NotNeeded(name="lib", variable="LIB", folder=upstream.folder)
    assert patched(upstream, absent) is absent
    other = Dependency(name="other", variable="OTHER", folder=upstream.folder, description="git")
    pin = read_pins(upstream.patches / TAG / "patchset.toml").dependencies[0]
    pins: list[DependencyPin] = [pin]
    made = upstream.load()
    found = with_patches([other], pins, made, select(made.manifest), own=frozenset(), on_event=nothing)
    assert found == (other,)


def test_patches_inside_the_folder_that_is_built(upstream: Upstream, plain: Path) -> None:
    """Of triton one folder alone is given to CMake; a patch outside it would never be seen."""
    manifest = upstream.patches / TAG / "patchset.toml"
    manifest.write_text(f'{manifest.read_text(encoding="utf-8")}folder = "csrc"\n', encoding="utf-8")
    with pytest.raises(PatchError, match="lies outside csrc"):
        patched(upstream, outcome(plain / "csrc"))
