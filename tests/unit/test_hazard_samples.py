"""The catalogue against the scanners: every sample is found, every repaired one is left alone."""

from __future__ import annotations

import pytest

from winvllm_build.audit.hazard import Sample, catalogue
from winvllm_build.audit.hit import State
from winvllm_build.audit.scan import scan_sample

KNOWN = tuple(f"D{number}" for number in range(1, 43)) + tuple(f"E{number}" for number in range(1, 46))
"""The hazards that were known before there were rules; ids do not change."""
SAMPLES = [
    pytest.param(hazard.id, sample, id=f"{hazard.id}-{number}-{sample.path}")
    for hazard in catalogue().values()
    for number, sample in enumerate(hazard.samples)
]


def live(hazard: str, sample: Sample, text: str) -> list[tuple[str, int, str]]:
    """Rule, line and text of each live hit of a hazard."""
    hits = scan_sample(sample, text).hits
    return [(hit.rule, hit.line, hit.text) for hit in hits if (hit.hazard, hit.state) == (hazard, State.LIVE)]


@pytest.mark.parametrize(("hazard", "sample"), SAMPLES)
def test_what_breaks_is_found(hazard: str, sample: Sample) -> None:
    assert live(hazard, sample, sample.bad)


@pytest.mark.parametrize(("hazard", "sample"), SAMPLES)
def test_what_is_repaired_is_not(hazard: str, sample: Sample) -> None:
    assert live(hazard, sample, sample.good) == []


@pytest.mark.parametrize(("hazard", "sample"), SAMPLES)
def test_a_hit_is_where_its_text_is(hazard: str, sample: Sample) -> None:
    lines = sample.bad.splitlines()
    for _, line, text in live(hazard, sample, sample.bad):
        assert text.strip() == text
        assert text in lines[line - 1]


def test_every_known_hazard_is_in_the_catalogue() -> None:
    assert set(KNOWN) <= set(catalogue())


@pytest.mark.parametrize("hazard", catalogue().values(), ids=lambda hazard: hazard.id)
def test_nothing_is_left_unsaid(hazard: object) -> None:
    for name in ("title", "why", "shows", "fix", "source"):
        words = getattr(hazard, name)
        assert words.strip() == words
        assert words
        assert "TODO" not in words
