"""Layers: every combination gives what it has to, is switched in place, and is taken back byte by byte."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from tests.layered import CHANGES, MANIFEST, ORDER, SELECTIONS, edits, expected, layered
from tests.patch_upstream import BASE, TAG, Upstream, digest, path
from winvllm_build.errors import ConflictError, PatchError, TreeStateError, UsageError
from winvllm_build.git import NO_OBJECT
from winvllm_build.patchset import lock
from winvllm_build.patchset.layers import Selection, compose, layer_base, select, selections
from winvllm_build.patchset.status import FileState, TreeState
from winvllm_build.patchset.worktree import open_worktree, scratch


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    return layered(tmp_path_factory.mktemp("layered"))


@pytest.fixture
def tree(template: Upstream, tmp_path: Path) -> Upstream:
    """A worktree with a layered patch set that is not applied."""
    return template.copied(tmp_path / "upstream")


def names(selection: Selection) -> tuple[str, ...]:
    return selection.optional


def test_the_manifest_allows_exactly_these(tree: Upstream) -> None:
    rules = tree.load().manifest
    assert [layer.name for layer in rules.layers] == ["windows", *ORDER]
    assert {names(selection) for selection in selections(rules)} == set(SELECTIONS)
    assert names(select(rules, ["extra"])) == ("fast", "extra")
    assert names(select(rules, ["rival", "extra", "windows", "rival"])) == ("fast", "extra", "rival")


@pytest.mark.usefixtures("hostile_git")
@pytest.mark.parametrize("layers", SELECTIONS, ids="+".join)
def test_every_combination_gives_what_it_has_to(tree: Upstream, layers: tuple[str, ...]) -> None:
    done = tree.apply(*layers)
    assert tree.content() == expected(*layers)
    assert set(done.files) == {
        n for n in {**BASE, **expected(*layers)} if BASE.get(n) != expected(*layers).get(n)
    }
    assert tree.index_tree() == done.tree
    found = tree.status(*layers)
    assert (found.state, found.applied) == (TreeState.APPLIED, ("windows", *layers))
    assert tree.apply(*layers).already
    tree.unapply(*layers)
    assert tree.content() == dict(BASE)
    assert tree.index_tree() == tree.git.tree_of("HEAD")
    assert tree.status(*layers).state is TreeState.PRISTINE


def test_from_every_combination_to_every_other(tree: Upstream) -> None:
    for one, other in permutations(SELECTIONS, 2):
        tree.apply(*one)
        before = digest(tree.folder)
        found = tree.status(*other)
        assert (found.state, found.applied) == (TreeState.OUTDATED, ("windows", *one)), (one, other)
        done = tree.apply(*other)
        now, then, wanted = tree.content(), expected(*one), expected(*other)
        assert now == wanted, (one, other)
        assert done.saved is None
        differing = {name for name in {**then, **wanted} if then.get(name) != wanted.get(name)}
        assert set(done.files) == differing
        after = digest(tree.folder)
        assert {n for n in wanted if n not in differing and before[n] != after[n]} == set()
        assert tree.index_tree() == done.tree


def test_any_combination_is_taken_back_without_naming_it(tree: Upstream) -> None:
    for layers in SELECTIONS:
        tree.apply(*layers)
        tree.unapply()
        assert tree.content() == dict(BASE)
        assert tree.index_tree() == tree.git.tree_of("HEAD")


def test_a_switch_needs_nothing_but_files_and_index(tree: Upstream) -> None:
    """The tool's own refs are a help, not the truth: without them it knows the layers all the same."""
    for one, other in (((), ("extra",)), (("narrow",), ()), (("fast", "extra", "rival"), ("narrow",))):
        tree.apply(*one)
        tree.git.out("update-ref", "-d", f"refs/worktree/winvllm/{TAG}/vllm")
        assert tree.status().applied == ("windows", *one)
        tree.apply(*other)
        assert tree.content() == expected(*select(tree.load().manifest, other).optional)


def test_what_layers_do_is_known_without_a_tree(tree: Upstream) -> None:
    patch_set = tree.load()
    for selection in selections(patch_set.manifest):
        wanted = expected(*names(selection))
        entries = patch_set.selected(selection)
        assert set(entries) == {n for n in {**BASE, **wanted} if BASE.get(n) != wanted.get(n)}
        for name, entry in entries.items():
            assert (entry.pre == NO_OBJECT) == (name not in BASE)
            assert (entry.post == NO_OBJECT) == (name not in wanted)


def test_compose_and_the_base_of_a_layer(tree: Upstream) -> None:
    patch_set, place = tree.load(), open_worktree(tree.folder)
    with scratch(place, keep=True) as git:
        for below, layer in (((), "windows"), ((), "fast"), (("fast",), "extra"), ((), "rival")):
            made = layer_base(git, patch_set.of("vllm"), patch_set.manifest, layer, place.base, fix="none")
            wanted = dict(BASE) if layer == "windows" else expected(*below)
            assert files_of(tree, made) == wanted
        whole = select(patch_set.manifest, ["extra", "rival"])
        made = compose(git, patch_set.of("vllm"), whole, place.base, fix="none")
        assert files_of(tree, made) == expected("fast", "extra", "rival")


