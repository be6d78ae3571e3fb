"""File names in anyone's patch: quoted or not, with or without prefixes, and how much of them to strip."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Final

from winvllm_build.git import RepoPath

NULL: Final = b"/dev/null"
ESCAPES: Final = {
    b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r",
}  # fmt: skip
ESCAPED: Final = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
STAMP: Final = re.compile(rb"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.\d+)? ([+-]\d{4})")
QUOTED: Final = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
MOST_STRIPPED: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names before and after as they stand in the patch; `moved` those of a rename or copy.

    Names of a rename have no `a/` and `b/`.
    """

    old: bytes
    new: bytes
    moved: tuple[bytes, bytes] | None = None

    def stripped(self, strip: int) -> tuple[RepoPath | None, RepoPath | None]:
        """The paths inside the tree, `strip` leading folders taken off; None for no file, or too short."""
        if self.moved is not None:
            less = max(strip - 1, 0)
            return _stripped(self.moved[0], less), _stripped(self.moved[1], less)
        return _stripped(self.old, strip), _stripped(self.new, strip)


def parsed(text: bytes) -> bytes:
    """A name as it is after `---`, `+++` or `rename from`: unquoted, without the time that diff adds."""
    quoted = QUOTED.match(text)
    if quoted is not None:
        return unquoted(quoted[1])
    return text.partition(b"\t")[0].rstrip()


def unquoted(text: bytes) -> bytes:
    """What git and diff wrote between double quotes."""

    def plain(match: re.Match[bytes]) -> bytes:
        code = match[1]
        return bytes([int(code, 8)]) if len(code) == len("377") else ESCAPES.get(code, code)

    return ESCAPED.sub(plain, text)


def pair_of(title: bytes) -> Names:
    """The two names of `diff --git`, which differ in their first folder at most unless other lines say so."""
    quoted = QUOTED.match(title)
    if quoted is not None:
        rest = title[quoted.end() :].lstrip()
        return Names(old=unquoted(quoted[1]), new=parsed(rest))
    for at in (at for at in range(len(title)) if title[at : at + 1] == b" "):
        old, new = title[:at], parsed(title[at + 1 :])
        if old == new or (b"/" in old and old.partition(b"/")[2] == new.partition(b"/")[2]):
            return Names(old=old, new=new)
    old, _, new = title.partition(b" ")
    return Names(old=old, new=parsed(new))


def is_missing(text: bytes, *, empty: bool) -> bool:
    """Whether `---` or `+++` stands for no file: `/dev/null`, or the time at which there were none yet.

    Args:
        text: name and time.
        empty: the hunk has no lines on that side; only then diff's time counts.
    """
    if parsed(text) == NULL:
        return True
    stamp = STAMP.search(text.partition(b"\t")[2])
    if stamp is None or not empty:
        return False
    moment = datetime.strptime(f"{stamp[1].decode()} {stamp[2].decode()}", "%Y-%m-%d %H:%M:%S %z")
    return moment == datetime.fromtimestamp(0, timezone.utc)


def strip_level(names: Sequence[Names], present: Collection[str], *, usual: int) -> int:
    """How many leading folders to take off: with which most names are files of the tree, else folders of it.

    Args:
        names: of all files in the patch.
        present: every path of the tree.
        usual: what is taken where nothing decides, 1 for `a/` and `b/`.
    """
    folders = {path.rpartition("/")[0] for path in present if "/" in path}
    tops = {path.partition("/")[0] for path in present}

    def score(strip: int) -> tuple[int, int, int, int, int]:
        sides = [side for name in names for side in name.stripped(strip) if side is not None]
        files = sum(any(side in present for side in name.stripped(strip)) for name in names)
        inside = sum(side.rpartition("/")[0] in folders for side in sides if "/" in side)
        known = sum(side.partition("/")[0] in tops for side in sides if "/" in side)
        return files, inside, known, int(strip == usual), -strip

    return max(range(MOST_STRIPPED + 1), key=score)


def _stripped(name: bytes, strip: int) -> RepoPath | None:
    if name == NULL:
        return None
    parts = name.removeprefix(b"./").split(b"/", strip)
    if len(parts) <= strip or not parts[strip]:
        return None
    return RepoPath(parts[strip].decode("utf-8", "surrogateescape"))
