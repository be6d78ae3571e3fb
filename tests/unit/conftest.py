"""Fixtures of several test modules of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.page_steps import PROGRAM
from tests.webdriver import Page, window


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    assert PROGRAM is not None
    with window(PROGRAM, tmp_path_factory.mktemp("profile")) as opened:
        yield opened
