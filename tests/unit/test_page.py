"""The report's page without a browser: whole, harmless, and nothing in it comes from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from tests.report_cases import GONE, HOSTILE, TAGS, Page, sample
from winvllm_build.port import matrix, page
from winvllm_build.port.matrix import Report
from winvllm_build.port.signs import MISSING, SIGNS
from winvllm_build.port.verdict import Kind
from winvllm_build.review.text import harmless

LIMIT = 1_500_000


@pytest.fixture(scope="module")
def report() -> Report:
    return sample()


@pytest.fixture(scope="module")
def content(report: Report) -> str:
    return page.render(report)


@pytest.fixture(scope="module")
def read(content: str) -> Page:
    return Page.read(content)


def test_every_verdict_is_in_the_table(report: Report, read: Page) -> None:
    cells = [row for row in read.cells if row]
    assert len(cells) == len(report.rows)
    for row, found in zip(report.rows, cells, strict=True):
        kinds = [row.verdicts[tag].kind if tag in row.verdicts else None for tag in TAGS]
        assert found == [
            ("", MISSING.letter) if kind is None else (kind.value, SIGNS[kind].letter) for kind in kinds
        ]
    assert {label for row in cells for label, _ in row} == {"", *(kind.value for kind in Kind)}


def test_every_kind_has_a_letter_of_its_own_and_a_colour(read: Page) -> None:
    letters = [sign.letter for sign in SIGNS.values()]
    assert set(SIGNS) == set(Kind)
    assert len({*letters, MISSING.letter}) == len(Kind) + 1
    for kind, sign in SIGNS.items():
        assert f".k-{page.slug(kind)} " in read.sources["style"]
        assert (sign.letter.isupper() or sign.letter == "?") == kind.is_open


def test_its_data_are_those_of_the_report(report: Report, read: Page) -> None:
    assert read.blocks["data"] == json.loads(json.dumps(matrix.data(report)))
    assert {kind: sign["letter"] for kind, sign in read.blocks["signs"].items()} == {
        kind.value: sign.letter for kind, sign in SIGNS.items()
    }
    details = read.blocks["details"]
    assert len(details["texts"]) == 1
    assert set(details["cells"]) == {f"layer {name}/{name}" for name in HOSTILE}


def test_nothing_comes_from_elsewhere(content: str, read: Page) -> None:
    assert read.outside == []
    assert re.findall(r"(?:https?:)?//[\w.]+\.\w+|@import|url\(", content) == []
    assert "link" not in read.tags
    assert "img" not in read.tags


def test_only_its_own_script_and_style_may_run(read: Page) -> None:
    policy = read.meta["Content-Security-Policy"]
    for kind in ("script", "style"):
        digest = base64.b64encode(hashlib.sha256(read.sources[kind].encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert read.tags.count("script") == len(("data", "details", "signs", "its own"))
    assert read.tags.count("style") == 1


def test_names_stay_names(read: Page) -> None:
    for name in HOSTILE:
        last = harmless(name).rsplit("/", 1)[-1]
        assert any(last in text for text in read.names)
    assert any("\\xff\\xfe.py" in text for text in read.names)
    assert not any("\u202e" in text or "\x1b" in text for text in read.names)


def test_a_page_is_utf_8_whatever_the_names_are(content: str) -> None:
    assert content.encode("utf-8").decode("utf-8") == content


def test_a_release_without_files_says_why(content: str) -> None:
    assert f"{GONE}: no archive &lt;/script&gt;" in content


def test_a_set_as_large_as_the_real_one_is_a_small_page(report: Report) -> None:
    rows, columns = report.rows, report.columns
    many = tuple(rows[at % len(rows)] for at in range(66))
    wide = tuple(columns[at % len(columns)] for at in range(28))
    large = Report(old=report.old, columns=wide, rows=many, seconds=1.0, column_seconds={})
    assert len(page.render(large).encode()) < LIMIT


def test_the_files_of_the_page_are_shipped_with_the_package(checkout: Path) -> None:
    listed = (checkout / "pyproject.toml").read_text(encoding="utf-8")
    assert '"*" = ["py.typed", "*.css", "*.toml", "*.json", "data/**/*"]' in listed
    assert {file.name for file in page.FILES.iterdir()} == {
        f"report{kind}" for kind in (".css", ".js", ".html.jinja")
    }
