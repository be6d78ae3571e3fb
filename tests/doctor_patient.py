"""A patch set under version control with its source in the tool's repository, and ways to damage each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.patch_upstream import EDITED, TAG, Upstream, digest, nothing
from winvllm_build.choices import SourceKind
from winvllm_build.git import Git
from winvllm_build.review.diagnosis import Diagnosis, Part
from winvllm_build.review.doctor import examine
from winvllm_build.sources.pins import read_pins
from winvllm_build.sources.source import acquire
from winvllm_build.workspace import Workspace

Damage = Callable[["Patient"], None]
PATCH, LOCK, MANIFEST = "windows/vllm/a.py.patch", "patchset.lock", "patchset.toml"


class Patient:
    """A patch set under version control, its source in the tool's own repository."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.folder = upstream.patches / TAG
        self.workspace = Workspace.default()
        upstream.git.out("update-ref", f"refs/tags/{TAG}", upstream.commit)
        self.edit(MANIFEST, b"https://example.invalid/u", upstream.folder.as_uri().encode())
        self.keep()

    @property
    def repository(self) -> Path:
        return self.workspace.sources / "tree" / "repo.git"

    def keep(self) -> None:
        """Commit the set, so that what is damaged can be taken back."""
        git = Git(self.upstream.patches)
        git.out("init", "-q", "--template=")
        git.out("add", "-A")
        git.out("commit", "-q", "-m", "the set")

    def acquire(self) -> None:
        """Have the source in the tool's repository."""
        acquire(
            read_pins(self.folder / MANIFEST).upstream, kind=SourceKind.GIT, location=None,
            workspace=self.workspace, offline=False, on_event=nothing,
        )  # fmt: skip

    def edit(self, name: str, old: bytes, new: bytes) -> None:
        file = self.folder / name
        content = file.read_bytes()
        assert old in content
        file.write_bytes(content.replace(old, new, 1))

    def lock(self, change: Callable[[dict[str, Any]], object]) -> None:
        """Change the data of the lock's only target."""
        file = self.folder / LOCK
        data = json.loads(file.read_bytes())
        change(data["targets"]["vllm"])
        file.write_text(json.dumps(data), encoding="utf-8")

    def examine(self, **options: Any) -> Diagnosis:  # noqa: ANN401 - handed through
        """Look, and make sure that looking changes nothing."""
        places = (self.upstream.patches, self.upstream.folder, self.workspace.root)
        before = [state_of(place) for place in places]
        found = examine(self.upstream.patches, TAG, workspace=self.workspace, **options)
        assert [state_of(place) for place in places] == before
        return found


