"""Every test runs in a sealed environment; what is slow to get is kept in one cache folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
PIP_CONFIGURATIONS = (".config/pip/pip.conf", ".pip/pip.conf", "pip/pip.ini", "AppData/Roaming/pip/pip.ini")
SEALED_PREFIXES = ("GIT_", "WINVLLM_BUILD_")
"""Variables that would let the machine's own settings into a test."""


def _pip_configuration(home: Path) -> Path | None:
    found = [home / name for name in PIP_CONFIGURATIONS if (home / name).is_file()]
    return found[0] if found else None


@pytest.fixture(autouse=True)
def hermetic_seal(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new home, an empty workspace and no git configuration; the package index stays as configured.

    Returns:
        The new home folder; the workspace (`WINVLLM_BUILD_HOME`) is `home / "workspace"`.
    """
    index = os.environ.get("PIP_CONFIG_FILE") or _pip_configuration(Path.home())
    home = tmp_path_factory.mktemp("sealed-home")
    for name in [name for name in os.environ if name.upper().startswith(SEALED_PREFIXES)]:
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
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
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
