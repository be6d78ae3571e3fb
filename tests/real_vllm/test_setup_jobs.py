"""The rule by which the benchmark reckons vLLM's number of jobs is that of vLLM's own setup.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.replay import baseline, upstream
from tests.tag_trees import published


@pytest.mark.network
@pytest.mark.parametrize(
    ("max_jobs", "nvcc_threads"), [(None, None), (2, 8), (6, 2), (None, 4), (1, None), (12, 5)]
)
@pytest.mark.parametrize("tag", ["v0.14.1", "v0.33.0"])
def test_the_rule_is_that_of_setup_py(
    test_cache: Path, tag: str, max_jobs: int | None, nvcc_threads: int | None
) -> None:
    asked = {"MAX_JOBS": max_jobs, "NVCC_THREADS": nvcc_threads}
    environment = {name: str(value) for name, value in asked.items() if value is not None}
    setup = published(tag, test_cache, patched=False) / "setup.py"
    reckoned = baseline.vllm_jobs(8, max_jobs=max_jobs, nvcc_threads=nvcc_threads)
    assert upstream.jobs(setup, environment, cores=8) == reckoned
