"""The tool itself: git's results for a known input, and for the patches of the set."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from winvllm_build.errors import WinvllmError
from winvllm_build.git import MINIMUM, Git, Oid, RepoPath
from winvllm_build.patchset import tree
from winvllm_build.patchset.worktree import scratch_of
from winvllm_build.review.diagnosis import Check, Part, State
from winvllm_build.review.facts import Facts
from winvllm_build.review.fixes import Spot
from winvllm_build.review.proof import Outcome, Proof

NAME: Final = "tool"
PATH: Final = RepoPath("a b/k.cu")
ONE: Final = b"/**\n * one\n */\nint one() {\n  return 1;\n}\n\n"
TWO: Final = ONE.replace(b"one", b"two").replace(b"1", b"2")
THREE: Final = ONE.replace(b"one", b"three").replace(b"1", b"3")
REST: Final = b"{\n" * 9 + b"dos\r\n"
BEFORE: Final = ONE + THREE + b"a\nb\nc\na\nb\nb\na\n" + REST + b"last"
AFTER: Final = ONE + TWO + THREE + b"c\nb\na\nb\na\nc\n" + REST + b"\tlast\x0c\n"
"""Another algorithm, heuristic, context or white-space setting writes another diff between the two."""
TREES: Final = (
    Oid("29ad13e3de2d21f777dbeb65f32e0e19dc2fb25b"), Oid("1d29ed86a61aeb09d6b7586e063167a057cb2b12"),
)  # fmt: skip
DIFF: Final = "ab79393b4e15e0886fd4441be70ecdc832379b15e1eb59b72d2c2460f3291484"
"""What git 2.38.0, 2.39.5 and 2.55.0-rc2 make of it."""


def check() -> Check:
    """Known bytes through every step that patches go through."""
    with tempfile.TemporaryDirectory(prefix="winvllm-doctor-") as name, scratch_of(Path(name)) as git:
        version = git.line("--version")
        try:
            faults = tuple(_faults(git))
        except WinvllmError as error:
            faults = tuple(error.message.splitlines())
    if not faults:
        words = f"{version} gives the known results for a known input"
        return Check(name=NAME, state=State.AGREES, parts=(Part.TOOL,), words=words)
    oldest = ".".join(map(str, MINIMUM))
    return Check(
        name=NAME,
        state=State.WRONG,
        parts=(Part.TOOL,),
        words=f"{version} gives other results than it should",
        evidence=(str(git.program), *faults),
        fix=f"install another git ({oldest} or newer) and report this one",
    )


def _faults(git: Git) -> Iterator[str]:
    made = tuple(_tree(git, content) for content in (BEFORE, AFTER))
    if made != TREES:
        yield f"the trees of the known files are {made}, not {TREES}"
        return
    written = tree.export(git, *TREES)[PATH]
    if written.sha256 != DIFF:
        yield f"the diff between them has the sha256 {written.sha256}, not {DIFF}"
    back = tree.compute(git, TREES[0], [written], fix="")
    if back != TREES[1]:
        yield f"the diff applied gives the tree {back}, not {TREES[1]}"


def _tree(git: Git, content: bytes) -> Oid:
    oid = git.line("hash-object", "-w", "--no-filters", "--stdin", stdin=content)
    with git.temporary_index() as index:
        record = f"100644 {oid}\t{PATH}\0".encode()
        git.out("update-index", "-z", "--add", "--index-info", stdin=record, index=index)
        return Oid(git.line("write-tree", index=index))


def round_trip(facts: Facts, proofs: Sequence[Proof], tool: Check) -> Iterator[Check]:
    """The patches that are proven, as this git writes them, against the files.

    Args:
        facts: the set.
        proofs: what the sources say.
        tool: the outcome of `check`.
    """
    if not proofs or proofs[0].exported is None:
        return
    exported, here = proofs[0].exported, facts.by_key
    proven = [key for key, outcome in proofs[0].outcomes.items() if outcome is Outcome.PROVEN]
    other = [
        key
        for key in proven
        if (diff := here[key].diff) is not None and exported.get(key) != diff
        and _is_locked(facts, key, diff.sha256)
    ]  # fmt: skip
    if proven and not other:
        words = f"git writes {len(proven)} patches byte for byte as the files have them"
        yield Check(name=NAME, state=State.AGREES, parts=(Part.PATCHES, Part.TOOL), words=words)
    if other:
        names = ", ".join(path for _, _, path in other[:3])
        words = f"git writes {len(other)} patches otherwise than they were locked ({names})"
        wrong = tool.state is State.WRONG
        spot = Spot(folder=facts.folder, file=here[other[0]].place.file)
        yield Check(
            name=NAME, state=State.WRONG if wrong else State.UNDECIDED,
            parts=(Part.TOOL,) if wrong else (Part.TOOL, Part.PATCHES), words=words,
            evidence=(
                "the blobs before and after agree; only the form of the diff is another one",
                "another git wrote them, or they were locked with --relock as they came",
            ),
            fix=tool.fix if wrong else f"{spot.command('regen')} writes them in git's own form",
        )  # fmt: skip


def _is_locked(facts: Facts, key: tuple[str, str, RepoPath], sha256: str) -> bool:
    target = facts.locked.targets.get(key[0]) if facts.locked else None
    entry = target.of(key[1]).get(key[2]) if target else None
    return entry is not None and entry.sha256 == sha256
