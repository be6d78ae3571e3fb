"""Trees and edits that break patch tools, for hypothesis, and a store that has them as git objects."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from winvllm_build.git import Oid

PLAIN, EXECUTABLE, LINK = "100644", "100755", "120000"
NAMES = (
    "a.py", "src/k.cuh", "b c/d e.txt", "src/\u00e9t\u00e9.cu", "deep/er/still/x", "-dash", "[glob]!",
    "CMakeLists.txt", "requirements/cuda.txt", "\u65e5\u672c/m.py",
)  # fmt: skip
PIECES = (
    b"int a;\n", b"int b;\r\n", b"form\x0cfeed\n", b"lone\rreturn\n", b"line\xe2\x80\xa8separator\n", b"\n",
    b"\x85next\n", b" trailing \t\n", b"no end", b"\x00binary\xff\n", b"-- a/x\n", b"@@ -1 +1 @@\n",
    b"diff --git a/x b/x\n", b"\\ No newline at end of file\n", b"\xff\xfe\n", b"$Id$\n", b"\r\n", b"}\n",
    b"=======\n", b"<<<<<<< a\n", b"=" * 40 + b"\n", b"long " * 2000 + b"\n",
)  # fmt: skip
CODE = (b"    step(x)\n", b"    check(x)\n", b"    if x:\n", b"    return x\n", b"\n", b"def f(x):\n", b"}\n")
"""Lines that come again and again."""


class File(NamedTuple):
    """One file of a tree; a link's content is where it leads."""

    content: bytes
    mode: str = PLAIN


Tree = Mapping[str, File]
"""Files by path."""


def thorough(count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """How many examples a property gets; HYPOTHESIS_PROFILE=long gives it many more, others each time."""
    long = os.environ.get("HYPOTHESIS_PROFILE") == "long"
    return settings(
        max_examples=count * 40 if long else count, derandomize=not long, deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much,
                               HealthCheck.function_scoped_fixture],
    )  # fmt: skip


class TreeStore:
    """A bare repository whose objects are written without git, so that a tree costs no process."""

    def __init__(self, folder: Path) -> None:
        self.objects = folder / "objects"
        for part in ("objects/info", "refs"):
            (folder / part).mkdir(parents=True)
        (folder / "HEAD").write_bytes(b"ref: refs/heads/none\n")
        (folder / "config").write_bytes(b"[core]\n\trepositoryformatversion = 0\n\tbare = true\n")

    def tree(self, files: Tree) -> Oid:
        parts = [(name.encode().split(b"/"), file) for name, file in files.items()]
        return Oid(self._folder(parts))

    def _folder(self, files: Sequence[tuple[list[bytes], File]]) -> str:
        here: dict[bytes, tuple[str, str]] = {}
        below: dict[bytes, list[tuple[list[bytes], File]]] = {}
        for (first, *rest), file in files:
            if rest:
                below.setdefault(first, []).append((rest, file))
            else:
                here[first] = file.mode, self._object(b"blob", file.content)
        here |= {name: ("40000", self._folder(inner)) for name, inner in below.items()}
        order = sorted(here, key=lambda name: name + b"/" if name in below else name)
        rows = [b"%b %b\0%b" % (here[name][0].encode(), name, bytes.fromhex(here[name][1])) for name in order]
        return self._object(b"tree", b"".join(rows))

    def _object(self, kind: bytes, content: bytes) -> str:
        whole = b"%b %d\0%b" % (kind, len(content), content)
        oid = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
        file = self.objects / oid[:2] / oid[2:]
        if not file.exists():
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(zlib.compress(whole, 1))
        return oid


def numbered(count: int, *, name: str = "line", end: str = "\n") -> bytes:
    """Lines that each occur once."""
    return "".join(f"{name} {n} of {count}{end}" for n in range(count)).encode()


HOSTILE = st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)
REPETITIVE = st.lists(st.sampled_from(CODE), min_size=3, max_size=30).map(b"".join)
NUMBERED = st.builds(numbered, st.integers(5, 40), end=st.sampled_from(["\n", "\n", "\r\n"]))
CONTENTS = HOSTILE | REPETITIVE | NUMBERED
MODES = st.sampled_from([PLAIN, PLAIN, PLAIN, EXECUTABLE])
FILES = st.builds(File, CONTENTS, MODES)
TREES = st.dictionaries(st.sampled_from(NAMES), FILES, min_size=1, max_size=4)


