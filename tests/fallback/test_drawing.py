"""How tokens are drawn and how they become text, in the Python that has PyTorch."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.fallback.served import environment

PROGRAMS = Path(__file__).resolve().parent / "programs"
TEXT = "naïve 你好 🙂🙃 hello\nworld é"
NEAR = 0.04
"""Of a share; 4,000 draws differ by 0.008 from what is expected, more than 0.03 hardly ever."""


def said(interpreter: Path, program: str, *folders: Path) -> dict[str, Any]:
    ended = subprocess.run(
        [interpreter, PROGRAMS / program, *folders],
        capture_output=True,
        check=False,
        env=environment(),
        timeout=300,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    answer: dict[str, Any] = json.loads(ended.stdout)
    return answer


@pytest.fixture(scope="module")
def found(interpreter: Path, model: Path) -> dict[str, Any]:
    return said(interpreter, "drawing.py", model)


@pytest.mark.parametrize("way", ["fast", "window"])
def test_text_comes_in_whole_characters(found: dict[str, Any], way: str) -> None:
    pieces = found["texts"][way]
    assert "".join(pieces) == TEXT
    assert not any("\N{REPLACEMENT CHARACTER}" in piece for piece in pieces)
    assert "" in pieces  # a token that is half of a character
    assert len([piece for piece in pieces if piece]) > len(TEXT) // 2


@pytest.mark.parametrize(
    ("name", "text", "string"),
    [
        ("split", "naïve 你好 🙂🙃 he", "llo\nw"),
        ("kept", "naïve 你好 🙂🙃 hello\nw", "llo\nw"),
        ("first of two", "naïve ", "你好"),
        ("later", TEXT, None),
        ("none", TEXT, None),
        ("a character", "naïve 你好 🙂", "🙃"),
    ],
)
def test_a_stop_string_ends_the_text_wherever_tokens_are_cut(
    found: dict[str, Any], name: str, text: str, string: str | None
) -> None:
    stop = found["stops"][name]
    assert (stop["text"], stop["string"]) == (text, string)


def test_text_that_cannot_stop_is_not_held_back(found: dict[str, Any]) -> None:
    given = found["stops"]["none"]["given"]
    assert len([piece for piece in given if piece]) > 3
    assert len(given[-1]) <= len("worldwide") - 1


def test_tokens_are_drawn_by_their_chances(found: dict[str, Any]) -> None:
    assert found["shares"]["plain"] == pytest.approx(found["softmax"], abs=NEAR)
    hot, plain = found["shares"]["hot"], found["shares"]["plain"]
    assert hot[0] < plain[0]
    assert hot[3] > plain[3]


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("top_k", {0, 1}),
        ("top_p", {0, 1}),  # 0.64 alone is less than 0.7
        ("min_p", {0, 1, 2}),
        ("biased", {5}),
        ("allowed", {3, 4}),
        ("not yet the end", {2, 3, 4}),
        ("frequency", {0}),
    ],
)
def test_a_cut_leaves_what_it_says(found: dict[str, Any], name: str, drawn: set[int]) -> None:
    shares = found["shares"][name]
    assert {token for token, share in enumerate(shares) if share} == drawn
    chances = [chance if token in drawn else 0.0 for token, chance in enumerate(found["softmax"])]
    assert shares == pytest.approx([chance / sum(chances) for chance in chances], abs=NEAR)


def test_a_seed_decides_whatever_else_is_drawn(found: dict[str, Any]) -> None:
    alone, *beside = found["seeded"]
    assert beside == [alone, alone]
    assert found["other seed"] != alone
    assert len(set(alone)) > 1


def test_an_answer_that_waits_takes_no_memory_for_its_penalties(found: dict[str, Any]) -> None:
    assert found["waiting"] == 3


def test_text_goes_on_from_the_last_tokens_of_a_prompt(found: dict[str, Any]) -> None:
    whole, cut, broken = found["tails"]
    assert whole == 4
    assert 4 <= cut <= broken
    assert broken < 30


def test_what_was_said_often_is_said_less(found: dict[str, Any]) -> None:
    # 2, 1, 0, -1, ... less 0.6 for having been said and 0.6 for each time
    assert found["penalised"][:8] == [0, 1, 0, 0, 2, 1, 0, 1]


def test_answers_that_the_cache_does_not_hold_together_are_those_of_each_alone(
    interpreter: Path, model: Path
) -> None:
    """Some are evicted and read again; prompts are read in pieces."""
    answers = said(interpreter, "pressure.py", model)
    assert sum(map(len, answers["together"])) > 2 * answers["room"]
    assert answers["together"] == answers["alone"]
    assert answers["left"] == 0


def test_models_of_other_families_generate_what_they_generate(
    interpreter: Path, model: Path, tmp_path: Path
) -> None:
    found = said(interpreter, "architectures.py", model, tmp_path)
    assert sorted(found) == ["both", "experts", "llama", "window"]
    for name, tokens in found.items():
        assert tokens["engine"] == tokens["generate"], name
