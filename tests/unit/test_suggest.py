"""The nearest names, in one wording for every message."""

from __future__ import annotations

import pytest

from winvllm_build.suggest import did_you_mean


@pytest.mark.parametrize(
    ("word", "known", "most", "said"),
    [
        ("torhc", ["torch", "cuda"], 1, '; did you mean "torch"?'),
        ("release", ["Release", "Debug"], 1, '; did you mean "Release"?'),
        ("v1.1", ["v1.0", "v1.2", "other"], 3, '; did you mean "v1.2" or "v1.0"?'),
        ("v1.1", ["v1.0", "v1.2", "other"], 1, '; did you mean "v1.2"?'),
        ("zzz", ["torch"], 3, ""),
        ("torch", [], 1, ""),
    ],
)
def test_the_nearest_names(word: str, known: list[str], most: int, said: str) -> None:
    assert did_you_mean(word, known, most=most) == said
