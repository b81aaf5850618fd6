"""A pool of threads for the kernels that work on whole series; kernels of one frame run on the caller's thread."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numba

_WORTH = 1 << 18
"""Elements below which handing work to another thread costs more than it saves."""

_limit: int | None = None
_pool: ThreadPoolExecutor | None = None


def threads() -> int:
    """Threads that one kernel may use: those of `set_threads`, or the processor's (NUMBA_NUM_THREADS is respected)."""
    return _limit or getattr(numba.config, "NUMBA_NUM_THREADS")  # noqa: B009 (set at run time)


def set_threads(count: int | None) -> None:
    """Let one kernel use at most `count` threads; None returns to the default."""
    global _limit
    _limit = count
    _forget()


def _forget() -> None:
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)  # threads do not survive a fork: a child starts its own


def spread(task: Callable[[int, int], object], total: int, grain: int, elements: int) -> None:
    """Run task(start, stop) over 0 ... total in pieces of whole grains, on several threads where that is worth it."""
    global _pool
    workers = min(threads(), -(-total // grain))
    if workers < 2 or elements < _WORTH:
        task(0, total)
        return
    if _pool is None:
        _pool = ThreadPoolExecutor(threads(), thread_name_prefix="fastmag-kernel")
    step = max(1, total // grain // (4 * workers)) * grain  # more pieces than threads: a busy core holds up less
    starts = range(0, total, step)
    for _ in _pool.map(task, starts, [min(start + step, total) for start in starts]):
        pass
