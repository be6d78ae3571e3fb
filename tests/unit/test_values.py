"""Values of the command line that are taken as they stand: the same as typer's, without its pydantic."""

from __future__ import annotations

import subprocess
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import pytest
import typer

from winvllm_build.cli.values import unconverted


class Colour(str, Enum):
    """A choice."""

    RED = "red"


def command() -> tuple[typer.Typer, list[object]]:
    """An application with a parameter of each kind, and what it was called with."""
    app, told = typer.Typer(), list[object]()

    @app.callback()
    def group(*, loud: Annotated[bool, typer.Option("--loud")] = False) -> None:
        told.append(loud)

    @app.command()
    def run(
        name: str,
        more: Annotated[list[str] | None, typer.Argument()] = None,
        *,
        text: Annotated[str | None, typer.Option()] = None,
        said: Annotated[str, typer.Option()] = "by default",
        many: Annotated[list[str] | None, typer.Option()] = None,
        anything: Annotated[Path | None, typer.Option()] = None,
        file: Annotated[Path | None, typer.Option(exists=True, dir_okay=False)] = None,
        number: Annotated[int, typer.Option(min=1)] = 3,
        upper: Annotated[str | None, typer.Option(parser=str.upper)] = None,
        colour: Annotated[Colour | None, typer.Option()] = None,
        flag: Annotated[bool | None, typer.Option("--flag/--no-flag")] = None,
    ) -> None:
        told.extend([name, more, text, said, many, anything, file, number, upper, colour, flag])

    return app, told


def called(arguments: list[str], *, plain: bool) -> tuple[list[object], str]:
    app, told = command()
    made = typer.main.get_command(app)
    try:
        (unconverted(made) if plain else made)(arguments, standalone_mode=False)
    except Exception as error:  # noqa: BLE001 - whatever typer refuses it with
        return told, f"{type(error).__name__}: {error}"
    return told, ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "a"],
        ["--loud", "run", "a", "b", "c"],
        ["run", "a", "--text", "", "--said", "x y", "--many", "1", "--many", "2"],
        ["run", "a", "--anything", ".", "--file", __file__, "--number", "7", "--upper", "low"],
        ["run", "a", "--anything", "/nowhere/to/be/found", "--colour", "red", "--no-flag"],
        ["run"],
        ["run", "a", "--file", "/nowhere/to/be/found"],
        ["run", "a", "--file", str(Path(__file__).parent)],
        ["run", "a", "--number", "0"],
        ["run", "a", "--number", "many"],
        ["run", "a", "--colour", "blue"],
        ["run", "a", "--unknown"],
    ],
)
def test_values_and_refusals_are_those_of_typer(arguments: list[str]) -> None:
    assert called(arguments, plain=True) == called(arguments, plain=False)


def test_a_file_that_cannot_be_read_is_refused_as_by_typer(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(b"")
    file.chmod(0)
    arguments = ["run", "a", "--anything", str(file)]
    assert called(arguments, plain=True) == called(arguments, plain=False)


@pytest.mark.parametrize("arguments", [["--status"], ["--skip", "a.py", "--reason", "why"]])
def test_text_and_paths_are_not_given_to_pydantic(arguments: list[str], tmp_path: Path) -> None:
    code = (
        "import sys; from winvllm_build.cli.main import run; "
        "print(run(sys.argv[1:]), 'typer' in sys.modules, 'pydantic' in sys.modules)"
    )
    command = [sys.executable, "-c", code, "port", "v2", *arguments, "--patches", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["2", "True", "False"]
