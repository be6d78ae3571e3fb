"""What was seen of patched files: bound to the content that was seen, and current."""

from __future__ import annotations

from pathlib import Path

import pytest

from winvllm_build.data import patches_root
from winvllm_build.errors import PatchError
from winvllm_build.git import Oid, RepoPath
from winvllm_build.patchset.patchset import load, tags
from winvllm_build.review.evidence import FILE, Evidence, Seen, Way, read, write

A, B = RepoPath("a.py"), RepoPath("csrc/b.cu")
ONE, TWO = Oid("1" * 40), Oid("2" * 40)


def seen(way: Way, by: str = "nvcc", **files: Oid) -> Seen:
    return Seen(way=way, by=by, files={{"a": A, "b": B}[name]: oid for name, oid in files.items()})


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    made = Evidence().with_seen(seen(Way.EXECUTED, a=ONE)).with_seen(seen(Way.COMPILED, b=TWO))
    write(tmp_path, made)
    again = read(tmp_path)
    assert again.seen == (seen(Way.COMPILED, b=TWO), seen(Way.EXECUTED, a=ONE))
    assert again.serialise() == (tmp_path / FILE).read_bytes()
    assert read(tmp_path / "none") == Evidence()


def test_what_was_seen_of_another_content_does_not_count() -> None:
    made = Evidence().with_seen(seen(Way.COMPILED, a=ONE, b=ONE))
    assert made.of(A, ONE) == made.seen
    assert made.of(A, TWO) == ()
    assert made.current({A: ONE, B: TWO}).seen == (seen(Way.COMPILED, a=ONE),)
    assert made.current({}).seen == ()


def test_the_same_way_by_the_same_programs_is_one_occasion() -> None:
    made = Evidence().with_seen(seen(Way.COMPILED, a=ONE)).with_seen(seen(Way.COMPILED, a=TWO, b=ONE))
    assert made.seen == (seen(Way.COMPILED, a=TWO, b=ONE),)
    assert len(made.with_seen(seen(Way.COMPILED, "gcc", a=TWO)).seen) == 2


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"seen": [{}]}', '{"seen": [{"way": "dreamt", "by": "", "files": {}}]}',
             '{"seen": [{"way": "compiled", "by": "", "files": []}]}'],
)  # fmt: skip
def test_a_damaged_file_is_told_with_its_repair(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    with pytest.raises(PatchError, match="is damaged") as caught:
        read(tmp_path)
    assert "git checkout" in (caught.value.fix or "")


def test_the_shipped_evidence_is_of_the_shipped_patches() -> None:
    for tag in tags(patches_root()):
        patches = load(patches_root(), tag)
        posts = {patch.path: patch.post for patch in patches.patches if patch.layer == patches.layers[0].name}
        found = read(patches.folder)
        assert found == found.current(posts), f"{tag}: evidence of content that no patch makes any more"
