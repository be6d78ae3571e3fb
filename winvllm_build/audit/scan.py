"""Every hazard that the text of a tree shows, found by the scanners of each language."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from winvllm_build.audit.beside import beside
from winvllm_build.audit.config import scanner as config
from winvllm_build.audit.coverage import Coverage, cover
from winvllm_build.audit.cxx import scanner as cxx
from winvllm_build.audit.files import Files
from winvllm_build.audit.hazard import Hazard, Sample
from winvllm_build.audit.hit import Found
from winvllm_build.audit.python import scanner as python
from winvllm_build.audit.subject import Subject

CXX, PYTHON, CONFIG = "C++ and CUDA", "Python", "configuration"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What was found in a tree.

    Attributes:
        name: of the tree.
        layers: which of the set's are applied; empty for a tree without patches.
        found: what the scanners say.
        coverage: the hits, with the set's suppressions.
        seconds: how long each scanner was waited for.
    """

    name: str
    layers: tuple[str, ...]
    found: Found
    coverage: Coverage
    seconds: Mapping[str, float]

    @property
    def title(self) -> str:
        return f"{self.name} with {' + '.join(self.layers)} applied" if self.layers else self.name


def scan(subject: Subject) -> Scan:
    """Run every scanner over a tree.

    Raises:
        SourceError: the tree's build files cannot be read.
        ToolchainError: git cannot read the tree.
    """
    seconds: dict[str, float] = {}
    files = subject.files
    with beside(subject, python.scan, ".py") as answer:
        total = _timed(seconds, CXX, lambda: cxx.scan(files, subject.buildable))
        total += _timed(seconds, CONFIG, lambda: config.scan(files))
        total += _timed(seconds, f"{PYTHON}, beside them", answer)
    return Scan(
        name=subject.name, layers=subject.layers, found=total, coverage=cover(subject, total.hits),
        seconds=seconds,
    )  # fmt: skip


def _timed(seconds: dict[str, float], name: str, work: Callable[[], Found]) -> Found:
    begun = time.perf_counter()
    found = work()
    seconds[name] = time.perf_counter() - begun
    return found


def scan_sample(sample: Sample, text: str) -> Found:
    """What every scanner says about a file of the catalogue; its path decides which one reads it."""
    files = Files.of_mapping({sample.path: text.encode()})
    return cxx.scan(files, None) + python.scan(files) + config.scan(files)


def rules_of(hazard: Hazard) -> tuple[str, ...]:
    """The rules that report a hazard, as its samples show them."""
    hits = [hit for sample in hazard.samples for hit in scan_sample(sample, sample.bad).hits]
    return tuple(sorted({hit.rule for hit in hits if hit.hazard == hazard.id}))
