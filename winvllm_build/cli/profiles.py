"""`winvllm-build profile`: which profiles there are, what they hold and where each value comes from."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from winvllm_build.cli import detect, render
from winvllm_build.errors import FindingsError, ProfileError

if TYPE_CHECKING:
    from winvllm_build.profile.loader import ProfileRoots, ResolvedProfile
    from winvllm_build.profile.problem import Problem

HELP = """Profiles: what to build, for which cards, with what.

\b
Examples:
  winvllm-build profile list                                every profile
  winvllm-build profile show sm86                           its values and where each comes from
  winvllm-build profile show sm86 --set build.max_jobs=4    the same with a change
  winvllm-build profile check my.toml                       all that is wrong with a file
  winvllm-build profile path                                where files are looked for
  winvllm-build profile detect --output my.toml             one for this machine's cards
"""
Name = Annotated[
    str | None,
    typer.Argument(help="Profile name or TOML file; without it what WINVLLM_PROFILE or a file names."),
]
Settings = Annotated[list[str] | None, typer.Option("--set", help="Any key, as section.key=value.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print data as JSON.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode=None)
    group.command("list", help="List the profiles that can be named.")(list_profiles)
    group.command("show", help="Show every value of a profile and where it comes from.")(show)
    group.command("schema", help="Print the JSON schema of profile files.")(print_schema)
    group.command("path", help="Print where profile files are looked for.")(path)
    group.command("check", help="Check a file, or every profile and the project's file.")(check)
    group.command("detect", help=detect.HELP)(detect.detect)
    app.add_typer(group, name="profile")


def current_roots() -> ProfileRoots:
    """The profile folders of this installation, this user and this folder."""
    from winvllm_build import data
    from winvllm_build.profile.files import ProfileRoots, find_project, user_folder

    return ProfileRoots(shipped=data.profiles_root(), user=user_folder(), project=find_project(Path.cwd()))


def resolve_profile(
    name: str | None, *, overrides: Mapping[str, object], settings: Sequence[str] = ()
) -> ResolvedProfile:
    """The profile that a command line means.

    Args:
        name: the profile or its file, None to let the environment or a file name it.
        overrides: options by dotted key; None means not given.
        settings: `KEY=VALUE` texts of `--set`, which go over the options.

    Raises:
        UsageError: a setting is not `KEY=VALUE`.
        InvalidProfileError: with every problem of every layer.
    """
    from winvllm_build.profile.loader import resolve
    from winvllm_build.profile.variables import parse_setting

    given = {**overrides, **dict(parse_setting(text) for text in settings)}
    return resolve(name, roots=current_roots(), environment=os.environ, overrides=given)


def list_profiles(*, as_json: AsJson = False) -> int:
    from winvllm_build.profile.loader import available

    found = available(current_roots())
    if as_json:
        render.data(
            [
                {"name": s.name, "description": s.description, "path": str(s.path), "layer": s.layer.value}
                for s in found
            ]
        )
        return 0
    _print_rows(("PROFILE", "FROM", "DESCRIPTION"), [(s.name, s.layer.value, s.description) for s in found])
    return 0


def show(*, name: Name = None, setting: Settings = None, as_json: AsJson = False) -> int:
    resolved = resolve_profile(name, overrides={}, settings=setting or [])
    values = flat_values(resolved)
    if as_json:
        render.data(
            {
                "name": resolved.name,
                "profile": resolved.profile.model_dump(mode="json"),
                "origins": {key: str(origin) for key, origin in resolved.origins.items()},
                "notes": list(resolved.notes),
            }
        )
        return 0
    rows = [(key, value, str(resolved.origins[key])) for key, value in values.items()]
    if sys.stdout.isatty():
        _print_rows(("KEY", "VALUE", "FROM"), rows)
    else:
        width = max(len(key) + len(value) for key, value, _ in rows) + 3
        for key, value, origin in rows:
            render.out(f"{f'{key} = {value}':<{min(width, 60)}}  # {origin}")
    for note in resolved.notes:
        render.note(f"note: {note}")
    return 0


def print_schema() -> int:
    from winvllm_build.profile.loader import schema

    render.data(schema())
    return 0


def path(*, as_json: AsJson = False) -> int:
    from winvllm_build.profile.files import PROJECT_FILE

    roots = current_roots()
    places = {
        "shipped profiles": roots.shipped,
        "user settings": roots.user_file,
        "user profiles": roots.user_profiles,
        "project file": roots.project or Path.cwd() / PROJECT_FILE,
    }
    rows = [(what, str(place), "found" if place.exists() else "not there") for what, place in places.items()]
    if as_json:
        render.data([{"what": what, "path": place, "state": state} for what, place, state in rows])
    else:
        _print_rows(("WHAT", "PATH", "STATE"), rows)
    return 0


def check(
    *,
    file: Annotated[Path | None, typer.Argument(help="One file; without it, everything.")] = None,
    as_json: AsJson = False,
) -> int:
    from dataclasses import replace

    from winvllm_build.profile.loader import available

    roots = current_roots()
    if file is not None and not file.is_file():
        raise ProfileError(
            f"there is no file {file}", fix="check the path; without a file everything is checked"
        )
    if file is None:
        names: list[str | None] = [None, *(summary.name for summary in available(roots))]
    else:
        names, roots = [str(file.absolute())], replace(roots, project=None)
    problems = dict.fromkeys(problem for name in names for problem in _problems(name, roots))
    if as_json:
        render.data({"checked": len(names), "problems": [_problem_data(problem) for problem in problems]})
        return FindingsError.exit_code if problems else 0
    if problems:
        raise FindingsError(
            "\n".join(str(problem) for problem in problems),
            fix="correct the places above; `winvllm-build profile schema` lists every key",
        )
    render.out(f"{len(names)} profile{'' if len(names) == 1 else 's'} checked, no problem found")
    return 0


def _problem_data(problem: Problem) -> dict[str, str | int | None]:
    origin = problem.origin
    return {
        "key": problem.key,
        "layer": None if origin is None else origin.layer.value,
        "line": None if origin is None else origin.line,
        "message": problem.message,
        "source": None if origin is None else origin.source,
    }


def _problems(name: str | None, roots: ProfileRoots) -> Sequence[Problem]:
    """What is wrong with the files of one profile, or else with the combination of their values."""
    from winvllm_build import data
    from winvllm_build.profile import validate
    from winvllm_build.profile.loader import resolve
    from winvllm_build.profile.problem import InvalidProfileError

    patched = tuple(path.parent.name for path in data.patches_root().glob("*/patchset.toml"))
    try:
        resolved = resolve(name, roots=roots, environment={}, overrides={})
        facts = validate.ToolkitFacts(patched_tags=patched)
        validate.require(validate.check(resolved.profile, facts), resolved.origins)
    except InvalidProfileError as error:
        return error.problems
    return ()


def flat_values(resolved: ResolvedProfile) -> dict[str, str]:
    """Every value by dotted key in the order of the model, written as TOML would write it; unset as `-`."""
    values: dict[str, str] = {}
    dumped = resolved.profile.model_dump(mode="json")
    for key in resolved.origins:
        value: Any = dumped
        for part in key.split("."):
            value = value[part]
        values[key] = "-" if value is None else _as_toml(value)
    return values


def _as_toml(value: Any) -> str:  # noqa: ANN401 - any value of a profile
    import json

    return json.dumps(value, ensure_ascii=False)


def _print_rows(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """A table on a terminal; elsewhere the same columns with no rule, no colour and no wrapping."""
    if sys.stdout.isatty():
        from rich.table import Table
        from rich.text import Text

        table = Table(*head, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            table.add_row(*(Text(cell, overflow="fold") for cell in row))
        render.console().print(table, soft_wrap=False)
        return
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        render.out("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
