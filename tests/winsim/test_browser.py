"""Upstream's server with its engine in one process, asked by a page in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser_chat import ask, is_idle, metric, question, until, whole
from tests.page_steps import needs_browser
from tests.webdriver import Page
from tests.winsim.conftest import Machines
from tests.winsim.test_serve import arguments, free_port, wait_until_up

pytestmark = [pytest.mark.network, needs_browser]


def test_a_page_of_another_origin_streams_stops_and_is_refused(
    machine: Machines, model: Path, chromium: Page, tmp_path: Path
) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with machine("v0.33.0").start(*arguments(model, port, "--allowed-origins", '["*"]')) as server:
        wait_until_up(server, port)
        ask(chromium, tmp_path, base, question("tiny", stream=True))
        state = until(chromium, "state.done")
        assert (state["status"], state["ended"], state["error"]) == (200, "[DONE]", "")
        assert state["text"] == whole(base, question("tiny")) != ""
        assert chromium.complaints() == []
        before = metric(base, "generation_tokens_total")
        ask(chromium, tmp_path, base, question("tiny", stream=True, max_tokens=200, ignore_eos=True))
        until(chromium, "state.chunks > 2")
        chromium.run("window.control.abort()")
        assert until(chromium, "state.done")["error"] == "AbortError"
        assert is_idle(base)
        assert metric(base, "generation_tokens_total") - before < 200
        ask(chromium, tmp_path, base, question("nobody", stream=True))
        state = until(chromium, "state.done")
        assert (state["status"], "nobody" in state["text"]) == (404, True)
