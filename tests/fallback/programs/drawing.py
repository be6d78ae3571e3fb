"""Tokens to text and scores to tokens, without a server: `python drawing.py MODEL` prints JSON."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from transformers import AutoTokenizer

from winvllm_build.fallback.sampling import Draw, Sampling, draw_all
from winvllm_build.fallback.text import FastDecoder, StopRule, Transcript, WindowDecoder, decoder, tail

TEXT = "naïve 你好 🙂🙃 hello\nworld é"
DRAWS = 4000
SCORES = torch.tensor([2.0, 1.0, 0.0, -1.0, -2.0, -30.0])


def pieces(tokenizer: Any, made: Callable[..., Any]) -> list[str]:  # noqa: ANN401 - transformers has no types here
    stream = made(tokenizer)
    return [stream.step(token) for token in tokenizer.encode(TEXT, add_special_tokens=False)]


def texts(folder: str) -> dict[str, Any]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return {
        "fast": pieces(tokenizer, lambda own: FastDecoder(own.backend_tokenizer, [], skip_special=True)),
        "window": pieces(tokenizer, lambda own: WindowDecoder(own, [], skip_special=True)),
    }


def stopped(
    folder: str, strings: tuple[str, ...], *, include: bool = False, after: int = 0
) -> dict[str, Any]:
    """TEXT token by token until a stop string."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rule = StopRule(strings=strings, include=include, after=after)
    transcript = Transcript(decoder(tokenizer, [], skip_special=True), rule)
    given = []
    for token in tokenizer.encode(TEXT, add_special_tokens=False):
        string = transcript.add(token)
        given.append(transcript.take(finished=string is not None))
        if string is not None:
            return {"text": "".join(given), "string": string, "given": given}
    given.append(transcript.take(finished=True))
    return {"text": "".join(given), "string": None, "given": given}


def shares(sampling: Sampling) -> list[float]:
    """How often each token was drawn."""
    draws = [Draw(sampling, [0], device=torch.device("cpu"), vocabulary=len(SCORES)) for _ in range(DRAWS)]
    torch.manual_seed(7)
    counted = Counter(draw_all(SCORES.expand(DRAWS, -1).clone(), draws).tolist())
    return [counted[token] / DRAWS for token in range(len(SCORES))]


def sequence(sampling: Sampling, *, others: int) -> list[int]:
    """Ten tokens of one answer, drawn beside others."""
    torch.manual_seed(others)
    own = Draw(sampling, [0], device=torch.device("cpu"), vocabulary=len(SCORES))
    more = [Draw(Sampling(), [0], device=torch.device("cpu"), vocabulary=len(SCORES)) for _ in range(others)]
    return [int(draw_all(SCORES.expand(others + 1, -1).clone(), [*more, own])[-1]) for _ in range(10)]


def waiting() -> int:
    """Answers whose turn has not come, of a vocabulary that no memory holds."""
    wanted = Sampling(frequency=1.0)
    return len([Draw(wanted, [0], device=torch.device("cpu"), vocabulary=2**50) for _ in range(3)])


def tails(folder: str) -> list[int]:
    """Of a long prompt: whole characters at its end, a cut one, and nothing else but cut ones."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    long, cut = (tokenizer.encode(text, add_special_tokens=False) for text in ("hello world " * 500, "🙂"))
    prompts = (long, [*long, *cut[:-1]], cut[:1] * 500)
    return [len(tail(tokenizer, prompt, skip_special=True)) for prompt in prompts]


def main(folder: str) -> dict[str, Any]:
    return {
        "texts": texts(folder),
        "stops": {
            "split": stopped(folder, ("llo\nw",)),
            "kept": stopped(folder, ("llo\nw",), include=True),
            "first of two": stopped(folder, ("好 🙂", "你好")),
            "later": stopped(folder, ("n",), after=5),
            "none": stopped(folder, ("never", "worldwide")),
            "a character": stopped(folder, ("🙃",)),
        },
        "waiting": waiting(),
        "tails": tails(folder),
        "softmax": SCORES.softmax(-1).tolist(),
        "shares": {
            "plain": shares(Sampling()),
            "hot": shares(Sampling(temperature=2.0)),
            "top_k": shares(Sampling(top_k=2)),
            "top_p": shares(Sampling(top_p=0.7)),
            "min_p": shares(Sampling(min_p=0.1)),
            "biased": shares(Sampling(bias={5: 60.0})),
            "allowed": shares(Sampling(allowed=(3, 4))),
            "not yet the end": shares(Sampling(at_least=1, ends=frozenset({0, 1}))),
            "frequency": shares(Sampling(frequency=2.0, temperature=0.0)),
        },
        "seeded": [sequence(Sampling(seed=3), others=others) for others in (0, 1, 5)],
        "other seed": sequence(Sampling(seed=4), others=0),
        "penalised": sequence(Sampling(temperature=0.0, presence=0.6, frequency=0.6), others=2),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(sys.argv[1])))
