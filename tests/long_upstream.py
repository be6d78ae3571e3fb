"""An upstream of forty commits and some releases after the tag of a patch set; what broke is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

from tests.patch_upstream import TAG, Upstream
from tests.small_vllm import SmallVllm
from winvllm_build.git import Git, Oid
from winvllm_build.patchset.patchset import PatchSet, load
from winvllm_build.workspace import sha256_of

COMMITS = 40
RELEASES: Mapping[str, int] = {
    "v1.3.0": 10,
    "v1.3.1": 11,
    "v1.4.0": 20,
    "v1.5.0rc1": 25,
    "v1.5.0": 30,
    "v1.6.0": 40,
}
"""Each release is one of the commits."""
WHEELS_ONLY = "v1.3.1"
PULL = 400
"""A commit's pull request is its number and this."""
DAY = 86_400
BEGINS = 1_700_000_000
LAYERS = '[layer.windows]\ntitle = "The port"\n[layer.extra]\ntitle = "More"\n'
EXTRA = {
    "hot.py": ("hot has line 35\n", "hot has line 1035\n"),
    "same.py": ("same has line 5\n", "same has line 1005\n"),
}
"""What an optional layer changes on top of the patches."""

Files = dict[str, str]


def lines(name: str, count: int = 40) -> str:
    return "".join(f"{name} has line {number}\n" for number in range(count))


def edited(name: str, number: int, text: str) -> Callable[[Files], None]:
    """A step that changes one line of a file."""

    def change(files: Files) -> None:
        path = next(path for path in files if path.rsplit("/", 1)[-1] == name)
        stem = name.split(".", maxsplit=1)[0]
        before = f"{stem} has line {number}\n"
        found = [
            line for line in files[path].splitlines(keepends=True) if f" {number} " in f" {line.strip()} "
        ]
        files[path] = files[path].replace(found[0] if found else before, f"{stem} {text} {number} now\n")

    return change


def restored(name: str, number: int) -> Callable[[Files], None]:
    """A step that takes such a change back."""

    def change(files: Files) -> None:
        kept = files[name].splitlines(keepends=True)
        kept[number] = f"{PurePosixPath(name).stem} has line {number}\n"
        files[name] = "".join(kept)

    return change


def moved(old: str, new: str) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        files[new] = files.pop(old)

    return change


def removed(name: str) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        del files[name]

    return change


def added(name: str, text: str) -> Callable[[Files], None]:
    def change(files: Files) -> None:
        files[name] = text

    return change


def renamed_helper(files: Files) -> None:
    files["name.py"] = files["name.py"].replace("helper_five", "assistant_five")


def both_became_one(files: Files) -> None:
    """A place that two patches want; the file that is more like it gets it."""
    files["lib/twins.py"] = files.pop("first.py")
    del files["second.py"]


BASE: Files = {
    name: lines(name.split(".")[0])
    for name in (
        "hot.py",
        "flip.py",
        "moved.py",
        "gone.cu",
        "fine.py",
        "back.py",
        "same.py",
        "doomed.py",
        "far.py",
    )
} | {
    "name.py": lines("name").replace("name has line 5\n", "value = helper_five\n"),
    "noise.txt": "0\n",
    "first.py": lines("twin"),
    "second.py": lines("twin", 34) + lines("other", 6),
}
PATCHES: Mapping[str, str | None] = {
    **{
        name: BASE[name].replace(" has line 20\n", " is patched at 20\n")
        for name in ("hot.py", "flip.py", "moved.py", "gone.cu", "fine.py", "back.py", "same.py", "far.py")
    },
    "first.py": BASE["first.py"].replace(" has line 20\n", " is patched at 20\n"),
    "second.py": BASE["second.py"].replace(" has line 20\n", " is patched at 20\n"),
    "name.py": BASE["name.py"].replace("name has line 30\n", "other = helper_five\n"),
    "doomed.py": None,
    "win/added.py": "only = 1\n",
}
STEPS: Mapping[int, tuple[Callable[[Files], None], ...]] = {
    3: (edited("hot.py", 2, "far above"),),
    8: (edited("flip.py", 20, "breaks it"),),
    10: (removed("back.py"),),
    12: (moved("moved.py", "lib/moved.py"), moved("fine.py", "lib/fine.py")),
    14: (added("back.py", BASE["back.py"]),),
    17: (edited("hot.py", 20, "breaks it"), edited("far.py", 1, "far above")),
    20: (restored("flip.py", 20),),
    22: (removed("gone.cu"),),
    25: (edited("moved.py", 20, "breaks it"),),
    27: (both_became_one,),
    28: (renamed_helper,),
    31: (edited("flip.py", 20, "breaks it again"),),
    33: (edited("doomed.py", 7, "lives on"),),
    35: (added("win/added.py", "only = 2\n"),),
    38: (edited("moved.py", 3, "goes on"),),
}
MERGED = (5, 17, 22, 30)
"""Commits that merge a branch of two commits."""
BROKEN: Mapping[str, tuple[int, ...]] = {
    "back.py": (10, 14), "doomed.py": (33,), "flip.py": (8, 20, 31), "gone.cu": (22,), "hot.py": (17,),
    "moved.py": (25,), "name.py": (28,), "win/added.py": (35,),
    "second.py": (27,), "first.py": (), "fine.py": (), "same.py": (), "far.py": (),
}  # fmt: skip
"""For each patch the commits at which it broke, was carried again, and so on."""


