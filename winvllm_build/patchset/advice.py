"""Commands that repair, written out whole: they can be copied from a message and run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from winvllm_build import data
from winvllm_build.errors import UsageError

MAIN_TARGET: Final = "vllm"
PLAIN: Final = re.compile(r"[\w./:\\@+=,~-]+")
"""What needs no quotes in cmd, PowerShell and sh."""
MOST_FILES: Final = 8
"""More files than that are named by their folder."""


def command(
    verb: str,
    tag: str,
    *options: str,
    root: Path | None = None,
    tree: Path | None = None,
    target: str = MAIN_TARGET,
) -> str:
    """The whole command line.

    Args:
        verb: `apply`, `status`, `regen`, ...
        tag: the patch set.
        options: what comes after the tag.
        root: the folder of patch sets; the default one is not named.
        tree: the source tree, where it is known.
        target: which source tree of the set.
    """
    words = ["winvllm-build", verb, tag, *options]
    if tree is not None:
        words += ["--tree", str(tree)]
    if target != MAIN_TARGET:
        words += ["--target", target]
    if root is not None and not _is_default(root):
        words += ["--patches", str(root)]
    return " ".join(quoted(word) for word in words)


def quoted(word: str) -> str:
    return word if PLAIN.fullmatch(word) else f'"{word}"'


def restore(
    files: Sequence[Path], *, root: Path, tag: str, tree: Path | None = None, target: str = MAIN_TARGET
) -> str:
    """How to get files of a patch set back, and only then how to keep what was done to them."""
    if data.is_installed(root):
        return (
            f"{data.installing('--force-reinstall', '--no-deps')}; for patches of your own copy {root} "
            "and name the copy with --patches"
        )
    named = files if len(files) <= MOST_FILES else [root / tag]
    listed = " ".join(quoted(file.relative_to(root).as_posix()) for file in named)
    relock = command("regen", tag, "--relock", root=root, tree=tree, target=target)
    return (
        f"take back what happened to the files: git -C {quoted(str(root))} checkout -- {listed}; "
        f"only if the change is meant: {relock}"
    )


def _is_default(root: Path) -> bool:
    try:
        return root == data.patches_root()
    except UsageError:
        return False
