"""A small patch set written by hand: no git, every byte as a test wants it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from winvllm_build.errors import PatchError
from winvllm_build.git import NO_OBJECT, Oid, RepoPath
from winvllm_build.patchset.blob import blob_id
from winvllm_build.patchset.lock import Lock, PatchLock, TargetLock, TreePair
from winvllm_build.patchset.patchfile import parse

TAG = "v1.2.3"
COMMIT = Oid("c" * 40)
TREES = {"git": TreePair(base=Oid("1" * 40), patched=Oid("2" * 40))}
PIN = f'[upstream]\nurl = "https://example.invalid/u"\ntag = "{TAG}"\ncommit = "{COMMIT}"\n'
MANIFEST = f'schema = 1\n{PIN}[topic.msvc]\ntitle = "MSVC"\n'
HAZARDS = '[D1]\nwhat = "one"\nstate = "patched"\n\n[D2]\nwhat = "two"\nstate = "absent"\n'
HEADER = {
    "Subject": "Change it",
    "Topic": "msvc",
    "Description": "For the tests.",
    "Hazards": "D1",
    "Guard": "guarded",
    "Upstream-Status": "Inappropriate [a test]",
    "Since": TAG,
}
OLD = b"".join(b"    line %d;\n" % number for number in range(9))
NEW = OLD.replace(b"line 4", b"line four")

Key = tuple[str, str]
"""Layer and path."""


def diff_text(path: str, old: bytes | None, new: bytes | None) -> bytes:
    """One whole-file hunk, as git would write it; every line has to have an end."""
    before, after = (old or b"").splitlines(keepends=True), (new or b"").splitlines(keepends=True)
    ids = [NO_OBJECT if side is None else blob_id(side) for side in (old, new)]
    mode = " 100644" if old is not None and new is not None else ""
    kinds = {"new": old is None, "deleted": new is None}
    extra = "".join(f"{kind} file mode 100644\n" for kind, wanted in kinds.items() if wanted)
    names = [f"--- a/{path}" if old is not None else "--- /dev/null"]
    names += [f"+++ b/{path}" if new is not None else "+++ /dev/null"]
    ranges = [f"{int(bool(lines))},{len(lines)}" for lines in (before, after)]
    head = f"diff --git a/{path} b/{path}\n{extra}index {ids[0]}..{ids[1]}{mode}\n" + "\n".join(names)
    body = b""
    matcher = difflib.SequenceMatcher(a=before, b=after, autojunk=False)
    for kind, a1, a2, b1, b2 in matcher.get_opcodes():
        if kind == "equal":
            body += b"".join(b" " + line for line in before[a1:a2])
            continue
        body += b"".join(b"-" + line for line in before[a1:a2])
        body += b"".join(b"+" + line for line in after[b1:b2])
    return f"{head}\n@@ -{ranges[0]} +{ranges[1]} @@\n".encode() + body


def header_text(**fields: str | None) -> bytes:
    """The header of the set with some fields replaced, added (`_` for `-`) or, where None, left out."""
    merged: dict[str, str | None] = {**HEADER, **{name.replace("_", "-"): v for name, v in fields.items()}}
    return "".join(f"{name}: {value}\n" for name, value in merged.items() if value is not None).encode()


def patch_bytes(path: str, old: bytes | None, new: bytes | None, **fields: str | None) -> bytes:
    return header_text(**fields) + b"\n" + diff_text(path, old, new)


@dataclass
class HandMade:
    """A set of two patches: `csrc/a.cu` is changed, `csrc/n.cuh` is new."""

    root: Path
    patches: dict[Key, bytes] = field(default_factory=dict)
    locked: dict[Key, PatchLock] = field(default_factory=dict)

    @classmethod
    def make(cls, root: Path) -> HandMade:
        made = cls(root=root)
        made.put("csrc/a.cu", patch_bytes("csrc/a.cu", OLD, NEW))
        made.put("csrc/n.cuh", patch_bytes("csrc/n.cuh", None, b"int n;\n", Guard="new file - a test"))
        made.write("patchset.toml", MANIFEST)
        made.write("hazards.toml", HAZARDS)
        made.relock()
        return made

    @property
    def folder(self) -> Path:
        return self.root / TAG

    def write(self, name: str, text: str | bytes) -> Path:
        """A file of the set; folders are made."""
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    def file(self, path: str, layer: str = "windows") -> Path:
        return self.folder / layer / "vllm" / f"{path}.patch"

    def put(self, path: str, content: bytes, *, layer: str = "windows") -> None:
        """Write a patch file; it is locked as well if it is well formed."""
        self.patches[layer, path] = content
        self.write(f"{layer}/vllm/{path}.patch", content)
        try:
            diff = parse(content, path=path, where=path).diff
        except PatchError:
            return
        pre, post = diff.pre or NO_OBJECT, diff.post or NO_OBJECT
        self.locked[layer, path] = PatchLock.of(layer, diff, pre=pre, post=post)

    def change(self, old: bytes, new: bytes, *, path: str = "csrc/a.cu", relock: bool = True) -> None:
        """Replace bytes of a patch file."""
        content = self.patches["windows", path]
        assert old in content
        self.put(path, content.replace(old, new))
        if relock:
            self.relock()

    def patch(
        self, old: bytes | None, new: bytes | None, *, path: str = "csrc/a.cu", layer: str = "windows",
        **fields: str | None,
    ) -> None:  # fmt: skip
        """Write a well-formed patch and lock it."""
        self.put(path, patch_bytes(path, old, new, **fields), layer=layer)
        self.relock()

    def head(self, **fields: str | None) -> None:
        """The header of `csrc/a.cu`, some fields replaced."""
        self.patch(OLD, NEW, path="csrc/a.cu", layer="windows", **fields)

    def relock(self, *, commit: Oid = COMMIT) -> None:
        self.write("patchset.lock", lock_of(self.locked, commit).serialise())


def lock_of(locked: Mapping[Key, PatchLock], commit: Oid) -> Lock:
    layers: dict[str, dict[RepoPath, PatchLock]] = {}
    for (layer, path), entry in locked.items():
        layers.setdefault(layer, {})[RepoPath(path)] = entry
    required = layers.pop("windows", {})
    return Lock(targets={"vllm": TargetLock(commit=commit, trees=TREES, patches=required, optional=layers)})
