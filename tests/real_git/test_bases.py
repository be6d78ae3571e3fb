"""Which commits patches may be written on, and where: nothing unrelated, nothing outside the tag's folder."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.patch_upstream import BASE, EDITED, NEW, TAG, Upstream, digest, nothing
from winvllm_build import data
from winvllm_build.choices import SourceKind
from winvllm_build.cli.main import run
from winvllm_build.errors import FindingsError, PatchError, TreeStateError, UsageError
from winvllm_build.git import Git
from winvllm_build.patchset.regen import regen, relock
from winvllm_build.sources.pins import read_pins
from winvllm_build.sources.source import acquire, worktree
from winvllm_build.workspace import Workspace, sha256_of


@pytest.fixture
def upstream(applied: Upstream) -> Upstream:
    return applied


def sdist_line(archive: Path) -> str:
    return f'sdist = {{ project = "u", version = "1.2.3", sha256 = "{sha256_of(archive)}" }}\n'


@pytest.fixture
def from_archive(upstream: Upstream, tmp_path: Path) -> Upstream:
    """The tool's own worktree of the pinned archive; the git tag's tree has one file more."""
    archive = tmp_path / "u-1.2.3.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, content in BASE.items():
            if not name.startswith("notes/"):
                info = tarfile.TarInfo(f"u-1.2.3/{name}")
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    upstream.manifest(upstream.commit, sdist_line(archive))
    source = acquire(
        read_pins(upstream.patches / TAG / "patchset.toml").upstream,
        kind=SourceKind.LOCAL,
        location=str(archive),
        workspace=Workspace(root=tmp_path / "ws"),
        offline=True,
        on_event=nothing,
    )
    folder = worktree(source, tmp_path / "from-archive")
    return Upstream(folder=folder, patches=upstream.patches, commit=source.commit)


def unrelated(upstream: Upstream, message: str = "unrelated") -> None:
    """HEAD becomes a commit of the same patched files and one other."""
    upstream.unapply()
    upstream.write({"notes/readme": b"something else\n"})
    upstream.commit_all(message)


def locked_trees(upstream: Upstream) -> dict[str, dict[str, str | None]]:
    lock = json.loads((upstream.patches / TAG / "patchset.lock").read_bytes())
    trees: dict[str, dict[str, str | None]] = lock["targets"]["vllm"]["trees"]
    return trees


@pytest.mark.parametrize("with_lock", [True, False])
def test_an_unrelated_commit_is_never_locked(upstream: Upstream, *, with_lock: bool) -> None:
    unrelated(upstream)
    if not with_lock:
        (upstream.patches / TAG / "patchset.lock").unlink()
    before = upstream.patch_bytes()
    with pytest.raises(TreeStateError, match="the patches are for the commit") as caught:
        upstream.relock()
    assert f"checkout --detach {upstream.commit}" in str(caught.value.fix)
    upstream.write({"a.py": EDITED["a.py"]})
    with pytest.raises(TreeStateError, match="the patches are for the commit"):
        upstream.regen()
    assert upstream.patch_bytes() == before


def test_the_way_back_is_a_commit_that_is_there(from_archive: Upstream) -> None:
    from_archive.relock()
    base = from_archive.git.line("rev-parse", "HEAD")
    unrelated(from_archive)
    for act in (from_archive.apply, from_archive.relock):
        with pytest.raises(TreeStateError) as caught:
            act()
        assert caught.value.fix == f"git -C {from_archive.folder} checkout --detach {base}"
    from_archive.git.out("update-ref", "-d", f"refs/winvllm/{TAG}/base-local")
    with pytest.raises(TreeStateError) as lost:
        from_archive.apply()
    assert lost.value.fix == f"winvllm-build source {TAG} --tree FOLDER --patches {from_archive.patches}"


def test_the_pinned_commit_needs_no_lock(upstream: Upstream) -> None:
    before = upstream.patch_bytes()
    (upstream.patches / TAG / "patchset.lock").unlink()
    upstream.relock()
    assert upstream.patch_bytes() == before
    (upstream.patches / TAG / "patchset.lock").unlink()
    upstream.regen()
    assert upstream.patch_bytes() == before


def test_the_lock_of_another_commit_is_no_proof(upstream: Upstream) -> None:
    """The manifest was moved to another commit: what the lock knows of the old one does not count."""
    old = locked_trees(upstream)
    unrelated(upstream)
    head = upstream.git.line("rev-parse", "HEAD")
    other = upstream.copied(upstream.folder.parent.parent / "other")
    other.git.out("update-ref", "HEAD", upstream.commit)
    other.manifest(head)
    with pytest.raises(TreeStateError):
        other.relock()
    upstream.manifest(head)
    upstream.relock()
    assert set(locked_trees(upstream)) == {"git"}
    assert locked_trees(upstream) != old


def test_the_tools_own_commit_of_the_archive_is_a_base(from_archive: Upstream) -> None:
    git_pair = locked_trees(from_archive)["git"]
    from_archive.relock()
    assert set(locked_trees(from_archive)) == {"git", "sdist"}
    assert locked_trees(from_archive)["git"] == git_pair
    assert locked_trees(from_archive)["sdist"]["base"] == from_archive.git.tree_of("HEAD")
    (from_archive.patches / TAG / "patchset.lock").unlink()
    from_archive.write(EDITED)
    from_archive.regen(new=NEW)
    assert set(locked_trees(from_archive)) == {"sdist"}


@pytest.mark.parametrize("change", ["message", "author", "parent", "archive"])
def test_what_only_looks_like_the_archives_commit_is_none(from_archive: Upstream, change: str) -> None:
    git, tree = from_archive.git, from_archive.git.tree_of("HEAD")
    pin = read_pins(from_archive.patches / TAG / "patchset.toml").upstream.sdist
    assert pin is not None
    text, parents = pin.commit_message, ()
    if change == "message":
        text += "and more\n"
    if change == "author":
        git = Git(from_archive.folder, environment={"GIT_AUTHOR_NAME": "Somebody"})
    if change == "archive":
        file = from_archive.patches / TAG / "patchset.toml"
        old = file.read_text(encoding="utf-8")
        file.write_text(old.replace(pin.sha256, "0" * 64), encoding="utf-8")
    chain = (git.line("rev-parse", "HEAD"),) if change == "parent" else parents
    same = git.commit_tree(tree, text, parents=chain)
    git.out("update-ref", "--no-deref", "HEAD", same)
    with pytest.raises(TreeStateError, match="or the tool's own commit of u"):
        from_archive.relock()


@pytest.mark.parametrize("layer", ["../../../x", "", "/x", "windows/../../x"])
def test_an_undeclared_layer_is_refused(upstream: Upstream, layer: str) -> None:
    upstream.write({"notes/readme": b"newly patched\n"})
    files, sets = upstream.content(), digest(upstream.patches)
    with pytest.raises(UsageError, match="no layer named") as caught:
        regen(upstream.patches, TAG, upstream.folder, on_event=nothing, layer=layer)
    assert caught.value.fix == "known: windows; others are declared in patchset.toml"
    assert (upstream.content(), digest(upstream.patches)) == (files, sets)
    assert {path.name for path in upstream.patches.parent.iterdir()} == {"tree", "patches"}


def test_a_misspelt_layer_gets_a_hint(upstream: Upstream) -> None:
    with pytest.raises(UsageError, match='did you mean "windows"'):
        regen(upstream.patches, TAG, upstream.folder, on_event=nothing, layer="windws")


def test_an_undeclared_target_is_refused(upstream: Upstream) -> None:
    before = digest(upstream.patches)
    for act in (regen, relock):
        with pytest.raises(UsageError, match=r"no target named 'vlm'.*did you mean \"vllm\""):
            act(upstream.patches, TAG, upstream.folder, on_event=nothing, target="vlm")
    for command in ("status", "apply"):
        words = [command, "--patches", str(upstream.patches), "--tree", str(upstream.folder)]
        assert run([*words, "--target", "vlm"]) == 2
    assert digest(upstream.patches) == before


def test_a_layer_that_is_a_link_is_not_followed_out(upstream: Upstream, tmp_path: Path) -> None:
    upstream.manifest(upstream.commit, '[layer.rocm]\ntitle = "ROCm"\n')
    outside = tmp_path / "outside"
    (outside / "vllm").mkdir(parents=True)
    (upstream.patches / TAG / "rocm").symlink_to(outside, target_is_directory=True)
    upstream.write({"notes/readme": b"newly patched\n"})
    with pytest.raises(PatchError, match="lies outside"):
        regen(upstream.patches, TAG, upstream.folder, on_event=nothing, layer="rocm")
    assert [p for p in outside.rglob("*") if p.is_file()] == []


def test_the_installed_package_is_not_written(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = upstream.patches.parent / "site-packages" / "winvllm_build"
    (installed / "_data").mkdir(parents=True)
    shipped = upstream.patches.rename(installed / "_data" / "patches")
    upstream.patches = shipped
    monkeypatch.setattr(data, "PACKAGE", installed)
    before = digest(shipped)
    upstream.regen(check=True)
    upstream.write({"a.py": b"mine\n"})
    with pytest.raises(UsageError, match="belongs to the installed package") as caught:
        upstream.regen()
    assert str(caught.value.fix).endswith(
        f"winvllm-build regen {TAG} --tree {upstream.folder} --patches FOLDER"
    )
    with pytest.raises(UsageError):
        upstream.relock()
    with pytest.raises(FindingsError):
        upstream.regen(check=True)
    assert digest(shipped) == before
    lock = shipped / TAG / "patchset.lock"
    lock.write_bytes(b"{")
    with pytest.raises(PatchError) as broken:
        upstream.load()
    assert "--force-reinstall" in str(broken.value.fix)
    assert "--relock" not in str(broken.value.fix)


def test_a_damaged_patch_is_restored_before_it_is_blessed(upstream: Upstream) -> None:
    file = upstream.patch_file("csrc/k.cu")
    file.write_bytes(file.read_bytes().replace(b"+long b;", b"+char b;"))
    with pytest.raises(PatchError) as caught:
        upstream.load()
    back, _, meant = str(caught.value.fix).partition("; only if the change is meant: ")
    assert f"git -C {upstream.patches} checkout -- " in back
    assert f"{TAG}/windows/vllm/csrc/k.cu.patch" in back
    assert meant == f"winvllm-build regen {TAG} --relock --patches {upstream.patches}"
    file.write_bytes(b"Subject: cut off\n")
    with pytest.raises(PatchError) as unreadable:
        upstream.load()
    assert f"checkout -- {TAG}/windows/vllm/csrc/k.cu.patch" in str(unreadable.value.fix)
