"""A pool of processes that each use one core: libraries inside them start no threads of their own."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def pool(jobs: int | None = None) -> Iterator[ProcessPoolExecutor]:
    """`jobs` fresh processes (one per core by default), started with one thread each. Cancelled whole on an error."""
    before = {name: os.environ.get(name) for name in _LIMITS}
    os.environ.update(dict.fromkeys(_LIMITS, "1"))
    workers = ProcessPoolExecutor(jobs or cores(), mp_context=multiprocessing.get_context("spawn"))
    try:
        yield workers
    finally:
        workers.shutdown(wait=True, cancel_futures=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
