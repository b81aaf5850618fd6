"""What the machine itself can do: the bandwidth of a copy, in cache and in memory."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np


def _best(task: Callable[[], object], seconds: float = 0.4) -> float:
    """The fastest of several runs: a ceiling is what the machine can do when nobody else is using it."""
    task()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        task()
        best = min(best, time.perf_counter() - start)
    return best


def copy_bandwidth(mebibytes: int, threads: int) -> float:
    """Gigabytes a second, read and written, of one copy of an array of that size."""
    source = np.ones(mebibytes << 18, np.float32)
    target = np.zeros_like(source)
    halves = list(zip(np.array_split(target, threads), np.array_split(source, threads), strict=True))
    with ThreadPoolExecutor(threads) as pool:
        seconds = _best(lambda: list(pool.map(lambda pair: np.copyto(*pair), halves)))
    return 2 * source.nbytes / seconds / 1e9


def measure() -> dict[str, float]:
    """Copy bandwidths in GB/s by size and threads."""
    return {
        f"copy {size} MiB, {threads} thread{'s'[: threads - 1]}": round(copy_bandwidth(size, threads), 1)
        for size in (1, 16, 256)
        for threads in (1, 2)
    }
