"""Any edit of any tree: regenerate, take back, apply: the same bytes, under a hostile configuration too."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.patch_upstream import Upstream
from winvllm_build.errors import TreeStateError
from winvllm_build.patchset.status import TreeState

NAMES = ("a.py", "b c/d e.txt", "src/\u00e9t\u00e9.cu", "src/k.cuh", "deep/er/x", "-dash", "[glob]!")
PIECES = (
    b"int a;\n", b"int b;\r\n", b"form\x0cfeed\n", b"lone\rreturn\n", b"line\xe2\x80\xa8separator\n", b"\n",
    b"\x85next\n", b" trailing \t\n", b"no end", b"\x00binary\xff\n", b"-- a/x\n", b"@@ -1 +1 @@\n",
    b"diff --git a/x b/x\n", b"\\ No newline at end of file\n", b"\xff\xfe\n", b"$Id$\n",
)  # fmt: skip
CONTENTS = st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)
TREES = st.dictionaries(st.sampled_from(NAMES), CONTENTS, min_size=1, max_size=4)
EDITS = st.dictionaries(st.sampled_from(NAMES), st.none() | CONTENTS, max_size=4)
EXECUTABLE = st.sets(st.sampled_from(NAMES), max_size=3)
SHARED = HealthCheck.function_scoped_fixture


def introduces_crlf(before: bytes, after: bytes) -> bool:
    return b"\r\n" not in before and b"\r\n" in after and b"\0" not in before + after


@settings(
    max_examples=25, deadline=None, suppress_health_check=[SHARED, HealthCheck.too_slow], derandomize=True
)
@given(tree=TREES, edits=EDITS, executable=EXECUTABLE)
@example(tree={"a.py": b""}, edits={"a.py": None, "-dash": b""}, executable=set())
@example(tree={"a.py": b"x\r\ny\n"}, edits={"a.py": b"x\ny\r\n"}, executable=set())
@example(
    tree={"b c/d e.txt": b"\x00a"}, edits={"b c/d e.txt": b"\x00b", "src/k.cuh": b"\x00"}, executable=set()
)
@example(tree={"a.py": b"x"}, edits={"a.py": b"x\n"}, executable={"a.py"})
@example(tree={"a.py": b""}, edits={"b c/d e.txt": b"int b;\r\n"}, executable=set())
@example(tree={"deep/er/x": b"x"}, edits={"deep/er/x": None, "a.py": b"x"}, executable=set())
def test_every_edit_survives(
    hostile_git: Path, tree: dict[str, bytes], edits: dict[str, bytes | None], executable: set[str]
) -> None:
    assert hostile_git.is_file()
    with tempfile.TemporaryDirectory(prefix="roundtrip-") as folder:
        upstream = Upstream.make(Path(folder), tree)
        upstream.write(
            {name: content for name, content in edits.items() if content is not None or name in tree}
        )
        for name in executable:
            if (upstream.folder / name).exists():
                (upstream.folder / name).chmod(0o755)
        wanted, modes = upstream.content(), executables(upstream)
        new = tuple(name for name in wanted if name not in tree)
        if any(introduces_crlf(tree.get(name, b""), content) for name, content in wanted.items()):
            with pytest.raises(TreeStateError, match="CRLF"):
                upstream.regen(new=new)
            return
        upstream.regen(new=new, allow_empty=True)
        assert all(b"\r\n" not in text.partition(b"\n\n")[0] for text in upstream.patch_bytes().values())
        if wanted == dict(sorted(tree.items())) and not modes:
            assert not list(upstream.patches.rglob("*.patch"))
            return
        there_and_back(upstream, tree, wanted, modes)


def there_and_back(
    upstream: Upstream, tree: dict[str, bytes], wanted: dict[str, bytes], modes: set[str]
) -> None:
    patches = upstream.patch_bytes()
    upstream.unapply()
    assert upstream.content() == dict(sorted(tree.items()))
    assert executables(upstream) == set()
    upstream.apply()
    assert upstream.content() == wanted
    assert executables(upstream) == modes
    assert upstream.status().state is TreeState.APPLIED
    upstream.regen(check=True)
    assert upstream.patch_bytes() == patches


def executables(upstream: Upstream) -> set[str]:
    return {name for name in upstream.content() if (upstream.folder / name).stat().st_mode & 0o100}