def files_of(tree: Upstream, made: str) -> dict[str, bytes]:
    return {str(name): tree.git.out("cat-file", "blob", e.oid) for name, e in tree.git.entries(made).items()}


def test_the_same_patches_under_a_hostile_configuration(
    tree: Upstream, tmp_path: Path, hostile_git: Path
) -> None:
    assert hostile_git.is_file()
    assert layered(tmp_path / "again").patch_bytes() == tree.patch_bytes()


@pytest.mark.parametrize("layers", [("fast",), ("narrow",), ("fast", "extra", "rival")], ids="+".join)
def test_an_edit_is_never_lost(tree: Upstream, layers: tuple[str, ...]) -> None:
    """In a file that only the layer changes, that both change, and that another layer changes."""
    changed = {name for layer in layers for name in CHANGES[layer] if name in expected(*layers)}
    for name in sorted({*changed, "dos.bat"}):
        tree.apply(*layers, restore=True)
        edited = tree.content()[name] + b"mine\n"
        tree.write({name: edited})
        for other in ((), ("narrow",), layers):
            found = tree.status(*other)
            assert (found.state, found.applied) == (TreeState.DIRTY, ("windows", *layers))
            assert [f.path for f in found.having(FileState.DIRTY)] == [name]
            with pytest.raises(TreeStateError, match="nothing was changed"):
                tree.apply(*other)
            assert tree.content()[name] == edited
        done = tree.apply(restore=True)
        assert tree.content() == expected()
        assert done.saved is not None
        assert tree.git.out("cat-file", "blob", f"{done.saved}:{name}") == edited


def test_a_file_of_a_layer_that_is_not_here_is_the_users_own(tree: Upstream) -> None:
    tree.apply()
    tree.write({"notes/readme": b"mine\n", "csrc/extra.cuh": b"mine too\n"})
    assert tree.status().state is TreeState.APPLIED
    assert tree.apply().already
    with pytest.raises(TreeStateError, match=r"notes/readme"):
        tree.apply("narrow")
    with pytest.raises(TreeStateError, match=r"csrc/extra\.cuh"):
        tree.apply("extra")
    tree.apply("rival")
    assert tree.content() == {**expected("rival"), "notes/readme": b"mine\n", "csrc/extra.cuh": b"mine too\n"}


def test_a_deleted_file_is_missed_or_as_upstream_has_it(tree: Upstream) -> None:
    tree.apply("extra")
    tree.write({"csrc/k.cu": None})
    for asked in ("extra", "rival"):
        assert [f.path for f in tree.status(asked).having(FileState.MISSING)] == ["csrc/k.cu"]
        with pytest.raises(TreeStateError, match=r"csrc/k\.cu: it was deleted"):
            tree.apply(asked)
    tree.apply("extra", restore=True)
    tree.write({"csrc/extra.cuh": None})
    assert tree.status("extra").state is TreeState.PARTIAL
    assert tree.status("fast").state is TreeState.OUTDATED
    done = tree.apply("fast")
    assert tree.content() == expected("fast")
    assert tree.index_tree() == done.tree


def test_some_files_of_another_layer_are_outdated(tree: Upstream) -> None:
    tree.apply("extra")
    tree.write({"a.py": expected()["a.py"]})
    found = tree.status()
    assert (found.state, found.applied) == (TreeState.OUTDATED, ("windows", "fast", "extra"))
    assert {f.path for f in found.having(FileState.OUTDATED)} == {"csrc/k.cu", "csrc/extra.cuh"}
    tree.apply()
    assert tree.content() == expected()


def test_a_check_proves_a_switch_and_writes_nothing(tree: Upstream) -> None:
    tree.apply("narrow")
    before = {n: d for n, d in digest(tree.folder).items() if not n.startswith(".git/objects")}
    assert set(tree.apply("extra", check=True).files) == {
        "a.py", "csrc/k.cu", "csrc/extra.cuh", "csrc/new/n.cuh", "notes/readme",
    }  # fmt: skip
    assert {n: d for n, d in digest(tree.folder).items() if not n.startswith(".git/objects")} == before


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["farst"], r'no layer named \'farst\' in the manifest; did you mean "fast"'),
        (["rival", "narrow"], "the layers narrow and rival conflict"),
        (["narrow", "deep"], r"the layers narrow and rival conflict \(deep requires rival\)"),
    ],
)
def test_what_cannot_be_chosen(tree: Upstream, asked: list[str], words: str) -> None:
    tree.manifest(tree.commit, MANIFEST + '[layer.deep]\nrequires = ["rival"]\n')
    with pytest.raises(UsageError, match=words):
        select(tree.load().manifest, asked)


def test_a_newly_declared_layer_changes_nothing(tree: Upstream) -> None:
    tree.apply("extra")
    tree.manifest(tree.commit, MANIFEST + '[layer.new]\nrequires = ["extra"]\n')
    assert tree.status("extra").state is TreeState.APPLIED
    assert tree.status("new").state is TreeState.APPLIED
    assert tree.apply("new").already


