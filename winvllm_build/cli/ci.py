"""What hosted runners make of a log: groups that fold, and a page for each step."""

from __future__ import annotations

import contextlib
import enum
import os
import re
import time
from pathlib import Path
from typing import Final

from typing_extensions import assert_never

COMMAND: Final = re.compile(r"^(\s*)(::|##\[)", re.MULTILINE)
"""What GitHub's runner takes for a command to itself, wherever it comes from."""


class Kind(enum.Enum):
    """Who runs us."""

    GITHUB = "GitHub Actions"
    GITLAB = "GitLab CI"
    OTHER = "another CI"


def kind() -> Kind | None:
    """By the variables that the runners document; None outside of any."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        return Kind.GITHUB
    if os.environ.get("GITLAB_CI") == "true":
        return Kind.GITLAB
    return Kind.OTHER if os.environ.get("CI", "").lower() in {"true", "1"} else None


def group_begin(where: Kind | None, name: str, title: str) -> str:
    """The line or lines above what folds."""
    match where:
        case Kind.GITHUB:
            return f"::group::{title.translate({37: '%25', 10: '%0A', 13: '%0D'})}"
        case Kind.GITLAB:
            return f"\x1b[0Ksection_start:{int(time.time())}:{name}[collapsed=true]\r\x1b[0K{title}"
        case Kind.OTHER | None:
            return title
        case _:
            assert_never(where)


def group_end(where: Kind | None, name: str) -> str:
    """The line below; empty where nothing folds."""
    match where:
        case Kind.GITHUB:
            return "::endgroup::"
        case Kind.GITLAB:
            return f"\x1b[0Ksection_end:{int(time.time())}:{name}\r\x1b[0K"
        case Kind.OTHER | None:
            return ""
        case _:
            assert_never(where)


def said(where: Kind | None, text: str) -> str:
    """`text` as no command to the runner, whatever a compiler or a path wrote."""
    return COMMAND.sub(r"\1|\2", text) if where is Kind.GITHUB else text


def step_summary(record: Path) -> None:
    """Add a recorded run to `$GITHUB_STEP_SUMMARY`; a page that cannot be written is no failure."""
    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if not target:
        return
    from winvllm_build.build.report import runs
    from winvllm_build.cli import report_text
    from winvllm_build.errors import WinvllmError

    with contextlib.suppress(OSError, WinvllmError), Path(target).open("ab") as file:
        file.write(report_text.markdown(runs.load(record)).encode("utf-8", "backslashreplace"))
