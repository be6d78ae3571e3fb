"""Any edit of any tree, written by git in any shape: `import` gives it back, or refuses it; never another."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from tests.hostile_trees import thorough
from tests.import_cases import Elsewhere, without_ids
from tests.patch_upstream import TAG, Upstream, nothing
from winvllm_build.errors import PatchError
from winvllm_build.review.arrival import PatchFiles
from winvllm_build.review.import_verdict import Verdict
from winvllm_build.review.importing import ImportResult, Origin, Request, import_changes

NAMES = ("a.py", "b c/d e.txt", "src/\u00e9t\u00e9.cu", "src/k.cuh", "deep/er/x", "-dash")
PIECES = (
    b"int a;\n", b"int b;\r\n", b"form\x0cfeed\n", b"lone\rreturn\n", b"line\xe2\x80\xa8separator\n", b"\n",
    b"\x85next\n", b" trailing \t\n", b"no end", b"\x00binary\xff\n", b"-- a/x\n", b"++ b/x\n",
    b"@@ -1 +1 @@\n",
    b"diff --git a/x b/x\n", b"\\ No newline at end of file\n", b"-- \n", b"2.39.5\n", b"From x\n",
)  # fmt: skip
CONTENTS = st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)
TREES = st.dictionaries(st.sampled_from(NAMES), CONTENTS, min_size=1, max_size=4)
EDITS = st.dictionaries(st.sampled_from(NAMES), st.none() | CONTENTS, min_size=1, max_size=4)
SHAPES = st.sampled_from(
    ("--binary", "--binary --full-index", "-U0", "-U1", "-M --binary", "--no-prefix", "")
)
MUTATIONS = st.sampled_from(("none", "no ids", "CRLF", "cut", "UTF-16"))


def mutated(patch: bytes, how: str) -> bytes:
    match how:
        case "no ids":
            return without_ids(patch)
        case "CRLF":
            return patch.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        case "cut":
            return patch[: len(patch) * 2 // 3]
        case "UTF-16":
            return patch.decode("latin-1").encode("utf-16") if patch.isascii() else patch
        case _:
            return patch


def imported(upstream: Upstream, patch: bytes) -> ImportResult:
    request = Request(
        root=upstream.patches, tag=TAG, partial=True, origin=Origin(tree=upstream.folder), command="import"
    )
    return import_changes(request, PatchFiles(files=[("some.patch", patch)]), on_event=nothing)


@thorough(30)
@given(tree=TREES, edits=EDITS, shape=SHAPES, how=MUTATIONS)
@example(tree={"a.py": b"-- a/x\n++ b/x\n@@ -1 +1 @@\n"}, edits={"a.py": b""}, shape="", how="none")
@example(tree={"a.py": b"-- \n2.39.5\n"}, edits={"a.py": b"int a;\n"}, shape="-U0", how="no ids")
@example(tree={"a.py": b"x\n" * 9}, edits={"a.py": b"x\n" * 10}, shape="", how="no ids")
@example(tree={"a.py": b"int b;\r\n"}, edits={"a.py": b"int b;\r\nint b;\r\n"}, shape="", how="CRLF")
def test_the_edit_comes_back_or_is_refused(
    tree: dict[str, bytes], edits: dict[str, bytes | None], shape: str, how: str
) -> None:
    with tempfile.TemporaryDirectory(prefix="any-edit-") as folder:
        upstream = Upstream.make(Path(folder), tree)
        known = {name: content for name, content in edits.items() if content is not None or name in tree}
        patch = Elsewhere(upstream, Path(folder) / "elsewhere").diff(known, *shape.split())
        try:
            result = imported(upstream, mutated(patch, how))
        except PatchError:
            assert how == "cut" or not patch
            return
        failed = {one.path for one in result.failed}
        if how == "none" and "--binary" in shape:
            assert not failed - brings_crlf(tree, known), result.failed
        wanted = {name: content for name, content in {**tree, **known}.items() if content is not None}
        if result.written is not None:
            upstream.apply()
        there = upstream.content()
        judged = {one.path for one in result.verdicts if one.verdict is not Verdict.FAILED}
        for name in judged:
            assert there.get(name) in readings(wanted.get(name)), (name, result.verdicts)
        for name in {*tree, *there} - judged:
            assert there.get(name) == tree.get(name), (name, result.verdicts)


def brings_crlf(tree: dict[str, bytes], edits: dict[str, bytes | None]) -> set[str]:
    return {
        name
        for name, content in edits.items()
        if b"\r\n" in (content or b"") and b"\r\n" not in tree.get(name, b"")
    }


def readings(content: bytes | None) -> tuple[bytes | None, ...]:
    """What a content may become where the patch cannot say how its lines end."""
    return (content,) if content is None else (content, content.replace(b"\r\n", b"\n"))
