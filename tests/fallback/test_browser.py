"""The fallback server asked by a page in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser_chat import ask, is_idle, metric, question, until, whole
from tests.fallback.conftest import ARGUMENTS
from tests.fallback.served import Served, served
from tests.page_steps import needs_browser
from tests.webdriver import Page

pytestmark = needs_browser


@pytest.fixture(scope="module")
def open_server(interpreter: Path, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One that pages of every origin may ask."""
    folder = tmp_path_factory.mktemp("open")
    with served(interpreter, folder, model, *ARGUMENTS, "--allowed-origins", '["*"]') as running:
        yield running


def test_a_page_of_another_origin_streams_an_answer(
    open_server: Served, chromium: Page, tmp_path: Path
) -> None:
    ask(chromium, tmp_path, open_server.base, question("tiny", stream=True))
    state = until(chromium, "state.done")
    assert (state["status"], state["ended"], state["error"]) == (200, "[DONE]", "")
    assert state["chunks"] > 2
    assert state["text"] == whole(open_server.base, question("tiny")) != ""
    assert chromium.complaints() == []


def test_a_page_that_stops_listening_ends_its_answer(
    open_server: Served, chromium: Page, tmp_path: Path
) -> None:
    before = metric(open_server.base, "generation_tokens_total")
    ask(chromium, tmp_path, open_server.base, question("tiny", stream=True, max_tokens=200, ignore_eos=True))
    until(chromium, "state.chunks > 2")
    assert metric(open_server.base, "num_requests_running") == 1
    chromium.run("window.control.abort()")
    state = until(chromium, "state.done")
    assert (state["error"], state["ended"]) == ("AbortError", "")
    assert is_idle(open_server.base)
    assert metric(open_server.base, "generation_tokens_total") - before < 200


def test_a_page_reads_why_it_was_refused(open_server: Served, chromium: Page, tmp_path: Path) -> None:
    ask(chromium, tmp_path, open_server.base, question("nobody", stream=True))
    state = until(chromium, "state.done")
    assert state["status"] == 404
    assert "nobody" in state["text"]


def test_a_page_that_was_not_allowed_gets_nothing(server: Served, chromium: Page, tmp_path: Path) -> None:
    ask(chromium, tmp_path, server.base, question("tiny", stream=True))
    state = until(chromium, "state.done")
    assert (state["status"], state["text"], state["error"]) == (0, "", "TypeError")
