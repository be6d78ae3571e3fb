"""The pages of the hazards are current, and every id that a patch set names is one of the catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import hazard_pages
from winvllm_build.audit.explanation import answers, escaped, markdown
from winvllm_build.audit.hazard import Hazard, Sample, Severity, catalogue
from winvllm_build.data import patches_root

HAZARD = Hazard(
    id="D12", title="uint", severity=Severity.COMPILE, why="MSVC has no `uint` and no __int128.",
    shows="C2065", fix="Write unsigned.", source="seen",
    samples=(Sample(path="csrc/a.cu", bad="uint a;\n", good="int a;\n"),),
)  # fmt: skip


def test_the_pages_are_current() -> None:
    written = {file.name: file.read_text(encoding="utf-8") for file in hazard_pages.FOLDER.iterdir()}
    assert written == hazard_pages.pages(), "run: python scripts/hazard_pages.py"


def test_the_index_links_every_page(checkout: Path) -> None:
    index = (checkout / "docs" / "hazards" / "README.md").read_text(encoding="utf-8")
    for hazard in catalogue():
        assert f"[{hazard}]({hazard}.md)" in index


def test_every_id_that_a_set_names_is_in_the_catalogue() -> None:
    named = answers(patches_root())
    assert len(named) > 80
    assert set(named) <= set(catalogue())


def test_a_page_has_everything_about_its_hazard() -> None:
    text = markdown(HAZARD, answers(patches_root())["D12"], ["posix-type"], patches="../../patches")
    assert text.startswith("# D12: uint\n\n*blocks compile*\n\nMSVC has no `uint` and no \\_\\_int128.\n")
    assert "```cuda\nuint a;\n```" in text
    assert "```cuda\nint a;\n```" in text
    assert "By `winvllm-build scan`, as `posix-type`." in text
    link = "../../patches/v0.14.1/windows/vllm/csrc/attention/merge_attn_states.cu.patch"
    assert f"v0.14.1: patched:\n\n- [`csrc/attention/merge_attn_states.cu`]({link}): " in text


def test_on_a_terminal_nothing_is_escaped_or_linked() -> None:
    text = markdown(HAZARD, answers(patches_root())["D12"])
    assert "no __int128." in text
    assert "](" not in text


def test_a_hazard_of_the_machine_says_that_no_scan_finds_it() -> None:
    assert "`winvllm-build scan` cannot find it" in markdown(catalogue()["E36"])
    assert "`winvllm-build scan` cannot find it" not in markdown(catalogue()["D10"])


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("a_b __c `__d` <e>", "a_b \\_\\_c `__d` \\<e\\>"),
        ("x | y", "x \\| y"),
        ("[a](b) *c*", "\\[a\\](b) \\*c\\*"),
    ],
)
def test_markup_in_prose_is_escaped_and_code_is_not(text: str, made: str) -> None:
    assert escaped(text) == made
