"""Which paths a patch may name: files of the source tree, under one name on every file system."""

from __future__ import annotations

import re
from typing import Final

from winvllm_build.git import RepoPath
from winvllm_build.member_names import name_fault

REGULAR: Final = "100644"
EXECUTABLE: Final = "100755"
MODE_FAULTS: Final = {"120000": "is a symbolic link", "160000": "is a submodule", "040000": "is a folder"}
IGNORED_BY_HFS: Final = re.compile("[\u200c-\u200f\u202a-\u202e\u206a-\u206f\ufeff]")
"""HFS+ drops these when it compares names, so `.g<U+200C>it` is `.git` there (git: utf8.c, next_hfs_char)."""
MAXIMUM_LENGTH: Final = 200
"""Longer paths do not fit below a normal folder in Windows' 260 characters."""


def path_fault(path: str) -> str | None:
    """Why a patch may not touch `path`, or None."""
    fault = name_fault(path)
    if fault is not None:
        return fault
    parts = path.split("/")
    if "" in parts or "." in parts:
        return "is not a plain path inside the tree"
    if any(_is_git_folder(part) for part in parts):
        return "is inside git's own folder"
    if len(path) > MAXIMUM_LENGTH:
        return f"is longer than {MAXIMUM_LENGTH} characters"
    return None


def mode_fault(mode: str) -> str | None:
    """Why a patch may not give a file the mode `mode` (six octal digits), or None."""
    if mode in (REGULAR, EXECUTABLE):
        return None
    return MODE_FAULTS.get(mode, f"has the mode {mode}")


def collisions(paths: list[RepoPath]) -> list[tuple[RepoPath, RepoPath]]:
    """Pairs that are one file where case does not count."""
    seen: dict[str, RepoPath] = {}
    found = []
    for path in sorted(paths):
        earlier = seen.setdefault(path.casefold(), path)
        if earlier != path:
            found.append((earlier, path))
    return found


def _is_git_folder(part: str) -> bool:
    plain = IGNORED_BY_HFS.sub("", part).casefold()
    return plain == ".git" or re.fullmatch(r"git~\d+", plain) is not None
