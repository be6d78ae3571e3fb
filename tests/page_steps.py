"""What tests of pages in a real browser have in common."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.webdriver import Page, browser

PROGRAM = browser()
needs_browser = pytest.mark.skipif(PROGRAM is None, reason="no chromium with a chromedriver on PATH")
ESCAPE, ENTER, LEFT, RIGHT, UP, DOWN = "\ue00c", "\ue007", "\ue012", "\ue014", "\ue013", "\ue015"
SHOWN = """\
return [...document.querySelectorAll("tbody tr")].filter((row) => !row.hidden)
  .map((row) => row.querySelector(".path").textContent)
"""
PANEL = "const p = document.getElementById('panel'); return p.hidden ? null : p.innerText"
HASH = "return location.hash"


def at(chromium: Page, file: Path, **asked: str) -> None:
    """Open the page anew, at an address of its own."""
    chromium.open("about:blank")
    chromium.open(f"{file.as_uri()}#{urlencode(asked)}")


def text(chromium: Page, script: str = PANEL) -> str:
    found = chromium.run(script)
    assert isinstance(found, str)
    return found
