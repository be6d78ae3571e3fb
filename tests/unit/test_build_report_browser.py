"""A build's page in a real browser: drawn, zoomed, filtered, sorted; by mouse, by keys, by its address."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.build_report_cases import FAILED, HOSTILE, RETRIED, sample, sample_pair, unwatched
from tests.page_steps import DOWN, ENTER, ESCAPE, HASH, LEFT, PANEL, RIGHT, SHOWN, UP, at, needs_browser, text
from tests.webdriver import Page
from winvllm_build.build.report import comparison, page, runs

pytestmark = needs_browser
BARS = "return document.querySelectorAll('#timeline .edge').length"
TIP = "const tip = document.getElementById('tip'); return tip.hidden ? null : tip.innerText"
COUNT = len(sample().records)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("page") / "build.html"
    run, earlier = sample_pair()
    made.write_bytes(page.render(run, comparison.compare(run, earlier)).encode())
    return made


@pytest.fixture
def opened(chromium: Page, file: Path) -> Iterator[Page]:
    """The page, newly opened; at the end nothing may have complained."""
    at(chromium, file)
    yield chromium
    assert chromium.complaints() == []
    assert chromium.run("return document.title") == "vLLM v0.33.0 for 8.6, 12.0: the build"


def box(chromium: Page, selector: str) -> dict[str, Any]:
    found = chromium.run(
        "return document.querySelector(arguments[0]).getBoundingClientRect().toJSON()", selector
    )
    assert isinstance(found, dict)
    return found


def test_every_attempt_is_drawn_and_listed_and_hostile_names_are_text(opened: Page) -> None:
    assert opened.run(BARS) == COUNT
    names = opened.run(SHOWN)
    assert len(names) == COUNT
    assert names[0] == f"{RETRIED}attempt 2"
    assert any(HOSTILE[1] in name for name in names)
    assert opened.run("return document.querySelectorAll('img').length") == 0
    assert opened.run("return document.querySelectorAll('#scatter .dot').length") > 50
    assert opened.run("return document.querySelectorAll('#room .used').length") == 1


def test_bars_lie_in_their_slot_at_their_time(opened: Page) -> None:
    around = box(opened, "#timeline .lane")
    run = sample()
    script = """\
const bars = [...document.querySelectorAll("#timeline .edge")];
return bars.map((bar) => {
  const box = bar.getBoundingClientRect();
  return [bar.entry.at, box.left, box.width, box.top];
});
"""
    for number, left, width, top in opened.run(script):
        record, lane = run.records[number], run.lanes[number]
        part = (record.started - run.begun) / run.seconds
        assert left == pytest.approx(around["left"] + part * around["width"], abs=1.5)
        assert width == pytest.approx(record.seconds / run.seconds * around["width"], abs=2)
        assert top == pytest.approx(around["top"] + 31 * lane, abs=2)


def test_a_click_on_a_bar_opens_its_figures_and_the_address_names_them(opened: Page) -> None:
    opened.click("#timeline .edge[aria-label*='scaled_mm_c2x.cu'][aria-label*='5 min']")
    said = text(opened)
    assert f"{RETRIED}, attempt 2" in said
    assert "1: out of memory, run again, 40 s" in said
    assert "earlier run" in said
    address = opened.run("return location.href")
    opened.open("about:blank")
    opened.open(address)
    assert text(opened) == said
    opened.click("#panel h4 + button")
    assert "exit code\n137" in text(opened)
    opened.click("#close")
    assert opened.run(PANEL) is None
    assert opened.run(HASH) in ("", "#")


def test_a_failed_file_says_how_to_learn_why(opened: Page, file: Path) -> None:
    at(opened, file, outcome="failed")
    assert opened.run(SHOWN) == [f"Ffailed: {FAILED}"]
    opened.click("tbody tr:not([hidden])")
    assert f"winvllm-build why {FAILED}" in text(opened)


def test_keys_move_between_bars_open_and_close(opened: Page) -> None:
    opened.run("document.querySelector('#timeline .edge[tabindex=\"0\"]').focus()")
    entry = "return [document.activeElement.entry.slot, document.activeElement.entry.start]"
    slot, start = opened.run(entry)
    opened.keys(RIGHT)
    assert opened.run(entry)[0] == slot
    assert opened.run(entry)[1] > start
    opened.keys(LEFT)
    assert opened.run(entry) == [slot, start]
    opened.keys(DOWN if slot == 0 else UP)
    assert abs(opened.run(entry)[0] - slot) == 1
    label = opened.run("return document.activeElement.entry.label")
    opened.keys(ENTER)
    assert label in text(opened)
    opened.keys(ESCAPE)
    assert opened.run(PANEL) is None
    assert opened.run("return document.activeElement.entry.label") == label


def test_hints_on_hover_and_on_focus(opened: Page) -> None:
    opened.hover("#timeline .edge[aria-label^='csrc/topk.cu']")
    assert "csrc/topk.cu" in text(opened, TIP)
    assert "predicted" in text(opened, TIP)
    opened.hover("#room .area")
    assert "GB of" in text(opened, TIP)
    opened.hover("h1")
    assert opened.run(TIP) is None


def test_filters_dim_bars_and_hide_rows_and_stay_in_the_address(opened: Page, file: Path) -> None:
    opened.click(".chip[data-outcome='reused']")
    count = len(opened.run(SHOWN))
    assert count == sum(record.outcome.value == "reused" for record in sample().records)
    assert opened.run("return document.querySelectorAll('#timeline .dim').length") == COUNT - count
    assert opened.run(HASH) == "#outcome=reused"
    assert f"{count} of {COUNT}" in opened.run("return document.getElementById('shown').textContent")
    opened.click("#reset")
    assert len(opened.run(SHOWN)) == COUNT
    at(opened, file, q="marlin moe u8b128")
    assert len(opened.run(SHOWN)) == 2
    at(opened, file, q="nothing has this")
    assert opened.run("return document.getElementById('empty').hidden") is False


def test_columns_sort_both_ways(opened: Page) -> None:
    cells = """\
