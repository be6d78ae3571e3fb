"""What holds for a port of any patches to any tree, by real git and under a hostile configuration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests import named_blocks
from tests.hostile_trees import (
    CHAINS,
    EXECUTABLE,
    LINK,
    PAIRS,
    TRIPLES,
    UNRELATED,
    File,
    Tree,
    TreeStore,
    numbered,
    thorough,
)
from tests.named_blocks import Case
from tests.patch_upstream import HEADER
from winvllm_build.git import Git, Oid, RepoPath
from winvllm_build.patchset import header, patchfile, tree
from winvllm_build.patchset.manifest import DEFAULT_LAYER, Manifest
from winvllm_build.patchset.patchfile import PatchFile
from winvllm_build.patchset.patchset import Patch
from winvllm_build.patchset.worktree import scratch_of
from winvllm_build.port import regions
from winvllm_build.port.carry import Carried, Unit, carry
from winvllm_build.port.trees import Trees
from winvllm_build.port.units import LayerPort, carry_layers
from winvllm_build.port.verdict import Kind

FAITHFUL = (Kind.IDENTICAL, Kind.OFFSET, Kind.CONTEXT, Kind.MOVED, Kind.NEW_FILE)
"""The carried patch adds and removes the same lines as the old one."""
RULES = {b"=" * 40 + end for end in (b"\n", b"\r\n")}
"""The one mark that the trees have as a line of their own."""


LINES = numbered(11)


class Bench:
    """Trees as objects, and a git that compares them."""

    def __init__(self, store: TreeStore, git: Git) -> None:
        self.tree = store.tree
        self.objects = store.objects
        self.git = git

    def port(self, old: Oid, patched: Oid, new: Oid) -> Carried:
        """A port, with everything checked that holds for all of them."""
        made = carry(self.git, Unit(old_base=old, old_patched=patched, new_base=new))
        self.check(made, set(tree.difference(self.git, old, patched)), new)
        return made

    def check(self, made: Carried, patches: set[RepoPath], new: Oid) -> None:
        """One verdict for each patch; exports, sources and tree as the verdicts say; no marks anywhere."""
        carried = {path: v for path, v in made.verdicts.items() if v.kind.is_carried}
        assert patches == set(made.verdicts)
        assert sorted(made.diffs) == sorted(verdict.to or "" for verdict in carried.values())
        assert {made.sources[path] for path in made.diffs} == set(carried)
        assert all(verdict.evidence for verdict in made.verdicts.values())
        assert set(tree.difference(self.git, new, made.tree)) == set(made.diffs)
        assert tree.compute(self.git, new, made.diffs.values(), fix="") == made.tree
        assert tree.export(self.git, new, made.tree) == made.diffs
        for diff in made.diffs.values():
            added = {line[1:] + b"\n" for hunk in diff.hunks for line in hunk.lines if line[:1] == b"+"}
            assert not any(regions.marker(line) for line in added - RULES)


@pytest.fixture
def bench(tmp_path: Path, hostile_git: Path) -> Iterator[Bench]:
    assert hostile_git.is_file()
    store = TreeStore(tmp_path / "store")
    with scratch_of(store.objects) as git:
        yield Bench(store, git)


@thorough(20)
@given(files=PAIRS)
@example(files=({"a.py": File(b"x")}, {"a.py": File(b"x", EXECUTABLE)}))
@example(files=({"a.py": File(b"")}, {"-dash": File(b"")}))
def test_to_the_same_tag_and_to_the_patched_one(bench: Bench, files: tuple[Tree, Tree]) -> None:
    old, patched = map(bench.tree, files)
    patches = tree.export(bench.git, old, patched)
    assert tree.compute(bench.git, old, patches.values(), fix="") == patched
    same = bench.port(old, patched, old)
    assert {v.kind for v in same.verdicts.values()} <= {Kind.IDENTICAL, Kind.NEW_FILE}
    assert same.tree == patched
    assert same.diffs == patches
    gone = bench.port(old, patched, patched)
    assert {v.kind for v in gone.verdicts.values()} <= {Kind.UPSTREAMED}
    assert gone.tree == patched


@thorough(30)
@given(files=TRIPLES)
@example(files=({"a.py": File(b"")}, {"a.py": File(b"x\n", EXECUTABLE)}, {"a.py": File(b"", EXECUTABLE)}))
def test_forward_and_back_gives_the_original_bytes(bench: Bench, files: tuple[Tree, Tree, Tree]) -> None:
    """Of those patches that are carried both ways with all their lines."""
    old, patched, new = map(bench.tree, files)
    made = bench.port(old, patched, new)
    patches = tree.export(bench.git, old, patched)
    back = bench.port(new, made.tree, old)
    for path, verdict in made.verdicts.items():
        if verdict.to is None or verdict.kind not in FAITHFUL:
            continue
        again = back.verdicts[verdict.to]
        if again.kind in FAITHFUL and again.to == path:
            assert back.diffs[path] == patches[path]


MOVED_BY_THE_PATCHES = (
    {"a.py": File(LINES)},
    {"src/k.cuh": File(b"int a;\n" + LINES)},
)


@pytest.mark.parametrize(
    ("new", "kinds"),
    [
        ({"src/k.cuh": File(LINES)}, {"a.py": Kind.UPSTREAMED, "src/k.cuh": Kind.PARTLY_UPSTREAMED}),
        ({"a.py": File(LINES + b"end\n")}, {"a.py": Kind.MERGED, "src/k.cuh": Kind.MERGED}),
        ({"a.py": File(LINES)}, {"a.py": Kind.IDENTICAL, "src/k.cuh": Kind.NEW_FILE}),
    ],
    ids=["upstream moved it too", "upstream edited it", "upstream left it"],
)
def test_a_file_that_the_patches_move(bench: Bench, new: Tree, kinds: dict[str, Kind]) -> None:
    made = bench.port(*map(bench.tree, (*MOVED_BY_THE_PATCHES, new)))
    assert {path: verdict.kind for path, verdict in made.verdicts.items()} == kinds


def test_two_equal_files_of_which_upstream_moved_one(bench: Bench) -> None:
    """The other became a link: nothing is carried in the name of the wrong patch."""
    edited = File(b"x\n" + LINES)
    trees = (
        {"src/a.py": File(LINES), "[glob]!": File(LINES, EXECUTABLE)},
        {"src/a.py": edited, "[glob]!": File(edited.content, EXECUTABLE)},
        {"src/a.py": File(b"", LINK), "[glob]!.txt": File(LINES)},
    )
    made = bench.port(*map(bench.tree, trees))
    assert made.verdicts[RepoPath("src/a.py")].kind is Kind.CONFLICT
    assert made.verdicts[RepoPath("[glob]!")].kind in {Kind.MOVED, Kind.CONFLICT}


def test_conflicts_that_git_settled_are_none(bench: Bench) -> None:
    """Git tells of a folder in the way of a file that upstream moved into that folder, and exits 0."""
    trees = (
        {"a.py": File(b""), "k.cuh": File(b""), "b.py": File(LINES)},
        {"a.py": File(b""), "b.py": File(b"x\n" + LINES)},
        {"a.py/inside": File(b""), "k.cuh/inside": File(b""), "b.py": File(LINES)},
    )
    made = bench.port(*map(bench.tree, trees))
    assert made.verdicts[RepoPath("b.py")].kind is Kind.IDENTICAL


@thorough(20)
@given(files=UNRELATED)
def test_unrelated_edits_only_move_lines_and_files(bench: Bench, files: tuple[Tree, Tree, Tree]) -> None:
    old, patched, new = map(bench.tree, files)
    made = bench.port(old, patched, new)
    patches = tree.export(bench.git, old, patched)
    for path, verdict in made.verdicts.items():
        assert verdict.kind in {Kind.IDENTICAL, Kind.OFFSET, Kind.MOVED, Kind.NEW_FILE}, verdict
        assert verdict.to is not None
        assert made.diffs[verdict.to].change_id == patches[path].change_id
        if verdict.kind is not Kind.MOVED:
            assert verdict.to == path


@thorough(20)
@given(files=CHAINS)
def test_by_way_of_another_tag(bench: Bench, files: tuple[Tree, Tree, Tree, Tree]) -> None:
    """Step by step or at once: the same, where no step needs a human or changes the patch."""
    old, patched, middle, new = map(bench.tree, files)
    once = bench.port(old, patched, new)
    first = bench.port(old, patched, middle)
    second = bench.port(middle, first.tree, new)
    for path, verdict in once.verdicts.items():
        by_way = first.verdicts[path]
        if by_way.to is None or by_way.to not in second.verdicts:
            continue
        last = second.verdicts[by_way.to]
        if {verdict.kind, by_way.kind, last.kind} <= set(FAITHFUL) and verdict.to == last.to is not None:
            assert once.diffs[last.to] == second.diffs[last.to]


@thorough(10)
@given(files=TRIPLES, choice=st.data())
def test_the_order_of_the_patches_means_nothing(
    bench: Bench, files: tuple[Tree, Tree, Tree], choice: st.DataObject
) -> None:
    old, patched, new = map(bench.tree, files)
    patches = patches_of(bench, old, patched)
    shuffled = choice.draw(st.permutations(patches))
    ports = [layers(bench, found, old, new) for found in (patches, shuffled)]
    results = [[(made.carried.tree, made.carried.verdicts, made.files) for made in port] for port in ports]
    assert results[0] == results[1]


@thorough(15)
@given(cases=st.lists(named_blocks.cases(), min_size=1, max_size=12))
def test_no_clean_verdict_is_wrong(bench: Bench, cases: list[Case]) -> None:
    """A patch stays in the function it was made for, or a human is asked."""
    files = {f"f{number}.{case.suffix}": case for number, case in enumerate(cases)}
    old, patched, new = (
        bench.tree({name: File(getattr(case, side)) for name, case in files.items()})
        for side in ("old", "patched", "new")
    )
    made = bench.port(old, patched, new)
    places = bench.git.entries(made.tree)
    blobs = tree.contents(bench.git, [entry.oid for entry in places.values()])
    for path, verdict in made.verdicts.items():
        if not verdict.kind.is_open:
            assert blobs[places[path].oid] == files[path].truth, verdict


def patches_of(bench: Bench, old: Oid, patched: Oid) -> list[Patch]:
    steps = tree.difference(bench.git, old, patched)
    return [
        Patch(
            layer=DEFAULT_LAYER.name, target="vllm", file=Path(), pre=steps[path].pre, post=steps[path].post,
            content=round_trip(
                PatchFile(header=header.parse(HEADER.format(path="x").encode(), where=path), diff=diff)
            ),
        )
        for path, diff in tree.export(bench.git, old, patched).items()
    ]  # fmt: skip


def round_trip(file: PatchFile) -> PatchFile:
    """As it is read back from its bytes."""
    again = patchfile.parse(file.serialise(), path=file.diff.path, where=file.diff.path)
    assert again.serialise() == file.serialise()
    return again


def layers(bench: Bench, patches: Sequence[Patch], old: Oid, new: Oid) -> list[LayerPort]:
    rules = Manifest(expect={}, topics=(), layers=(DEFAULT_LAYER,))
    trees = Trees(target="vllm", repository=bench.objects.parent, old=old, new=new, commit=new, kind="git")
    return list(carry_layers(bench.git, patches, rules, trees))
