"""Counters under upstream's names, so that what reads upstream's reads these."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
MODEL = "model_name"


class Metrics:
    """Of one server, which has one model."""

    def __init__(self, model: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        own = {"labelnames": [MODEL], "registry": self.registry}
        self._running = Gauge("vllm:num_requests_running", "Answers in the works.", **own).labels(model)
        self._read = Counter("vllm:prompt_tokens", "Tokens of prompts.", **own).labels(model)
        self._made = Counter("vllm:generation_tokens", "Tokens of answers.", **own).labels(model)
        reasons = {**own, "labelnames": [MODEL, "finished_reason"]}
        self._ended = Counter("vllm:request_success", "Answers that ended, by reason.", **reasons)
        waits = {**own, "buckets": SECONDS}
        self._first = Histogram("vllm:time_to_first_token_seconds", "To the first token.", **waits).labels(
            model
        )
        self._all = Histogram("vllm:e2e_request_latency_seconds", "To the last token.", **waits).labels(model)
        self._model = model

    def begun(self, prompt_tokens: int) -> None:
        self._running.inc()
        self._read.inc(prompt_tokens)

    def first_token(self, seconds: float) -> None:
        self._first.observe(seconds)

    def ended(self, reason: str, tokens: int, seconds: float) -> None:
        self._running.dec()
        self._made.inc(tokens)
        self._ended.labels(self._model, reason).inc()
        self._all.observe(seconds)

    def page(self) -> bytes:
        return bytes(generate_latest(self.registry))
