"""The arrows of the architecture hold, and the doors to programs, the terminal and the process are single."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import contract

MAXIMUM_LINES = 400


def modules(checkout: Path) -> dict[str, str]:
    """Every module of the package by dotted name; Python files that are data are left out."""
    package = checkout / "winvllm_build"
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(checkout).with_suffix("").parts
        if not {"data", "__pycache__"}.intersection(parts):
            found[".".join(parts)] = path.read_text(encoding="utf-8")
    return found


def test_the_package_keeps_the_contract(checkout: Path) -> None:
    found = modules(checkout)
    assert "winvllm_build.process" in found
    assert [line for name, text in found.items() for line in contract.violations(name, text)] == []


def test_no_module_is_too_long(checkout: Path) -> None:
    long = {name: len(text.splitlines()) for name, text in modules(checkout).items()}
    assert {name: lines for name, lines in long.items() if lines > MAXIMUM_LINES} == {}


@pytest.mark.parametrize(
    ("module", "text", "complaint"),
    [
        ("build.run", "from winvllm_build.cli import main", "build must not import cli"),
        ("build.run", "import winvllm_build.cli.main", "build must not import cli"),
        ("sources.git", "from winvllm_build import build", "sources must not import build"),
        ("sources.git", "from winvllm_build.profile.model import Profile", "sources must not import profile"),
        ("toolchain.cuda", "from winvllm_build.patchset import lock", "toolchain must not import patchset"),
        ("patchset.apply", "from winvllm_build.sources.source import S", "patchset must not import sources"),
        ("patchset.apply", "from ..sources import source", "patchset must not import sources"),
        ("patchset.apply", "def f():\n    import winvllm_build.cli", "patchset must not import cli"),
        ("workspace", "from winvllm_build.sources import index", "workspace must not import sources"),
        ("errors", "from winvllm_build import git", "errors must not import git"),
        ("build.run", "import subprocess", "subprocess belongs to process.py"),
        ("build.run", "from subprocess import run", "subprocess belongs to process.py"),
        ("build.run", "import os\nos.system('dir')", "os.system belongs to process.py"),
        ("build.run", "import os\nos.popen('dir')", "os.popen belongs to process.py"),
        ("build.run", "import os\nos.execv('a', ['a'])", "os.execv belongs to process.py"),
        ("build.run", "from os import system", "os.system belongs to process.py"),
        ("build.run", "import asyncio\nasyncio.create_subprocess_exec('a')", "belongs to process.py"),
        ("build.run", "print('done')", "print belongs to cli/"),
        ("build.run", "import sys\nsys.exit(1)", "sys.exit belongs to cli/"),
        ("build.run", "raise SystemExit(1)", "SystemExit belongs to cli/"),
        ("build.run", "import sys\nsys.stdout.write('x')", "sys.stdout belongs to cli/"),
        ("build.run", "from winvllm_build import process\nprocess.capture(['git', 'status'])", "git.py"),
        ("build.run", "from winvllm_build import process\nprocess.which('git')", "git.py"),
        ("fallback.server", "from winvllm_build import errors", "fallback stands alone"),
        ("fallback.server", "from ..runtime import x", "fallback stands alone"),
        ("cli.main", "import winvllm_build.fallback.command", "fallback stands alone"),
        ("relay.plugin", "from winvllm_build import errors", "relay stands alone"),
        ("fallback.server", "print(1)", "print belongs to cli/"),
        ("cli.main", "import os\nos.chdir('x')", "os.chdir: nothing changes the working folder"),
        ("cli.main", "import contextlib\nwith contextlib.chdir('x'): pass", "nothing changes the working"),
    ],
)
def test_a_bad_module_is_caught(module: str, text: str, complaint: str) -> None:
    found = contract.violations(f"winvllm_build.{module}", text)
    assert len(found) == 1
    assert complaint in found[0]


@pytest.mark.parametrize(
    ("module", "text"),
    [
        ("cli.main", "from winvllm_build.build import run\nprint(1)\nimport sys\nsys.exit(0)"),
        ("build.run", "from winvllm_build import git, process\nfrom winvllm_build.toolchain import cuda"),
        ("build.run", "from winvllm_build.build import plan\nfrom . import graph"),
        ("patchset.apply", "from winvllm_build.sources.pins import Pins"),
        ("patchset.apply", "from winvllm_build.sources import pins"),
        ("sources.git", "from winvllm_build.git import Git\nfrom winvllm_build.errors import SourceError"),
        ("fallback.server", "from .errors import RequestError"),
        ("fallback.command", "import sys\nsys.stderr.write('x')"),
        ("git", "from winvllm_build import process\nprocess.which('git')"),
        ("process", "import subprocess\nsubprocess.Popen(['git'])"),
        ("build.run", "from winvllm_build import process\nprocess.capture(['ninja', 'git'])"),
    ],
)
def test_a_good_module_passes(module: str, text: str) -> None:
    assert contract.violations(f"winvllm_build.{module}", text) == []
