"""Every test runs in a sealed environment; what is slow to get is kept in one cache folder."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.page_steps import PROGRAM
from tests.webdriver import Page, window

CHECKOUT = Path(__file__).resolve().parent.parent
PIP_CONFIGURATIONS = (".config/pip/pip.conf", ".pip/pip.conf", "pip/pip.ini", "AppData/Roaming/pip/pip.ini")
SEALED_PREFIXES = ("GIT_", "WINVLLM_")
"""Variables that would let the machine's own settings into a test; those of the test run itself stay."""
TEST_RUN_PREFIX = "WINVLLM_TEST_"

BESIDE = str(Path(sys.executable).parent)
if BESIDE not in os.environ["PATH"].split(os.pathsep):
    # cmake and ninja are those of this environment, also where nobody activated it
    os.environ["PATH"] = os.pathsep.join((BESIDE, os.environ["PATH"]))

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # a run in the background of a shell ignores Ctrl-C, and so would the programs that tests interrupt
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _pip_configuration(home: Path) -> Path | None:
    found = [home / name for name in PIP_CONFIGURATIONS if (home / name).is_file()]
    return found[0] if found else None


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    assert PROGRAM is not None
    with window(PROGRAM, tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture(autouse=True)
def hermetic_seal(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new home, an empty workspace and no git configuration; the package index stays as configured.

    Returns:
        The new home folder; the workspace (`WINVLLM_BUILD_HOME`) is `home / "workspace"`.
    """
    index = os.environ.get("PIP_CONFIG_FILE") or _pip_configuration(Path.home())
    home = tmp_path_factory.mktemp("sealed-home")
    for name in list(os.environ):
        if name.upper().startswith(SEALED_PREFIXES) and not name.startswith(TEST_RUN_PREFIX):
            monkeypatch.delenv(name)
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(home))
    for name, folder in {
        "APPDATA": "AppData/Roaming",
        "LOCALAPPDATA": "AppData/Local",
        "XDG_CACHE_HOME": ".cache",
        "XDG_CONFIG_HOME": ".config",
        "XDG_DATA_HOME": ".local/share",
    }.items():
        monkeypatch.setenv(name, str(home / folder))
    monkeypatch.setenv("WINVLLM_BUILD_HOME", str(home / "workspace"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / ".gitconfig"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "A Tester")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "tester@localhost")
        monkeypatch.setenv(f"GIT_{role}_DATE", "2026-01-02T03:04:05+00:00")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    if index is not None:
        monkeypatch.setenv("PIP_CONFIG_FILE", str(index))
    return home


HOSTILE = """\
[core]
\tautocrlf = true
\teol = crlf
\tfsmonitor = {hook}
\thooksPath = {hooks}
\tattributesFile = {attributes}
\tquotePath = true
\twhitespace = trailing-space,cr-at-eol,tab-in-indent
\tignoreCase = true
\tprecomposeUnicode = true
[apply]
\twhitespace = fix
\tignoreWhitespace = change
[color]
\tui = always
\tdiff = always
[commit]
\tgpgSign = true
[diff]
\talgorithm = minimal
\tnoprefix = true
\tmnemonicPrefix = true
\trenames = copies
\tcontext = 1
\tinterHunkContext = 9
\torderFile = {hook}
\text = false
\tsubmodule = log
\tsuppressBlankEmpty = true
\texternal = false
[fetch]
\tprune = true
\trecurseSubmodules = true
[filter "hostile"]
\tclean = tr a-z A-Z
\tsmudge = tr a-z A-Z
\trequired = true
[gpg]
\tprogram = false
[i18n]
\tcommitEncoding = ISO-8859-1
[init]
\tdefaultBranch = "hostile"
\ttemplateDir = {template}
[merge]
\tconflictStyle = diff3
\trenames = false
[pager]
\tdiff = false
[tag]
\tgpgSign = true
"""
"""Settings that change what git writes when it is asked carelessly."""


@pytest.fixture
def hostile_git(hermetic_seal: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A maintainer's git configuration that alters bytes wherever it is let in.

    Returns:
        The configuration file.
    """
    hooks = hermetic_seal / "hooks"
    template = hermetic_seal / "template"
    for folder in (hooks, template / "hooks"):
        folder.mkdir(parents=True)
        for name in ("post-checkout", "reference-transaction", "pre-commit", "fsmonitor"):
            (folder / name).write_text("#!/bin/sh\nexit 1\n")
            (folder / name).chmod(0o755)
    attributes = hermetic_seal / "attributes"
    attributes.write_text("* text eol=crlf filter=hostile -diff ident working-tree-encoding=UTF-16\n")
    configuration = hermetic_seal / ".gitconfig"
    configuration.write_text(
        HOSTILE.format(
            hook=(hooks / "fsmonitor").as_posix(),
            hooks=hooks.as_posix(),
            attributes=attributes.as_posix(),
            template=template.as_posix(),
        )
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(configuration))
    monkeypatch.setenv("GIT_ATTR_SOURCE", "HEAD")
    return configuration


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The root of this repository."""
    return CHECKOUT


@pytest.fixture(scope="session")
def test_cache() -> Path:
    """What the slow tests download or extract once; `WINVLLM_TEST_CACHE` moves it."""
    chosen = os.environ.get("WINVLLM_TEST_CACHE")
    folder = Path(chosen) if chosen else CHECKOUT / "build" / "test-cache"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.absolute()