def state_of(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file and its time; git sets the time of an object that it would have written."""
    found = digest(folder)
    return {name: (told[0], 0) if "objects/" in name else told for name, told in found.items()}


def flipped(text: str) -> str:
    """Another digit at the end."""
    return text[:-1] + ("0" if text[-1] != "0" else "1")


def edited(old: bytes, new: bytes, name: str = PATCH) -> Damage:
    return lambda patient: patient.edit(name, old, new)


def entry(key: str, path: str = "a.py") -> Damage:
    """Another digit in a fact of the lock."""

    def damage(patient: Patient) -> None:
        patient.lock(lambda data: data["patches"][path].update({key: flipped(data["patches"][path][key])}))

    return damage


def tree(key: str) -> Damage:
    return lambda patient: patient.lock(
        lambda data: data["trees"]["git"].update({key: flipped(data["trees"]["git"][key])})
    )


def index_id(side: int) -> Damage:
    """Another digit in one of the ids of the patch's own index line."""

    def damage(patient: Patient) -> None:
        match = re.search(rb"index ([0-9a-f]{40})\.\.([0-9a-f]{40})", (patient.folder / PATCH).read_bytes())
        assert match
        patient.edit(PATCH, match[side], flipped(match[side].decode()).encode())

    return damage


def gone(name: str) -> Damage:
    return lambda patient: (patient.folder / name).unlink()


def cut(name: str) -> Damage:
    def damage(patient: Patient) -> None:
        file = patient.folder / name
        file.write_bytes(file.read_bytes()[:-7])

    return damage


def another(patient: Patient) -> None:
    """A right patch of the same file, with the lock of the old one."""
    locked = (patient.folder / LOCK).read_bytes()
    patient.upstream.apply()
    patient.upstream.write({"a.py": b"all new\n"})
    patient.upstream.regen()
    patient.upstream.unapply()
    (patient.folder / LOCK).write_bytes(locked)


def extra(patient: Patient) -> None:
    """A right patch that nobody locked."""
    locked = (patient.folder / LOCK).read_bytes()
    patient.upstream.apply()
    patient.upstream.write({"notes/readme": b"patched\n"})
    patient.upstream.regen()
    patient.upstream.unapply()
    (patient.folder / LOCK).write_bytes(locked)


def less_context(patient: Patient) -> None:
    """The same change with one line of context."""
    file = patient.folder / PATCH
    header, _, _ = file.read_bytes().partition(b"diff --git")
    patient.upstream.write(EDITED)
    diff = patient.upstream.git.out("diff", "--full-index", "-U1", "--", "a.py")
    file.write_bytes(header + diff)


def entry_lost(patient: Patient) -> None:
    patient.lock(lambda data: data["patches"].pop("a.py"))


def emptied(patient: Patient) -> None:
    (patient.folder / PATCH).write_bytes(b"")


def mode(patient: Patient) -> None:
    patient.lock(lambda data: data["patches"]["a.py"].update(mode=["100644", "100755"]))


DAMAGED = "patch file a.py is damaged"
OF_FILES: dict[str, tuple[Damage, Part, str]] = {
    "patch: added line": (edited(b"+line three", b"+line 3hree"), Part.PATCHES, DAMAGED),
    "patch: context": (edited(b"\n line 5", b"\n line five"), Part.PATCHES, DAMAGED),
    "patch: line number": (edited(b"@@ -1,7 +1,7", b"@@ -2,7 +2,7"), Part.PATCHES, DAMAGED),
    "patch: id before": (index_id(1), Part.PATCHES, DAMAGED),
    "patch: id after": (index_id(2), Part.PATCHES, DAMAGED),
    "patch: cut": (cut(PATCH), Part.PATCHES, DAMAGED),
    "patch: empty": (emptied, Part.PATCHES, DAMAGED),
    "patch: gone": (gone(PATCH), Part.PATCHES, "patch file a.py is gone"),
    "patch: other form": (less_context, Part.PATCHES, "patch file a.py is written otherwise"),
    "patch: another": (another, Part.PATCHES, "patch file a.py is another one than was locked"),
    "patch: header": (edited(b"Subject:", b"Subjekt:"), Part.PATCHES, "the set cannot be read"),
    "lock: sha256": (entry("sha256"), Part.LOCK, "the lock has a wrong sha256 for a.py"),
    "lock: change id": (entry("change_id"), Part.LOCK, "the lock has a wrong change_id for a.py"),
    "lock: before": (entry("pre"), Part.LOCK, "the lock has a wrong pre for a.py"),
    "lock: after": (entry("post"), Part.LOCK, "the lock has a wrong post for a.py"),
    "lock: mode": (mode, Part.LOCK, "the lock has a wrong modes for a.py"),
    "lock: patched tree": (tree("patched"), Part.LOCK, "the lock has a wrong patched tree"),
    "lock: base tree": (tree("base"), Part.LOCK, "the lock has a wrong base"),
    "lock: commit": (
        lambda p: p.lock(lambda data: data.update(commit=flipped(data["commit"]))), Part.LOCK,
        "the lock names a wrong commit",
    ),
    "lock: entry lost": (entry_lost, Part.LOCK, "the lock lacks the entry for a.py"),
    "lock: cut": (cut(LOCK), Part.LOCK, "the lock is damaged"),
    "lock: gone": (gone(LOCK), Part.LOCK, "the lock is gone"),
    "manifest: commit": (
        lambda p: p.edit(MANIFEST, p.upstream.commit.encode(), flipped(p.upstream.commit).encode()), Part.TAG,
        "the manifest names a wrong commit",
    ),
    "manifest: tag": (edited(b'"v1.2.3"', b'"v1.2.4"', MANIFEST), Part.TAG, "the manifest is damaged"),
    "manifest: not TOML": (edited(b"schema", b"[schema", MANIFEST), Part.TAG, "the manifest is damaged"),
}  # fmt: skip
