"""`winvllm-build audit`: all checks that need no Windows and that this machine allows, and each by itself."""

from __future__ import annotations

import typer
from typer.core import TyperGroup

from winvllm_build.cli import audit_scripts

HELP = """Check a patch set and our scripts for Windows, without Windows.

`winvllm-build audit [TAG]` is `winvllm-build audit all [TAG]`.

\b
Examples:
  winvllm-build audit scripts                 our .ps1, .bat and .sh files
"""
DEFAULT = "all"


class _Group(TyperGroup):
    """A group that takes a first word that is none of its commands for an argument of `all`."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        named = bool(args) and (args[0] in self.commands or args[0] == "--help")
        if DEFAULT in self.commands and not named:
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=HELP, cls=_Group, rich_markup_mode=None)
    audit_scripts.register(group)
    app.add_typer(group, name="audit")
