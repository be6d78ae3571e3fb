"""A page of another origin that talks to an OpenAI-compatible server with `fetch`, and what it has to see."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx2

from tests.webdriver import Page

PAGE: Final = "<!doctype html><meta charset=utf-8><title>chat</title><link rel=icon href='data:,'>"
ASK: Final = """\
const [base, body] = arguments;
const state = window.state = {status: 0, text: "", chunks: 0, ended: "", error: "", done: false};
window.control = new AbortController();
(async () => {
  try {
    const answer = await fetch(base + "/v1/chat/completions", {
      method: "POST", body: JSON.stringify(body), signal: window.control.signal,
      headers: {"Content-Type": "application/json", "Authorization": "Bearer anything"}});
    state.status = answer.status;
    if (!answer.ok) { state.text = (await answer.json()).error.message; return; }
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const {done, value} = await reader.read();
      if (done) break;
      const events = (rest + value).split("\\n\\n");
      rest = events.pop();
      for (const event of events) {
        const said = event.slice("data: ".length);
        if (said === "[DONE]") { state.ended = said; continue; }
        const [choice] = JSON.parse(said).choices;
        state.text += choice.delta.content ?? "";
        state.chunks += 1;
      }
    }
  } catch (error) { state.error = error.name; } finally { state.done = true; }
})();
"""
STATE: Final = "return window.state"
WAIT_SECONDS: Final = 120.0


def question(model: str, **more: object) -> dict[str, object]:
    messages = [{"role": "user", "content": "Grüße, 世界 🙂"}]
    return {"model": model, "messages": messages, "temperature": 0, "max_tokens": 24, **more}


def ask(page: Page, folder: Path, base: str, body: Mapping[str, object]) -> None:
    """Send `body` from a page of the file system, which is an origin of its own."""
    file = folder / "chat.html"
    file.write_text(PAGE, encoding="utf-8")
    page.open(file.as_uri())
    page.run(ASK, base, body)


def until(page: Page, script: str) -> Mapping[str, Any]:
    """The page's state once `script`, an expression about it, holds."""
    end = time.monotonic() + WAIT_SECONDS
    while not page.run(f"const state = window.state; return {script}"):
        assert time.monotonic() < end, page.run(STATE)
        time.sleep(0.02)
    found = page.run(STATE)
    assert isinstance(found, dict)
    return found


def whole(base: str, body: Mapping[str, object]) -> str:
    """The same answer without streaming and without a browser."""
    answer = httpx2.post(f"{base}/v1/chat/completions", json=body, timeout=WAIT_SECONDS).raise_for_status()
    content = answer.json()["choices"][0]["message"]["content"]
    assert isinstance(content, str)
    return content


def metric(base: str, name: str) -> int:
    """The sum of upstream's counter or gauge over its labels."""
    page = httpx2.get(f"{base}/metrics", timeout=WAIT_SECONDS).raise_for_status().text
    counts = re.findall(rf"^vllm:{name}\{{.*\}} (\S+)$", page, re.MULTILINE)
    assert counts
    return int(sum(map(float, counts)))


def is_idle(base: str) -> bool:
    """Whether the server comes to have nothing to do."""
    end = time.monotonic() + WAIT_SECONDS
    while metric(base, "num_requests_running"):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