@st.composite
def edited_contents(draw: st.DrawFn, content: bytes) -> bytes:
    """One to three edits: lines put in, replaced, taken out, doubled, moved, with another end."""
    lines = content.split(b"\n")
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines)))
        end = min(len(lines), at + draw(st.integers(0, 3)))
        block = lines[at:end]
        match draw(st.sampled_from(["put", "put", "replace", "take", "double", "move", "return"])):
            case "put":
                lines[at:at] = draw(st.sampled_from(PIECES + CODE)).split(b"\n")[:1]
            case "replace":
                lines[at:end] = [line + b" edited" for line in block]
            case "take":
                del lines[at:end]
            case "double":
                lines[at:at] = block
            case "move":
                del lines[at:end]
                to = draw(st.integers(0, len(lines)))
                lines[to:to] = block
            case _:
                lines[at:end] = [
                    line.removesuffix(b"\r") + b"\r" * (not line.endswith(b"\r")) for line in block
                ]
    return b"\n".join(lines)


@st.composite
def edited(draw: st.DrawFn, tree: Tree, *, upstream: bool = False) -> dict[str, File]:
    """Another tree, one to four edits away: contents, modes, deleted, added and moved files.

    Args:
        draw: hypothesis's own.
        tree: the tree to edit.
        upstream: also what no patch may do: links, and a folder in the place of a file.
    """
    made = dict(tree)
    ways = ["edit", "edit", "edit", "mode", "delete", "add", "move"]
    for _ in range(draw(st.integers(1, 4))):
        way = draw(st.sampled_from(ways + ["link", "folder"] * upstream))
        name = draw(st.sampled_from(sorted(made) or list(NAMES)))
        file = made.get(name, File(b""))
        match way:
            case "edit" if name in made:
                made[name] = file._replace(content=draw(edited_contents(file.content)))
            case "mode" if name in made:
                made[name] = file._replace(mode=PLAIN if file.mode == EXECUTABLE else EXECUTABLE)
            case "delete":
                made.pop(name, None)
            case "move" if name in made:
                del made[name]
                _put(made, draw(st.sampled_from([*NAMES, f"moved/{name}", f"{name}.txt"])), file)
            case "link" if name in made:
                made[name] = File(b"elsewhere", LINK)
            case "folder" if name in made:
                del made[name]
                made[f"{name}/inside"] = file
            case _:
                _put(made, draw(st.sampled_from(NAMES)), draw(FILES))
    return made


def _put(tree: dict[str, File], name: str, file: File) -> None:
    """`file` at `name`, if neither a file nor a folder is in the way."""
    taken = {part for known in tree for part in (known, *_folders(known))}
    if name not in taken and not tree.keys() & set(_folders(name)):
        tree[name] = file


def _folders(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


@st.composite
def unrelated(draw: st.DrawFn) -> tuple[Tree, Tree, Tree]:
    """A tree, its patches, and a tree whose edits are elsewhere: other lines, other files, other places."""
    old: dict[str, File] = {}
    patched: dict[str, File] = {}
    new: dict[str, File] = {}
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True)):
        lines = numbered(60, name=name, end=draw(st.sampled_from(["\n", "\r\n"]))).splitlines(keepends=True)
        above, inside, below = lines[:20], lines[20:40], lines[40:]
        core = [*inside[:8], *draw(_few(inside[8:12], b"patch")), *inside[12:]]
        here, there = (
            draw(_few(above[:10], b"above")) + above[10:],
            below[:10] + draw(_few(below[10:], b"below")),
        )
        old[name] = File(b"".join(lines))
        patched[name] = File(b"".join([*above, *core, *below]))
        moved = draw(st.sampled_from([name, name, f"moved/{name}"]))
        new[moved] = File(b"".join([*here, *inside, *there]))
    _put(patched, "csrc/added.cu", draw(FILES))
    _put(new, "csrc/unrelated.cu", draw(FILES))
    return old, patched, new


@st.composite
def _few(draw: st.DrawFn, lines: Sequence[bytes], word: bytes) -> list[bytes]:
    """The lines with one of them put in, replaced or taken out; or as they are."""
    at = draw(st.integers(0, len(lines) - 1))
    made = list(lines)
    match draw(st.sampled_from(["put", "replace", "take", "keep"])):
        case "put":
            made[at:at] = [b"put in by %b\n" % word] * draw(st.integers(1, 3))
        case "replace":
            made[at] = b"replaced by %b\n" % word
        case "take":
            del made[at]
        case _:
            pass
    return made


PAIRS = TREES.flatmap(lambda files: st.tuples(st.just(files), edited(files)))
"""A tree and its patched state."""
TRIPLES = TREES.flatmap(lambda files: st.tuples(st.just(files), edited(files), edited(files, upstream=True)))
"""A tree, its patched state, and another upstream."""
CHAINS = TRIPLES.flatmap(lambda files: st.tuples(*map(st.just, files), edited(files[2], upstream=True)))
"""The same, and an upstream after that."""
UNRELATED = unrelated()
