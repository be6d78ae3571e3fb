"""A real browser, asked over the WebDriver protocol (www.w3.org/TR/webdriver2): what tests need."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "chrome")
DRIVER: Final = "chromedriver"
FLAGS: Final = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--force-prefers-reduced-motion",
)  # fmt: skip
STARTED: Final = 60.0
"""Seconds that the driver gets to listen."""


def browser() -> str | None:
    """The program of a browser that has a driver; None where either is not there."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    return found if shutil.which(DRIVER) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One window."""

    session: str

    def open(self, address: str) -> None:
        _ask("POST", f"{self.session}/url", {"url": address})

    def run(self, script: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever the script returns
        """The value of a function body in the page."""
        return _ask("POST", f"{self.session}/execute/sync", {"script": script, "args": [*arguments]})

    def click(self, selector: str) -> None:
        found = _ask("POST", f"{self.session}/element", {"using": "css selector", "value": selector})
        _ask("POST", f"{self.session}/element/{next(iter(found.values()))}/click", {})

    def keys(self, *keys: str) -> None:
        """Pressed one after the other where the focus is."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        source = {"type": "key", "id": "keyboard", "actions": actions}
        _ask("POST", f"{self.session}/actions", {"actions": [source]})

    def hover(self, selector: str) -> None:
        found = _ask("POST", f"{self.session}/element", {"using": "css selector", "value": selector})
        move = {"type": "pointerMove", "duration": 0, "x": 0, "y": 0, "origin": found}
        source = {"type": "pointer", "id": "mouse", "actions": [move]}
        _ask("POST", f"{self.session}/actions", {"actions": [source]})

    def complaints(self) -> list[str]:
        """What the console said since it was asked last: errors, refused content."""
        return [entry["message"] for entry in _ask("POST", f"{self.session}/se/log", {"type": "browser"})]

    def picture(self) -> bytes:
        """A PNG of the window."""
        return base64.b64decode(_ask("GET", f"{self.session}/screenshot"))


@contextmanager
def window(program: str, profile: Path, *, width: int = 1500, height: int = 1000) -> Iterator[Page]:
    """A browser of one's own with an empty profile."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen(
        [DRIVER, f"--port={port}", "--silent"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    server = f"http://127.0.0.1:{port}"
    try:
        _wait(server)
        flags = [*FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}"]
        wanted = {"browserName": "chrome", "goog:chromeOptions": {"binary": program, "args": flags},
                  "goog:loggingPrefs": {"browser": "ALL"}}  # fmt: skip
        made = _ask("POST", f"{server}/session", {"capabilities": {"alwaysMatch": wanted}})
        session = f"{server}/session/{made['sessionId']}"
        try:
            yield Page(session=session)
        finally:
            _ask("DELETE", session)
    finally:
        driver.terminate()
        driver.wait(STARTED)


def _wait(server: str) -> None:
    late = time.monotonic() + STARTED
    while time.monotonic() < late:
        try:
            if _ask("GET", f"{server}/status")["ready"]:
                return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"{DRIVER} does not answer")


def _ask(method: str, address: str, content: object = None) -> Any:  # noqa: ANN401 - JSON
    body = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(address, data=body, method=method)  # noqa: S310 - our own driver
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=180) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(error.read().decode("utf-8", "replace")) from error
