"""What is going on in a running build, folded from its events: the state behind every display."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from typing_extensions import assert_never

from winvllm_build.build.engine.edge import Edge
from winvllm_build.build.engine.record import EdgeRecord, Outcome
from winvllm_build.build.events import CompileBegun, EdgeDone, EdgeEnded, EdgeStarted, Event, Sample

LINKED: Final = "link "


@dataclass(slots=True, kw_only=True)
class Active:
    """An edge that runs: seconds since the epoch, bytes."""

    label: str
    started: float
    attempt: int
    predicted_seconds: float
    predicted_memory: int
    memory: int = 0


@dataclass(slots=True, kw_only=True)
class Board:
    """The state.

    Attributes:
        finished: edges finished, of `total`; ninja itself tells of one only when the next has finished.
        running: by output, the longest running first.
        used: resident bytes of all running edges together.
        budget: bytes that they may use; 0 while unknown.
        waiting: edges that admission holds back.
        counts: how many edges ended how.
        ended: the last attempt at each edge that ended, by output.
    """

    begun: float = 0.0
    finished: int = 0
    total: int = 0
    elapsed: float = 0.0
    title: str = ""
    remaining: float | None = None
    running: dict[str, Active] = field(default_factory=dict)
    used: int = 0
    budget: int = 0
    waiting: int = 0
    counts: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    ended: dict[str, EdgeRecord] = field(default_factory=dict)

    def see(self, event: Event) -> None:
        """Take in an event."""
        if isinstance(event, CompileBegun):
            self._begin(event)
        elif isinstance(event, EdgeDone):
            self.finished = max(event.finished, self._ended())
            self.total, self.title, self.elapsed = event.total, event.title, event.elapsed
        elif isinstance(event, EdgeStarted):
            self.running[event.edge.output] = Active(
                label=label_of(event.edge), started=event.at, attempt=event.attempt,
                predicted_seconds=event.seconds, predicted_memory=event.memory,
            )  # fmt: skip
        elif isinstance(event, EdgeEnded):
            self._end(event.record)
        elif isinstance(event, Sample):
            self._sample(event)

    def _begin(self, event: CompileBegun) -> None:
        """A compile step begins, perhaps not the first: one command can build several folders."""
        self.begun, self.total, self.budget = event.at, len(event.edges), event.budget
        self.finished = self.used = self.waiting = 0
        self.counts = dict.fromkeys(Outcome, 0)
        self.running.clear()
        self.ended.clear()

    def _end(self, record: EdgeRecord) -> None:
        self.running.pop(record.edge.output, None)
        self.ended[record.edge.output] = record
        self.counts[record.outcome] += 1
        self.finished = max(self.finished, self._ended())
        self.total = max(self.total, self.finished)
        if self.begun:
            self.elapsed = record.ended - self.begun

    def _ended(self) -> int:
        return sum(self.counts.values()) - self.counts[Outcome.RETRIED]

    def _sample(self, sample: Sample) -> None:
        self.budget, self.waiting = sample.budget, sample.waiting
        self.used = sum(sample.used.values())
        for output, active in self.running.items():
            active.memory = sample.used.get(output, active.memory)

    def told(self, done: EdgeDone) -> bool:
        """Whether the edge that ninja names is one whose end was told already; it names the output last."""
        record = self.ended.get(done.title.rpartition(" ")[2].replace("\\", "/"))
        return record is not None and (not done.failed or record.outcome is Outcome.FAILED)


def label_of(edge: Edge) -> str:
    """`csrc/topk.cu`, or `link _C.abi3.so`."""
    if not edge.source:
        return LINKED + edge.output.rpartition("/")[2]
    return edge.source.partition(">/")[2] if edge.source.startswith("<") else edge.source


def outcome_words(outcome: Outcome) -> str:
    """What to say of an edge beside its time; empty where it simply ran."""
    match outcome:
        case Outcome.COMPILED:
            return ""
        case Outcome.CACHED:
            return "from the cache"
        case Outcome.REUSED:
            return "made before"
        case Outcome.RETRIED:
            return "out of memory, again alone"
        case Outcome.FAILED:
            return "FAILED"
        case _:
            assert_never(outcome)
