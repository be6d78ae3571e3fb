"""The patched tree, computed and proven in objects before any file is touched."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from winvllm_build.errors import PatchError, TreeStateError
from winvllm_build.git import NO_OBJECT, Git, GitError, Oid, RepoPath
from winvllm_build.patchset.diff import Diff, parse

EXPORT: Final = (
    "diff-tree", "-r", "-p", "--full-index", "--binary", "--no-renames", "--no-ext-diff", "--no-textconv",
    "--no-color", "--src-prefix=a/", "--dst-prefix=b/", "-U3", "--inter-hunk-context=0",
    "--diff-algorithm=histogram", "--indent-heuristic", "-O/dev/null",
)  # fmt: skip
"""Every setting that could change a byte of the diff, pinned."""
RAW: Final = ("diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev")
PART: Final = re.compile(rb"^(?=diff --git )", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One file's step from a tree to another: ids (`NO_OBJECT` for none) and modes on both sides."""

    pre: Oid
    post: Oid
    modes: tuple[str, str]


def compute(git: Git, base: Oid, diffs: Iterable[Diff], *, fix: str) -> Oid:
    """The tree that `diffs` make of `base`; one `git apply`, so all of them or none.

    Args:
        git: where the objects are.
        base: the tree to start from.
        diffs: one per file.
        fix: what to do when git refuses.

    Raises:
        PatchError: git refuses; its own words are kept.
    """
    texts = b"".join(diff.text for diff in diffs)
    if not texts:
        return base
    with git.temporary_index(base) as index:
        try:
            git.out("apply", "--cached", "--whitespace=nowarn", "-", stdin=texts, index=index)
        except GitError as error:
            words = error.stderr.decode("utf-8", "replace").strip()
            raise PatchError(f"git cannot apply the patches to the tree {base}:\n{words}", fix=fix) from error
        return Oid(git.line("write-tree", index=index))


def difference(git: Git, old: Oid, new: Oid) -> dict[RepoPath, Entry]:
    """Every file that differs between two trees."""
    fields = git.out(*RAW, old, new).split(b"\0")[:-1]
    found: dict[RepoPath, Entry] = {}
    for meta, name in zip(fields[0::2], fields[1::2], strict=True):
        before, after, pre, post, _ = meta.decode("ascii").removeprefix(":").split()
        path = RepoPath(name.decode("utf-8", "surrogateescape"))
        found[path] = Entry(pre=Oid(pre), post=Oid(post), modes=(before, after))
    return found


def prove(
    expected: Mapping[RepoPath, Entry], actual: Mapping[RepoPath, Entry], *, what: str, fix: str
) -> None:
    """Refuse unless exactly the expected files changed, between exactly the expected contents.

    Raises:
        PatchError: they did not; each file is named.
    """
    faults: list[str] = []
    for path in sorted({*expected, *actual}):
        wanted, made = expected.get(path), actual.get(path)
        if wanted == made:
            continue
        if wanted is None:
            faults.append(f"{path}: changed without a patch")
        elif made is None:
            faults.append(f"{path}: its patch changes nothing")
        elif wanted.pre != made.pre:
            faults.append(f"{path}: the patch is for {_named(wanted.pre)}, the tree has {_named(made.pre)}")
        elif wanted.post != made.post:
            faults.append(f"{path}: the result is {_named(made.post)}, not {_named(wanted.post)}")
        else:
            faults.append(f"{path}: the mode becomes {made.modes[1]}, not {wanted.modes[1]}")
    if faults:
        raise PatchError(f"{what}:\n" + "\n".join(f"  {fault}" for fault in faults), fix=fix)


def export(
    git: Git, base: Oid, tree: Oid, *, steps: Mapping[RepoPath, Entry] | None = None
) -> dict[RepoPath, Diff]:
    """The diff of each file between two trees, in canonical bytes.

    Args:
        git: where the objects are.
        base: the tree before.
        tree: the tree after.
        steps: their `difference`, where it is known.

    Raises:
        PatchError: a path or mode that no patch may have.
        TreeStateError: a file became a link, a folder or a submodule.
    """
    raw = difference(git, base, tree) if steps is None else steps
    for path, entry in raw.items():
        kinds = {mode[:3] for mode in entry.modes if mode != "000000"}
        if kinds != {"100"}:
            raise TreeStateError(
                f"{path} is or becomes something else than a regular file (modes {' -> '.join(entry.modes)})",
                fix=f"make {path} a regular file again",
            )
    parts = PART.split(git.out(*EXPORT, base, tree))[1:]
    made = {
        path: parse(part, path=path, where=f"diff of {path}") for path, part in zip(raw, parts, strict=True)
    }
    return {path: made[path] for path in sorted(made)}


def contents(git: Git, oids: Iterable[Oid]) -> dict[Oid, bytes]:
    """Blobs by id, read by one git process; ids that are not there are left out."""
    wanted = sorted({oid for oid in oids if oid != NO_OBJECT})
    if not wanted:
        return {}
    out = git.out(
        "cat-file", "--batch", "--buffer", stdin="".join(f"{oid}\n" for oid in wanted).encode("ascii")
    )
    found: dict[Oid, bytes] = {}
    at = 0
    for oid in wanted:
        end = out.index(b"\n", at)
        head = out[at:end].split()
        at = end + 1
        if head[1] != b"missing":
            size = int(head[2])
            found[oid] = out[at : at + size]
            at += size + 1
    return found


class Blobs:
    """Contents by id, each read once."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._known: dict[Oid, bytes] = {}

    def of(self, oids: Iterable[Oid]) -> Mapping[Oid, bytes]:
        """These, and all that were read before."""
        self._known |= contents(self._git, {*oids} - self._known.keys())
        return self._known


def write_blobs(git: Git, texts: Sequence[bytes]) -> list[Oid]:
    """The ids of new blobs, in order, written by one git process."""
    if not texts:
        return []
    with tempfile.TemporaryDirectory(prefix="winvllm-blobs-") as name:
        files = [Path(name, str(number)) for number in range(len(texts))]
        for file, text in zip(files, texts, strict=True):
            file.write_bytes(text)
        listed = "".join(f"{file}\n" for file in files).encode("utf-8", "surrogateescape")
        made = git.out("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=listed)
    return [Oid(line) for line in made.decode("ascii").split()]


def entry_of(diff: Diff, pre: Oid, post: Oid) -> Entry:
    """What `diff` promises; where git names no blob (a change of mode alone) the given ids stand."""
    return Entry(pre=diff.pre or pre, post=diff.post or post, modes=diff.modes)


def _named(oid: Oid) -> str:
    return "no file" if oid == NO_OBJECT else f"blob {oid[:12]}"
