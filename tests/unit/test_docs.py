"""Links between the pages of the manual lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "patches/README.md", "docs")
INDEX = "README.md"
LINK = re.compile(r"\]\(([^)\s]+)\)")


def pages(checkout: Path) -> list[Path]:
    named = [checkout / name for name in PAGES]
    return [page for path in named for page in (sorted(path.rglob("*.md")) if path.is_dir() else [path])]


def broken_links(page: Path) -> list[str]:
    """The relative links of a page whose file is not there."""
    targets = [match[1].partition("#")[0] for match in LINK.finditer(page.read_text(encoding="utf-8"))]
    local = [target for target in targets if target and "://" not in target]
    return [f"{page.name}: {target}" for target in local if not (page.parent / target).exists()]


def test_no_link_is_broken(checkout: Path) -> None:
    found = pages(checkout)
    assert len(found) > len(PAGES)
    assert [link for page in found for link in broken_links(page)] == []


def test_every_page_is_in_the_index_of_its_folder_and_that_in_the_one_above(checkout: Path) -> None:
    folder = checkout / "docs"
    for page in sorted(folder.rglob("*.md")):
        if page == folder / INDEX:
            continue
        index = (page.parent.parent if page.name == INDEX else page.parent) / INDEX
        listed = {match[1] for match in LINK.finditer(index.read_text(encoding="utf-8"))}
        assert page.relative_to(index.parent).as_posix() in listed


def test_the_manual_tells_of_every_file_that_runs_under_wine(checkout: Path) -> None:
    told = (checkout / "docs" / "windows.md").read_text(encoding="utf-8")
    files = {file.name for file in (checkout / "tests" / "wine" / "inside").glob("check_*.py")}
    assert files == set(re.findall(r"^\| `(check_\w+\.py)` \|", told, re.MULTILINE))


@pytest.mark.parametrize(("target", "count"), [("there.md", 0), ("gone.md", 1), ("https://example.org/x", 0)])
def test_a_broken_link_is_found(tmp_path: Path, target: str, count: int) -> None:
    (tmp_path / "there.md").touch()
    page = tmp_path / "page.md"
    page.write_text(f"see [it]({target}#part)", encoding="utf-8")
    assert len(broken_links(page)) == count