@dataclass(frozen=True, kw_only=True)
class LongUpstream:
    """`small` has the archives; `commits` is the first-parent line, the patched tag's commit first."""

    upstream: Upstream
    small: SmallVllm
    commits: tuple[Oid, ...]

    @property
    def folder(self) -> Path:
        """The clone with the history."""
        return self.upstream.folder

    @property
    def patches(self) -> Path:
        return self.upstream.patches

    @property
    def patch_set(self) -> PatchSet:
        return load(self.patches, TAG)

    def with_layer(self) -> None:
        """Add an optional layer to the set."""
        made = self.upstream
        file = made.patches / TAG / "patchset.toml"
        file.write_text(file.read_text(encoding="utf-8") + LAYERS, encoding="utf-8")
        made.apply()
        for name, (old, new) in EXTRA.items():
            text = made.content()[name].replace(old.encode(), new.encode())
            made.write({name: text})
        made.regen(layer="extra")
        made.unapply("extra")

    @classmethod
    def make(cls, top: Path) -> LongUpstream:
        upstream = Upstream.make(top, {name: text.encode() for name, text in BASE.items()})
        upstream.write({name: None if text is None else text.encode() for name, text in PATCHES.items()})
        upstream.regen(new=("win/*",))
        upstream.unapply()
        small = SmallVllm(top=top)
        small.links.mkdir()
        small.pack(TAG.removeprefix("v"), BASE, upstream.commit)
        states = list(_states())
        for tag, at in RELEASES.items():
            version = tag.removeprefix("v")
            if tag == WHEELS_ONLY:
                (small.links / f"vllm-{version}-py3-none-any.whl").write_bytes(b"never opened")
            else:
                small.pack(version, states[at], f"{at:040}")
        version = TAG.removeprefix("v")
        digest = sha256_of(small.archive(version))
        pin = f'sdist = {{project = "vllm", version = "{version}", sha256 = "{digest}"}}\n'
        upstream.manifest(upstream.commit, pin)
        upstream.git.run("fast-import", "--quiet", stdin=_stream(upstream.commit, states))
        upstream.git.run("update-ref", f"refs/tags/{TAG}", upstream.commit)
        listed = upstream.git.line("rev-list", "--first-parent", "--reverse", f"{TAG}..main").split()
        return cls(upstream=upstream, small=small, commits=(upstream.commit, *map(Oid, listed)))


def sealed(top: Path) -> LongUpstream:
    """Made outside of a test, where git knows no author yet."""
    with pytest.MonkeyPatch.context() as patch:
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "A Tester")
            patch.setenv(f"GIT_{role}_EMAIL", "tester@localhost")
        return LongUpstream.make(top / "upstream")


def _states() -> list[Files]:
    """The files after each commit; number 0 is the patched tag."""
    files = dict(BASE)
    made = [dict(files)]
    for at in range(1, COMMITS + 1):
        for change in STEPS.get(at, ()):
            change(files)
        files["noise.txt"] = f"{at}\n"
        made.append(dict(files))
    return made


def subject(at: int) -> str:
    return f"Change number {at} (#{PULL + at})"


def _stream(base: Oid, states: list[Files]) -> bytes:
    """The commits for `git fast-import`; a merged branch has the changes in its second commit."""
    made: list[str] = []
    before, mark = str(base), 0

    def commit(ref: str, at: int, parents: list[str], files: tuple[Files, Files], words: str) -> str:
        nonlocal mark
        mark += 1
        old, new = files
        when = f"{BEGINS + DAY * at} +0200"
        made.append(f"commit {ref}\nmark :{mark}\nauthor Ada Lovelace <ada@example.invalid> {when}\n")
        made.append(f"committer Someone Else <else@example.invalid> {when}\ndata {len(words)}\n{words}\n")
        made.append(f"from {parents[0]}\n")
        made.extend(f"merge {parent}\n" for parent in parents[1:])
        made.extend(f"D {name}\n" for name in old.keys() - new.keys())
        made.extend(
            f"M 100644 inline {name}\ndata {len(text)}\n{text}\n"
            for name, text in new.items()
            if old.get(name) != text
        )
        return f":{mark}"

    for at in range(1, COMMITS + 1):
        step = (states[at - 1], states[at])
        if at in MERGED:
            side = commit("refs/heads/side", at, [before], (states[at - 1], states[at - 1]), "On a branch\n")
            side = commit("refs/heads/side", at, [side], step, f"The work of {at}\n")
            before = commit("refs/heads/main", at, [before, side], step, f"{subject(at)}\n\nMerged.\n")
        else:
            before = commit("refs/heads/main", at, [before], step, f"{subject(at)}\n\n* more words (#1)\n")
        made.extend(
            f"reset refs/tags/{tag}\nfrom {before}\n\n" for tag, number in RELEASES.items() if number == at
        )
    return "".join(made).encode()


def trees(git: Git, commits: tuple[Oid, ...]) -> list[Oid]:
    return [git.tree_of(commit) for commit in commits]
