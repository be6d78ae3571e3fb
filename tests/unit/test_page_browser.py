"""The report's page in a real browser: shown, filtered, opened by hand, by keys and by its address."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.page_steps import DOWN, ENTER, ESCAPE, HASH, LEFT, PANEL, RIGHT, SHOWN, at, needs_browser, text
from tests.report_cases import GONE, HOSTILE, TAGS, sample
from tests.webdriver import Page
from winvllm_build.port import page
from winvllm_build.port.verdict import Kind

pytestmark = needs_browser
PLACES = """\
return ["#frame", "thead .corner", "tbody tr:nth-child(9) th"].map((which) => {
  const box = document.querySelector(which).getBoundingClientRect();
  return [box.left, box.top];
});
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("page") / "report.html"
    made.write_bytes(page.render(sample()).encode())
    return made


@pytest.fixture
def opened(chromium: Page, file: Path) -> Iterator[Page]:
    """The page, newly opened; at the end nothing may have complained."""
    chromium.open("about:blank")
    chromium.open(file.as_uri())
    yield chromium
    assert chromium.complaints() == []
    assert chromium.run("return document.title") == "Patches of v0.9.0: what carries where"


def test_what_broke_first_comes_first_and_hostile_names_are_text(opened: Page) -> None:
    shown = opened.run(SHOWN)
    assert len(shown) == len(sample().rows)
    assert shown[0] == "src/twice.py"
    assert any("onerror" in name for name in shown)
    assert opened.run("return document.querySelectorAll('img').length") == 0
    assert opened.run("return document.querySelectorAll('td.first').length") == sum(
        len(sample().breaks(row)) for row in sample().rows
    )


def test_a_click_opens_the_details_and_the_address_names_them(opened: Page, file: Path) -> None:
    opened.click("tbody tr:first-child td:nth-child(6)")
    said = text(opened)
    assert "src/twice.py" in said
    assert "conflict" in said
    assert "why it is so" in said
    assert f"winvllm-build port {TAGS[-1]} --from v0.9.0 --explain src/twice.py" in said
    address = opened.run("return location.href")
    opened.open("about:blank")
    opened.open(address)
    assert text(opened) == said
    opened.click("#close")
    assert opened.run(PANEL) is None
    assert opened.run(HASH) in ("", "#")
    assert file.exists()


def test_keys_move_open_step_and_close(opened: Page) -> None:
    opened.run("document.querySelector('tbody tr td').focus()")
    opened.keys(RIGHT, RIGHT, DOWN, ENTER)
    first = opened.run(HASH)
    assert f"tag={TAGS[2]}" in first
    opened.keys(RIGHT)
    assert f"tag={TAGS[3]}" in opened.run(HASH)
    opened.keys(LEFT)
    assert opened.run(HASH) == first
    opened.keys(ESCAPE)
    assert opened.run(PANEL) is None
    assert opened.run("return document.activeElement.tagName") == "TD"


def test_a_hint_appears_on_hover_and_on_focus(opened: Page) -> None:
    hint = "const tip = document.getElementById('tip'); return tip.hidden ? null : tip.innerText"
    opened.hover("tbody tr:first-child td:nth-child(2)")
    assert "v1.0.0 · conflict" in opened.run(hint)
    opened.run("document.querySelectorAll('tbody tr td')[2].focus()")
    assert "offset" in opened.run(hint)
    opened.run("document.querySelectorAll('tbody tr td')[1].focus()")
    assert "no archive" in opened.run(hint)


def test_filters_narrow_the_rows_and_stay_in_the_address(opened: Page, file: Path) -> None:
    opened.click("#broken")
    broken = opened.run(SHOWN)
    assert len(broken) == len([row for row in sample().rows if sample().breaks(row)])
    opened.click(f".chip[data-kind='{Kind.DELETED.value}']")
    assert opened.run(SHOWN) == ["src/deleted.py"]
    assert opened.run(HASH) == "#broken=1&kind=deleted"
    opened.click("#reset")
    assert len(opened.run(SHOWN)) == len(sample().rows)
    for asked, names in (
        ({"q": "twice runtime"}, ["src/twice.py"]),
        ({"topic": "runtime"}, ["src/twice.py"]),
        ({"kind": "upstreamed", "sort": "path"}, ["src/upstreamed.py"]),
        ({"q": "nothing has this"}, []),
    ):
        at(opened, file, **asked)
        assert opened.run(SHOWN) == names


def test_equal_releases_fold(opened: Page) -> None:
    count = "return [...document.querySelectorAll('thead th')].filter(h => !h.hidden).length - 1"
    assert opened.run(count) == len(TAGS)
    opened.click("#fold")
    assert opened.run(count) == len(TAGS) - 1
    cells = "return document.querySelectorAll('tbody tr:first-child td:not([hidden])').length"
    assert opened.run(cells) == len(TAGS) - 1


def test_a_hostile_patch_opens_by_its_address(opened: Page, file: Path) -> None:
    for name in HOSTILE:
        at(opened, file, patch=f"layer {name}/{name}", tag=TAGS[-1])
        said = text(opened)
        assert "and more" in said
        assert "3 more lines" in said
        assert opened.run("return document.querySelectorAll('#panel img, #panel script').length") == 0
    at(opened, file, patch="nobody", tag=TAGS[0])
    assert opened.run(PANEL) is None
    at(opened, file, patch="src/twice.py", tag=GONE)
    assert opened.run(PANEL) is None


def test_the_story_leads_to_the_cell(opened: Page) -> None:
    opened.click(".story [data-patch='windows/src/deleted.py']")
    assert "src/deleted.py" in text(opened)
    assert f"tag={TAGS[2]}" in opened.run(HASH)


def test_light_and_dark(opened: Page) -> None:
    paper = "return getComputedStyle(document.body).backgroundColor"
    before = opened.run(paper)
    opened.click("#theme")
    assert opened.run(paper) != before


def test_head_and_first_column_stay_in_sight(opened: Page) -> None:
    frame = "const frame = document.getElementById('frame');"
    opened.run(
        f"{frame} frame.style.maxHeight = '260px'; frame.style.width = '420px'; frame.scrollTo(80, 120)"
    )
    around, head, name = opened.run(PLACES)
    assert abs(head[1] - around[1]) <= 2
    assert abs(head[0] - around[0]) <= 2
    assert abs(name[0] - around[0]) <= 2
