"""Several units at a time, as many as memory allows, ended together."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Final, TypeVar

import psutil

from winvllm_build import process

Worker = TypeVar("Worker")
Task = TypeVar("Task")
Result = TypeVar("Result")
MEMORY: Final = 4 << 30
"""Bytes for one unit: nvcc's front ends take 2 to 3 GB where torch's headers are included."""


def admitted(asked: int) -> int:
    """How many units fit into the memory that is free now; at least one."""
    return max(1, min(asked, psutil.virtual_memory().available // MEMORY))


def run_all(
    tasks: Sequence[Task], workers: Sequence[Worker], run: Callable[[Task, Worker], Result]
) -> Iterator[tuple[Task, Result, float]]:
    """Each task with its result and its seconds, as they finish; each worker has one task at a time.

    What a task raises ends all others, and the programs they started; those that ran before are left alone.
    """
    strangers = _children()
    free: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    for worker in workers:
        free.put(worker)

    def one(task: Task) -> tuple[Result, float]:
        worker = free.get()
        begun = time.monotonic()
        try:
            return run(task, worker), time.monotonic() - begun
        finally:
            free.put(worker)

    pool = ThreadPoolExecutor(max_workers=len(workers))
    try:
        futures = {pool.submit(one, task): task for task in tasks}
        for future in as_completed(futures):
            result, seconds = future.result()
            yield futures[future], result, seconds
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in _children() - strangers:
            process.end_tree(child.pid)
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _children() -> frozenset[psutil.Process]:
    with contextlib.suppress(psutil.Error):
        return frozenset(psutil.Process().children())
    return frozenset()
