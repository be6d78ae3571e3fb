"""Divide texts by vLLM's Qwen3 parser in many ways: `python -m winsim.reasoning MODEL TEXTS ANSWER`.

TEXTS is a file with a list of texts. ANSWER has for each what the parser makes of the whole, and every
different thing that it makes of the text as a stream. A stream is a list of deltas of whole tokens; its text
may lie behind them by a few characters until the end, as vLLM holds it back for stop strings.
"""

from __future__ import annotations

import itertools
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer
from vllm.reasoning import ReasoningParserManager

ALL_CUTS_UP_TO = 7
RANDOM_CUTS = 12
OTHER = 9
"""A token of text."""
LAGS = (0, 1, 4, 11)


def cuts(count: int) -> Iterator[tuple[int, ...]]:
    """Where deltas of so many tokens begin: all ways for few tokens, else each token, one cut, some more."""
    places = range(1, count)
    if count <= ALL_CUTS_UP_TO:
        for size in range(count):
            yield from itertools.combinations(places, size)
        return
    yield tuple(places)
    yield ()
    yield from ((place,) for place in places)
    chosen = random.Random(count)  # noqa: S311 - the same cuts each time, no secret
    for _ in range(RANDOM_CUTS):
        yield tuple(sorted(chosen.sample(places, chosen.randint(2, count - 1))))


def streamed(parser: Any, ids: list[int], texts: list[str], begins: tuple[int, ...], lag: int) -> list[Any]:
    """Reasoning and content of the stream, and in which delta its ids say that reasoning has ended."""
    reasoning, content, ended = "", "", None
    before, seen = "", 0
    for end in (*begins, len(ids)):
        text = texts[end] if end == len(ids) else texts[end][: len(texts[end]) - lag]
        text = max(text, before, key=len)
        delta = ids[seen:end]
        said = parser.extract_reasoning_streaming(
            before, text, text[len(before) :], ids[:seen], ids[:end], delta
        )
        reasoning += (said and said.reasoning) or ""
        content += (said and said.content) or ""
        if ended is None and parser.is_reasoning_end(delta):
            ended = end
        before, seen = text, end
    return [reasoning, content, ended]


def divided(parser: Any, tokenizer: Any, text: str) -> dict[str, Any]:
    ids = tokenizer.encode(text, add_special_tokens=False)
    texts = [tokenizer.decode(ids[:end]).rstrip("\ufffd") for end in range(len(ids) + 1)]
    assert texts[-1] == text
    whole = parser.extract_reasoning(text, None)
    found: dict[str, list[Any]] = {}
    count, late = 0, []
    for begins in cuts(len(ids)):
        for lag in LAGS:
            *said, ended = streamed(parser, ids, texts, begins, lag)
            found.setdefault(json.dumps(said), said)
            count += 1
            if not lag:
                late.append([list(begins), ended])
    return {"whole": whole, "streamed": list(found.values()), "streams": count, "ended": late, "tokens": ids}


def main() -> None:
    model, texts, answer = sys.argv[1:]
    tokenizer = AutoTokenizer.from_pretrained(model)
    parser = ReasoningParserManager.get_reasoning_parser("qwen3")(tokenizer)
    found = [divided(parser, tokenizer, text) for text in json.loads(Path(texts).read_text(encoding="utf-8"))]
    vocabulary = tokenizer.get_vocab()
    turns = {
        name: parser.is_reasoning_end([vocabulary.get(one, OTHER) for one in turn])
        for name, turn in json.loads(Path(texts).with_name("turns.json").read_text(encoding="utf-8")).items()
    }
    Path(answer).write_text(
        json.dumps({"texts": found, "turns": turns, "parser": type(parser).__name__}), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
