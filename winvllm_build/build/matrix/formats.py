"""A matrix as a CI takes it: GitHub's `fromJSON`, a child pipeline of GitLab, a whole workflow."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import Any, Final

import jinja2

from winvllm_build.build.matrix.jobs import Matrix, Shard, Wheel, refuse_words
from winvllm_build.errors import UsageError

DATA: Final = Path(__file__).parent / "data"
LIMIT: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m?)?")
REQUIREMENT: Final = re.compile(r"[A-Za-z0-9_.@:/+=,<>~!\[\] -]+")
PREPARED: Final = 20
"""Minutes that a CI's own limit lies above that of the compile step, so that what is done is still saved."""


class Provider(Enum):
    """Whose workflow."""

    GITHUB = "github"
    GITLAB = "gitlab"


def seconds_of(text: str) -> float:
    """`5h`, `5h30m`, `330m` or `330` (minutes) in seconds.

    Raises:
        UsageError: it is written otherwise, or nothing.
    """
    match = LIMIT.fullmatch(text.strip())
    found = 3600.0 * int(match[1] or 0) + 60.0 * int(match[2] or 0) if match else 0.0
    if found <= 0:
        raise UsageError(f'"{text}" is no time; it is written like 5h, 330m or 5h30m', fix="--limit 5h")
    return found


def github(matrix: Matrix) -> str:
    """One line: `fromJSON(...).shard` and `.wheel` are each what `strategy.matrix` takes."""
    return json.dumps(
        {
            "shard": {"include": [matrix.shard_data(shard) for shard in matrix.shards]},
            "wheel": {"include": [matrix.wheel_data(wheel) for wheel in matrix.wheels]},
        },
        separators=(",", ":"),
        sort_keys=True,
    )


def gitlab(matrix: Matrix, *, requirement: str) -> str:
    """A child pipeline, in the part of YAML that is JSON."""
    jobs: dict[str, Any] = {}
    for shard in matrix.shards:
        jobs[f"compile {shard.group} {shard.share}"] = _gitlab_shard(matrix, shard)
    for wheel in matrix.wheels:
        names = [f"compile {s.group} {s.share}" for s in matrix.shards if s.group == wheel.group]
        jobs[f"wheel {wheel.group} {wheel.wanted.title}"] = _gitlab_wheel(matrix, wheel, names)
    common = {
        "stages": ["compile", "wheel"],
        "variables": {"WINVLLM_BUILD_HOME": "$CI_PROJECT_DIR/.winvllm"},
        "default": {
            "tags": [matrix.runner.label],
            "before_script": [f'python -m pip install "{requirement}"'],
        },
    }
    return json.dumps({**common, **jobs}, indent=1) + "\n"


def _gitlab_shard(matrix: Matrix, shard: Shard) -> dict[str, Any]:
    state = f"state-{shard.identifier}.tar"
    minutes = int(matrix.runner.limit / 60)
    return {
        "stage": "compile",
        "timeout": f"{minutes + PREPARED} minutes",
        "variables": {"RUNNER_SCRIPT_TIMEOUT": f"{minutes}m"},
        "cache": {"key": f"state-{shard.identifier}", "paths": [state], "when": "always"},
        "script": [
            f"if (Test-Path {state}) {{ winvllm-build state import {state} }}",
            f"winvllm-build build {_quoted(shard.arguments)}",
        ],
        "after_script": [f"winvllm-build state export {state}"],
        "artifacts": {"paths": [state], "expire_in": "1 day"},
    }


def _gitlab_wheel(matrix: Matrix, wheel: Wheel, needs: Sequence[str]) -> dict[str, Any]:
    return {
        "stage": "wheel",
        "timeout": f"{int(matrix.runner.limit / 60) + PREPARED} minutes",
        "needs": list(needs),
        "script": [
            "winvllm-build state import (Get-ChildItem state-*.tar)",
            f"winvllm-build build {_quoted(wheel.wanted.arguments)} --out wheels",
        ],
        "artifacts": {"paths": ["wheels/*.whl"]},
    }


def _quoted(words: Sequence[str]) -> str:
    """For PowerShell, to which `;` ends a command."""
    return " ".join(f"'{word}'" if re.search(r"[^A-Za-z0-9_./=-]", word) else word for word in words)


def workflow(
    provider: Provider, *, arguments: Sequence[str], requirement: str, runner: str, limit: float
) -> str:
    """A whole workflow that plans on a runner, compiles in shards and links.

    Args:
        provider: whose.
        arguments: of `matrix`, without format or workflow.
        requirement: what pip installs in each job.
        runner: the label of the machines.
        limit: seconds that compile steps have.

    Raises:
        UsageError: a word that a shell would take for something else.
    """
    refuse_words([*arguments, runner])
    if not REQUIREMENT.fullmatch(requirement):
        raise UsageError(f'"{requirement}" is nothing that pip installs', fix="--requirement .")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(DATA),
        variable_start_string="[[",
        variable_end_string="]]",
        comment_start_string="[#",
        comment_end_string="#]",
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - YAML, not HTML; every value is checked to be one plain word
    )
    quote = _quoted if provider is Provider.GITLAB else _single_quoted
    return environment.get_template(f"{provider.value}.yml.j2").render(
        arguments=quote(arguments),
        requirement=requirement,
        runner=runner,
        minutes=int(limit / 60) + PREPARED,
    )


def _single_quoted(words: Sequence[str]) -> str:
    """For a POSIX shell, to which `;` ends a command."""
    return " ".join(f"'{word}'" if re.search(r"[^A-Za-z0-9_./=:,+-]", word) else word for word in words)
