"""How a verdict looks in one letter, and what it means to a reader; letters alone tell them apart."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from winvllm_build.port.verdict import Kind


class Group(enum.Enum):
    """What a reader has to do."""

    SAME = "nothing to do"
    LOOK = "look at it"
    DONE = "upstream has it"
    OPEN = "decide"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sign:
    """`letter` is ASCII, so that every terminal has it; capitals and `?` are open."""

    letter: str
    group: Group
    words: str


SIGNS: Final[Mapping[Kind, Sign]] = {
    Kind.IDENTICAL: Sign(letter="=", group=Group.SAME, words="upstream's file and the patch are the same"),
    Kind.OFFSET: Sign(letter="o", group=Group.SAME, words="the same hunks at other lines"),
    Kind.CONTEXT: Sign(letter="~", group=Group.SAME, words="the same changes in other surroundings"),
    Kind.NEW_FILE: Sign(letter="+", group=Group.SAME, words="the patch adds a file that is new here too"),
    Kind.MOVED: Sign(letter=">", group=Group.SAME, words="upstream moved the file, the patch went along"),
    Kind.MERGED: Sign(letter="m", group=Group.LOOK, words="merged cleanly, with other changed lines"),
    Kind.PARTLY_UPSTREAMED: Sign(letter="p", group=Group.LOOK, words="upstream has a part of it"),
    Kind.UPSTREAMED: Sign(letter="u", group=Group.DONE, words="upstream has all of it"),
    Kind.DELETED: Sign(letter="D", group=Group.OPEN, words="upstream deleted the file"),
    Kind.CONFLICT: Sign(letter="X", group=Group.OPEN, words="upstream and the patch change the same lines"),
    Kind.AMBIGUOUS: Sign(letter="?", group=Group.OPEN, words="two ways to apply it, with different results"),
}
MISSING: Final = Sign(letter=".", group=Group.SAME, words="no files of this release")
