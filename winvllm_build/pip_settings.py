"""What pip is configured with: package index, certificates, proxy and trusted hosts are the user's choice."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from winvllm_build import process
from winvllm_build.errors import ToolchainError

SECTIONS = ("global", "download", "install", ":env:")
"""Later sections win, as in pip; `:env:` holds the PIP_* variables."""
DEFAULT_TIMEOUT = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PipSettings:
    """The part of pip's configuration that says where packages come from.

    `index_url` None means pip's own default; `timeout` is in seconds.
    """

    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    trusted_hosts: tuple[str, ...] = ()
    certificates: str | None = None
    client_certificate: str | None = None
    proxy: str | None = None
    timeout: float = DEFAULT_TIMEOUT


def read_pip_settings() -> PipSettings:
    """Ask pip itself; where this interpreter has no pip, the PIP_* variables alone count."""
    values = environment_values(os.environ)
    if importlib.util.find_spec("pip") is not None:
        with contextlib.suppress(ToolchainError):
            asked = process.capture(
                [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"], timeout=60
            )
            if asked.code == 0:
                values = parse_config_list(asked.text)
    return settings_from(values)


def environment_values(environment: Mapping[str, str]) -> dict[str, str]:
    """The PIP_* variables as pip names their options: `PIP_INDEX_URL` is `index-url`."""
    return {
        name[4:].lower().replace("_", "-"): value
        for name, value in environment.items()
        if name.upper().startswith("PIP_") and value
    }


def parse_config_list(text: str) -> dict[str, str]:
    """The lines of `pip config list` (`section.option='value'`), merged in pip's order of precedence."""
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in text.splitlines():
        key, separator, literal = line.partition("=")
        section, _, option = key.strip().rpartition(".")
        if separator and section in found:
            with contextlib.suppress(ValueError, SyntaxError):
                found[section][option] = str(ast.literal_eval(literal.strip()))
    return {option: value for section in SECTIONS for option, value in found[section].items()}


def settings_from(values: Mapping[str, str]) -> PipSettings:
    def words(option: str) -> tuple[str, ...]:
        return tuple(values.get(option, "").split())

    try:
        timeout = float(values.get("timeout", values.get("default-timeout", DEFAULT_TIMEOUT)))
    except ValueError:
        timeout = DEFAULT_TIMEOUT
    return PipSettings(
        index_url=values.get("index-url") or None,
        extra_index_urls=words("extra-index-url"),
        find_links=words("find-links"),
        no_index=values.get("no-index", "").strip().lower() in ("1", "true", "yes", "on"),
        trusted_hosts=words("trusted-host"),
        certificates=values.get("cert") or None,
        client_certificate=values.get("client-cert") or None,
        proxy=values.get("proxy") or None,
        timeout=timeout,
    )