return [...document.querySelectorAll("tbody tr")].map((row) => row.entry[arguments[0]])
  .filter((one) => one !== null)
"""
    opened.click("th[data-key='memory'] button")
    values = opened.run(cells, "memory")
    assert values == sorted(values, reverse=True)
    assert opened.run("return document.querySelector('[aria-sort]').dataset.key") == "memory"
    opened.click("th[data-key='memory'] button")
    assert opened.run(cells, "memory") == sorted(values)
    opened.click("th[data-key='difference'] button")
    values = opened.run(cells, "difference")
    assert values == sorted(values, reverse=True)
    assert opened.run(HASH) == "#sort=-difference"


def test_zoom_by_button_and_back(opened: Page) -> None:
    opened.click("#in")
    opened.click("#in")
    assert opened.run(BARS) < COUNT / 2
    wide = box(opened, "#timeline .lane")
    assert all(
        left >= wide["left"] - 1 and right <= wide["right"] + 1
        for left, right in opened.run(
            "return [...document.querySelectorAll('#timeline .edge')]"
            ".map((bar) => bar.getBoundingClientRect()).map((box) => [box.left, box.right])"
        )
    )
    opened.click("#fit")
    assert opened.run(BARS) == COUNT


def test_a_drag_zooms_and_a_double_click_shows_all(opened: Page) -> None:
    drag = """\
const lane = document.querySelectorAll("#timeline .lane")[0], box = lane.getBoundingClientRect();
const send = (kind, part, target) => target.dispatchEvent(new PointerEvent(kind, { bubbles: true, button: 0,
  clientX: box.left + part * box.width, clientY: box.top + 5 }));
send("pointerdown", 0.5, lane); send("pointermove", 0.6, window); send("pointerup", 0.75, window);
return document.querySelectorAll("#timeline .edge").length;
"""
    assert 4 < opened.run(drag) < COUNT / 2
    opened.run("document.getElementById('timeline').dispatchEvent(new MouseEvent('dblclick'))")
    assert opened.run(BARS) == COUNT


@pytest.mark.parametrize("colour", ["target", "outcome", "predicted", "before"])
def test_colours_have_a_legend(opened: Page, file: Path, colour: str) -> None:
    at(opened, file, colour=colour)
    looks = opened.run(
        "return [...new Set([...document.querySelectorAll('#timeline .edge')]"
        ".map((bar) => bar.classList[1]))].sort()"
    )
    named = opened.run(
        "return [...document.querySelectorAll('#legend i')].map((one) => one.classList[1]).sort()"
    )
    assert looks == sorted(set(named))
    assert len(looks) > 1


def test_light_dark_and_narrow(opened: Page) -> None:
    paper = "return getComputedStyle(document.body).backgroundColor"
    before = opened.run(paper)
    opened.click("#theme")
    assert opened.run(paper) != before
    opened.run("document.body.style.width = '380px'")
    script = """\
const done = arguments[0], frame = () => new Promise((go) => requestAnimationFrame(go));
return frame().then(frame).then(frame).then(() => document.getElementById("timeline").viewBox.baseVal.width);
"""
    assert opened.run(script) < 380


def test_the_earlier_run_is_beside_it(opened: Page) -> None:
    assert opened.run("return document.querySelectorAll('#difference li').length") > 10
    opened.click("#difference li")
    assert "earlier run" in text(opened)
    folds = opened.run("return [...document.querySelectorAll('summary')].map((one) => one.textContent)")
    assert folds == ["Ran now, not in the earlier run: 1", "Ran in the earlier run alone: 1"]


def test_a_build_from_ninjas_log_has_its_timeline(chromium: Page, tmp_path: Path) -> None:
    made = tmp_path / "build.html"
    made.write_bytes(page.render(runs.chosen(unwatched(tmp_path), None), None).encode())
    at(chromium, made)
    assert chromium.run(BARS) == 94
    assert chromium.run("return document.getElementById('memory').hidden") is True
    assert chromium.run("return document.getElementById('two').hidden") is True
    chromium.click("tbody tr")
    assert "scaled_mm_c2x.cu" in text(chromium)
    assert chromium.complaints() == []
