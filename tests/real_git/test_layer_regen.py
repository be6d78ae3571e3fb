"""Regenerating one layer: the edits go to it, the others follow or stay, and nothing is written half."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.layered import MANIFEST, SELECTIONS, expected, layered
from tests.patch_upstream import BASE, TAG, Upstream, digest
from winvllm_build.errors import ConflictError, FindingsError, PatchError, TreeStateError, UsageError
from winvllm_build.patchset.status import TreeState

WINDOWS = b"line thirty\n"
"""A line of the required layer in a.py that no other layer is near."""


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    return layered(tmp_path_factory.mktemp("layered"))


@pytest.fixture
def tree(template: Upstream, tmp_path: Path) -> Upstream:
    return template.copied(tmp_path / "upstream")


def edit(tree: Upstream, name: str, old: bytes, new: bytes) -> None:
    content = tree.content()[name]
    assert content.count(old) == 1
    tree.write({name: content.replace(old, new)})


def all_give(tree: Upstream, name: str, old: bytes, new: bytes, *, only: str = "windows") -> None:
    """Every combination (with the layer `only`) gives what it gave, but for one replacement."""
    for layers in SELECTIONS:
        tree.apply(*layers)
        wanted = expected(*layers)
        if only in ("windows", *layers):
            assert wanted[name].count(old) == 1
            wanted[name] = wanted[name].replace(old, new)
        assert tree.content() == wanted


def unwritten(tree: Upstream, before: dict[str, bytes], files: dict[str, bytes]) -> None:
    assert tree.patch_bytes() == before
    assert tree.content() == files


def test_an_edit_of_the_required_layer_is_carried_below_all_others(tree: Upstream) -> None:
    tree.apply()
    edit(tree, "a.py", WINDOWS, b"line thirty, better\n")
    edit(tree, "csrc/k.cu", b"int c;", b"int c, d;")
    with pytest.raises(FindingsError, match="differs"):
        tree.regen(check=True)
    done = tree.regen()
    assert {file.name for file in done.removed} == set()
    written = {file.relative_to(tree.patches / TAG).as_posix() for file in done.written}
    assert "windows/vllm/a.py.patch" in written
    assert "fast/vllm/csrc/k.cu.patch" in written
    assert done.relocked
    tree.regen(check=True)
    assert tree.status().state is TreeState.APPLIED
    for layers in SELECTIONS:
        tree.apply(*layers)
        wanted = expected(*layers)
        wanted["a.py"] = wanted["a.py"].replace(WINDOWS, b"line thirty, better\n")
        wanted["csrc/k.cu"] = wanted["csrc/k.cu"].replace(b"int c;", b"int c, d;")
        assert tree.content() == wanted
        if layers:
            tree.regen(check=True, layer=layers[-1])


def test_headers_and_notes_of_a_carried_layer_stay(tree: Upstream) -> None:
    file = tree.patch_file("a.py", "fast")
    head, _, diff = file.read_bytes().partition(b"\n\n")
    said = b"Subject: Go faster\nDescription: Worth it.\nUpstream-Status: Pending\nSince: v1.2.3\nHunk: ? so"
    file.write_bytes(said + b"\n\n" + diff)
    assert b"TODO" in head
    tree.relock()
    tree.apply("fast")
    tree.regen(layer="fast")
    noted = file.read_bytes().partition(b"\n\n")[0]
    assert noted.startswith(said.partition(b"\nHunk")[0])
    tree.apply()
    edit(tree, "a.py", b"line 8\n", b"line eight\n")
    tree.regen()
    assert file.read_bytes().partition(b"\n\n")[0] == noted
    assert b" line eight\n" in file.read_bytes()


def test_an_edit_of_an_optional_layer_stays_in_it(tree: Upstream) -> None:
    before = tree.patch_bytes()
    tree.apply("narrow")
    edit(tree, "csrc/new/n.cuh", b"// narrow\n", b"// narrower\n")
    done = tree.regen(layer="narrow")
    assert [file.name for file in done.written] == ["n.cuh.patch"]
    now = tree.patch_bytes()
    assert {name for name in now if now[name] != before.get(name)} == {
        "narrow/vllm/csrc/new/n.cuh.patch", "patchset.lock",
    }  # fmt: skip
    all_give(tree, "csrc/new/n.cuh", b"// narrow\n", b"// narrower\n", only="narrow")


def test_a_layer_on_top_of_the_edited_one_follows(tree: Upstream) -> None:
    tree.apply("fast")
    edit(tree, "a.py", b"line ten, fast\n", b"line ten, fast\nand faster\n")
    with pytest.raises(ConflictError, match=r"the layer extra does not fit.*\n  a\.py: contents"):
        tree.regen(layer="fast")
    edit(tree, "a.py", b"and faster\n", b"")
    edit(tree, "csrc/k.cu", b"int fast;\n", b"int faster;\n")
    tree.regen(layer="fast")
    all_give(tree, "csrc/k.cu", b"int fast;\n", b"int faster;\n", only="fast")


def test_without_a_name_and_with_layers_applied_it_asks(tree: Upstream) -> None:
    tree.apply("extra")
    edit(tree, "a.py", WINDOWS, b"whose is this?\n")
    before, files = tree.patch_bytes(), tree.content()
    with pytest.raises(UsageError, match=r"has the layers windows \+ fast \+ extra") as caught:
        tree.regen()
    said = str(caught.value.fix).splitlines()
    assert said[1:] == [
        f"  winvllm-build regen {TAG} --layer {layer} --tree {tree.folder} --patches {tree.patches}"
        for layer in ("windows", "fast", "extra")
    ]
    unwritten(tree, before, files)


@pytest.mark.parametrize("layer", ["windows", "fast", "extra", "narrow"])
def test_an_edit_can_go_to_any_layer_that_is_there(tree: Upstream, layer: str) -> None:
    """It is taken out of the tree with all layers and put where it belongs: the tree stays as it is."""
    tree.apply("extra", "narrow")
    edit(tree, "a.py", b"line 35\n", b"line 35, edited\n")
    files = tree.content()
    tree.regen(layer=layer)
    assert tree.content() == files
    assert tree.status("extra", "narrow").state is TreeState.APPLIED
    tree.regen(layer=layer, check=True)
    all_give(tree, "a.py", b"line 35\n", b"line 35, edited\n", only=layer)


def test_an_edit_of_another_layers_lines_cannot_go_below_it(tree: Upstream) -> None:
    tree.apply("fast", "narrow")
    edit(tree, "a.py", b"line twenty, narrow\n", b"line twenty, narrower\n")
    before, files = tree.patch_bytes(), tree.content()
    for layer, other in (("windows", "fast, narrow"), ("fast", "narrow")):
        with pytest.raises(ConflictError, match=f"the layers {other} change too") as caught:
            tree.regen(layer=layer)
        assert "  a.py: contents" in caught.value.message
        assert f"regen {TAG} --layer narrow" in str(caught.value.fix)
        assert "--restore" in str(caught.value.fix)
    unwritten(tree, before, files)
    tree.regen(layer="narrow")
    all_give(tree, "a.py", b"line twenty, narrow\n", b"line twenty, narrower\n", only="narrow")


def test_a_layer_that_does_not_fit_on_the_edits_is_named(tree: Upstream) -> None:
    tree.apply()
    edit(tree, "a.py", b"line 20\n", b"line twenty of windows\n")
    before, files = tree.patch_bytes(), tree.content()
    with pytest.raises(ConflictError) as caught:
        tree.regen()
    assert caught.value.exit_code == 3
    assert caught.value.message.splitlines() == [
        "the layer narrow does not fit on top of these edits; nothing was written:", "  a.py: contents",
    ]  # fmt: skip
    fix = str(caught.value.fix)
    assert f"delete {TAG}/narrow/vllm/a.py.patch" in fix
    unwritten(tree, before, files)
    for layer in ("narrow", "rival"):  # as the message says
        tree.patch_file("a.py", layer).unlink()
    tree.relock()
    tree.regen()
    tree.apply("narrow")
    assert b"line twenty of windows\n" in tree.content()["a.py"]
    edit(tree, "a.py", b"line twenty of windows\n", b"line twenty, narrow\n")
    tree.regen(layer="narrow")
    tree.apply("extra", "narrow")
    assert tree.content() == expected("fast", "extra", "narrow")


def test_two_layers_that_the_edit_brings_together_conflict(tree: Upstream) -> None:
    tree.apply("fast")
    edit(tree, "a.py", b"line 20\n", b"line twenty, fast\n")
    before, files = tree.patch_bytes(), tree.content()
    with pytest.raises(ConflictError, match=r"the layers narrow and fast cannot be combined:\n  a\.py"):
        tree.regen(layer="fast")
    unwritten(tree, before, files)


def test_a_layer_that_is_not_there_takes_no_edits(tree: Upstream) -> None:
    tree.apply("narrow")
    edit(tree, "a.py", WINDOWS, b"mine\n")
    before, files = tree.patch_bytes(), tree.content()
    for layer in ("fast", "rival"):
        with pytest.raises(TreeStateError, match=rf"has the layers windows \+ narrow, not {layer}") as caught:
            tree.regen(layer=layer)
        assert f"apply {TAG} --layer {layer} --restore" in str(caught.value.fix)
    unwritten(tree, before, files)


def test_a_new_layer_begins_empty(tree: Upstream) -> None:
    tree.manifest(tree.commit, MANIFEST + '[layer.new]\nrequires = ["narrow"]\n')
    before = tree.patch_bytes()
    tree.apply("narrow")
    done = tree.regen(layer="new")
    assert (done.written, done.removed, done.relocked) == ((), (), False)
    assert tree.patch_bytes() == before
    tree.write({"csrc/brand_new.cuh": b"#pragma once\n"})
    edit(tree, "a.py", b"line twenty, narrow\n", b"line twenty, new\n")
    tree.regen(layer="new", new=("csrc/*",))
    assert {name for name in tree.patch_bytes() if name.startswith("new/")} == {
        "new/vllm/a.py.patch", "new/vllm/csrc/brand_new.cuh.patch",
    }  # fmt: skip
    assert tree.status("new").applied == ("windows", "narrow", "new")
    tree.apply("extra", "new")
    wanted = expected("fast", "extra", "narrow")
    wanted["a.py"] = wanted["a.py"].replace(b"line twenty, narrow\n", b"line twenty, new\n")
    assert tree.content() == {**wanted, "csrc/brand_new.cuh": b"#pragma once\n"}


def test_a_layer_is_emptied_only_when_that_is_meant(tree: Upstream) -> None:
    tree.apply("rival")
    tree.write({name: expected()[name] for name in ("a.py", "dos.bat")})
    with pytest.raises(TreeStateError, match="by the layer rival") as caught:
        tree.regen(layer="rival")
    assert f"apply {TAG} --layer rival" in str(caught.value.fix)
    tree.regen(layer="rival", allow_empty=True)
    assert not (tree.patches / TAG / "rival").exists()
    assert "rival" not in (tree.patches / TAG / "patchset.lock").read_text(encoding="utf-8")
    assert tree.apply("rival").already
    tree.apply("extra", "rival")
    assert tree.content() == expected("fast", "extra")


def test_the_required_layer_can_be_empty(tree: Upstream) -> None:
    """Then a target may be changed by an optional layer alone."""
    alone = Upstream.make(tree.folder.parent / "alone")
    alone.manifest(alone.commit, MANIFEST)
    alone.write({"a.py": BASE["a.py"].replace(b"line 9\n", b"line nine\n")})
    alone.regen(layer="narrow")
    assert alone.patch_bytes().keys() == {"narrow/vllm/a.py.patch", "patchset.lock", "patchset.toml"}
    assert alone.status("narrow").state is TreeState.APPLIED
    assert alone.status().state is TreeState.OUTDATED
    alone.apply()
    assert alone.content() == dict(BASE)
    assert alone.apply().already
    assert alone.unapply().already
    alone.apply("narrow")
    alone.unapply()
    assert alone.content() == dict(BASE)


def test_damaged_patches_of_another_layer_are_not_carried(tree: Upstream) -> None:
    tree.apply()
    edit(tree, "a.py", WINDOWS, b"better\n")
    file = tree.patch_file("csrc/k.cu", "fast")
    file.write_bytes(file.read_bytes().replace(b"+int fast;", b"+int slow;"))
    before, files = tree.patch_bytes(), tree.content()
    with pytest.raises(PatchError, match=r"fit") as caught:
        tree.regen()
    assert caught.value.fix is not None
    unwritten(tree, before, files)


def test_another_version_of_the_set_is_not_taken_for_edits(tree: Upstream) -> None:
    tree.apply("extra")
    author = tree.copied(tree.folder.parent.parent / "author")
    edit(author, "csrc/k.cu", b"int fast;\n", b"int faster;\n")
    author.regen(layer="fast")
    tree.patches = author.patches
    for layer in ("windows", "fast", "extra"):
        with pytest.raises(TreeStateError, match="another version of the patch set"):
            tree.regen(layer=layer)
    tree.apply("extra")
    assert tree.content() == author.content()


def test_a_mixed_reset_does_not_hide_the_layers(tree: Upstream) -> None:
    """`git reset` empties the index of patches; the edits must not go to the required layer unasked."""
    tree.apply("extra")
    tree.git.out("read-tree", "HEAD")
    edit(tree, "a.py", WINDOWS, b"mine\n")
    with pytest.raises(UsageError):
        tree.regen(new=("csrc/new/*", "csrc/extra.cuh"))
    tree.regen(layer="windows", new=("csrc/new/*", "csrc/extra.cuh"))
    all_give(tree, "a.py", WINDOWS, b"mine\n")


def test_without_the_tools_refs_the_index_says_which_layers_are_there(tree: Upstream) -> None:
    tree.apply("narrow")
    tree.git.out("update-ref", "-d", f"refs/worktree/winvllm/{TAG}/vllm")
    edit(tree, "a.py", WINDOWS, b"mine\n")
    with pytest.raises(UsageError, match=r"windows \+ narrow"):
        tree.regen()
    tree.regen(layer="narrow")
    all_give(tree, "a.py", WINDOWS, b"mine\n", only="narrow")


def test_after_taking_all_back_the_tree_is_the_required_layers(tree: Upstream) -> None:
    tree.apply("extra")
    tree.unapply()
    tree.write({name: content for name, content in expected().items() if BASE.get(name) != content})
    tree.write({"csrc/old.cu": None})
    edit(tree, "a.py", WINDOWS, b"mine\n")
    tree.regen(new=("csrc/new/*",))
    all_give(tree, "a.py", WINDOWS, b"mine\n")


def test_a_relock_takes_the_layers_as_they_are(tree: Upstream) -> None:
    file = tree.patch_file("a.py", "extra")
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    before = tree.patch_bytes()
    tree.relock()
    assert tree.patch_bytes() != before
    assert b"\r" not in file.read_bytes()
    below = tree.patch_file("a.py", "fast")
    below.write_bytes(below.read_bytes().replace(b"+line ten, fast", b"+line ten, fest"))
    before = tree.patch_bytes()
    with pytest.raises(PatchError, match="the layer fast do not fit"):
        tree.relock()
    assert tree.patch_bytes() == before


def test_too_many_combinations_are_refused(tree: Upstream) -> None:
    more = "".join(f"[layer.n{number}]\n" for number in range(3))
    tree.apply()
    tree.manifest(tree.commit, MANIFEST + more)
    before, files = tree.patch_bytes(), tree.content()
    with pytest.raises(PatchError, match="more than 64 ways"):
        tree.regen(layer="n1")
    with pytest.raises(PatchError, match="more than 64 ways"):
        tree.relock()
    unwritten(tree, before, files)


def test_the_other_kind_of_source_is_proven_with_every_layer(tree: Upstream) -> None:
    """A second tree, with one file more, in the same repository: its patched tree is locked too."""
    lock = tree.patches / TAG / "patchset.lock"
    tree.write({"more": b"of the archive\n"})
    other = tree.commit_all("archive")
    base = tree.git.tree_of(other)
    tree.git.out("update-ref", "HEAD", tree.commit)
    tree.write({"more": None})
    tree.git.out("read-tree", "HEAD")
    data = json.loads(lock.read_bytes())
    data["targets"]["vllm"]["trees"]["sdist"] = {"base": base, "patched": None}
    lock.write_bytes(json.dumps(data, sort_keys=True, indent=1).encode() + b"\n")
    tree.apply("narrow")
    edit(tree, "a.py", b"line 35\n", b"line 35, edited\n")
    tree.regen(layer="narrow")
    trees = json.loads(lock.read_bytes())["targets"]["vllm"]["trees"]
    assert trees["sdist"]["patched"] not in (None, trees["git"]["patched"])
    tree.unapply()
    tree.git.out("update-ref", "HEAD", other)
    tree.git.out("read-tree", "HEAD")
    tree.write({"more": b"of the archive\n"})
    for layers in SELECTIONS:
        tree.apply(*layers)
        wanted = {**expected(*layers), "more": b"of the archive\n"}
        if "narrow" in layers:
            wanted["a.py"] = wanted["a.py"].replace(b"line 35\n", b"line 35, edited\n")
        assert tree.content() == wanted


def test_a_check_writes_nothing(tree: Upstream) -> None:
    tree.apply("extra")
    edit(tree, "a.py", WINDOWS, b"mine\n")
    before = digest(tree.patches)
    for layer in ("windows", "fast", "extra"):
        with pytest.raises(FindingsError):
            tree.regen(layer=layer, check=True)
    assert digest(tree.patches) == before
    tree.regen(layer="extra")
    for layer in ("windows", "fast", "extra"):
        tree.regen(layer=layer, check=True)