def test_layers_that_do_not_fit_are_a_conflict(tree: Upstream) -> None:
    before = tree.patch_bytes()
    tree.manifest(tree.commit, MANIFEST.replace('conflicts = ["narrow"]', ""))
    with pytest.raises(
        PatchError, match=r"a\.py: the lock does not know it with the layers windows \+ narrow"
    ):
        tree.load()
    with pytest.raises(ConflictError) as caught:
        tree.relock()
    assert caught.value.exit_code == 3
    assert caught.value.message == (
        "the layers rival and narrow cannot be combined:\n  a.py: contents (rival and narrow)"
    )
    assert 'write conflicts = ["narrow"] in [layer.rival] of patchset.toml' in str(caught.value.fix)
    assert {k: v for k, v in tree.patch_bytes().items() if k != "patchset.toml"} == {
        k: v for k, v in before.items() if k != "patchset.toml"
    }


def test_one_layer_deletes_what_another_changes(tree: Upstream) -> None:
    tree.manifest(tree.commit, MANIFEST + "[layer.late]\n")
    tree.apply()
    tree.write({"notes/readme": b"changed\n"})
    with pytest.raises(ConflictError, match=r"notes/readme: modify/delete \(late and narrow\)"):
        tree.regen(layer="late")
    tree.manifest(tree.commit, MANIFEST + '[layer.late]\nconflicts = ["narrow"]\n')
    tree.regen(layer="late")
    tree.apply("late", "rival")
    assert tree.content() == {**expected("rival"), "notes/readme": b"changed\n"}


def test_a_change_follows_a_file_that_another_layer_moves(tree: Upstream) -> None:
    """The lock knows the moved file's content per combination, though one layer alone has a patch of it."""
    tree.manifest(tree.commit, MANIFEST + "[layer.moved]\n")
    tree.apply()
    content = tree.content()["a.py"]
    tree.write({"a.py": None, "b.py": content})
    tree.regen(layer="moved", new=("b.py",))
    for layers in SELECTIONS:
        tree.apply(*layers, "moved")
        files = expected(*layers)
        files["b.py"] = files.pop("a.py")
        assert tree.content() == files
    sides = tree.load().lock.targets["vllm"].combined
    assert len({side.oid for side in sides[path("b.py")].values()}) > 3
    tree.apply("extra")
    assert tree.content() == expected("fast", "extra")
    tree.unapply()
    assert tree.content() == dict(BASE)


def test_modes_are_switched(tree: Upstream) -> None:
    """A layer that only makes a file executable which another one changes."""
    tree.manifest(tree.commit, MANIFEST + "[layer.mode]\n")
    tree.apply()
    (tree.folder / "csrc/k.cu").chmod(0o755)
    (tree.folder / "notes/readme").chmod(0o755)
    tree.manifest(tree.commit, MANIFEST + '[layer.mode]\nconflicts = ["narrow"]\n')
    tree.regen(layer="mode")
    for layers in ((), ("mode",), ("fast",), ("fast", "mode"), ("mode",), (), ("fast",)):
        tree.apply(*layers)
        assert tree.content() == expected(*[name for name in layers if name != "mode"])
        for name in ("csrc/k.cu", "notes/readme"):
            mode = (tree.folder / name).stat().st_mode & 0o100
            assert bool(mode) is ("mode" in layers), (layers, name)
        assert tree.status(*layers).state is TreeState.APPLIED
        assert tree.status(*layers).applied == ("windows", *layers)


def test_two_names_that_are_one_on_windows(tree: Upstream) -> None:
    tree.apply("rival")
    tree.write({"CSRC/Extra.cuh": b"other case\n"})
    with pytest.raises(PatchError, match="one file where case does not count"):
        tree.regen(layer="rival", new=("CSRC/Extra.cuh",))
    tree.load()


def test_a_damaged_lock_of_layers_is_refused(tree: Upstream) -> None:
    file = tree.patches / TAG / "patchset.lock"
    whole = file.read_text(encoding="utf-8")
    known = lock.read(file)
    assert known is not None
    assert known.serialise().decode() == whole
    for old, new in (
        ('"windows+fast+extra": "100644 ', '"windows+fast+extra": "'),
        ('"windows+fast+extra": "', '"windows+fast+other": "'),
        ('"combined": {\n    "a.py"', '"combined": {\n    "../a.py"'),
        ('"fast": {\n     "a.py"', '"fast": {\n     "b.py"'),
    ):
        assert old in whole
        file.write_text(whole.replace(old, new), encoding="utf-8")
        with pytest.raises(PatchError, match=r"patchset\.lock"):
            tree.load()


def test_the_layers_lock_is_not_needed_to_write_it(tree: Upstream) -> None:
    before = tree.patch_bytes()
    (tree.patches / TAG / "patchset.lock").unlink()
    tree.relock()
    assert tree.patch_bytes() == before
    assert edits("fast")["a.py"] != BASE["a.py"]
