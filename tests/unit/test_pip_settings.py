"""pip's settings, as files and variables give them."""

from __future__ import annotations

from winvllm_build.pip_settings import PipSettings, environment_values, parse_config_list, settings_from


def test_pips_settings_and_their_precedence() -> None:
    text = (
        "global.index-url='first'\n"
        "install.index-url='second'\n"
        ":env:.find-links='/x /y'\n"
        "global.extra-index-url='third\\nfourth'\n"
        "freeze.timeout='1'\n"
        "global.no-index='true'\n"
        "garbage\n"
    )
    settings = settings_from(parse_config_list(text))
    assert settings == PipSettings(
        index_url="second",
        find_links=("/x", "/y"),
        extra_index_urls=("third", "fourth"),
        no_index=True,
    )


def test_pips_variables_are_options() -> None:
    values = environment_values(
        {"PIP_INDEX_URL": "u", "PIP_CERT": "", "OTHER": "x", "PIP_DEFAULT_TIMEOUT": "3"}
    )
    assert settings_from(values) == PipSettings(index_url="u", timeout=3.0)
