"""Batches of any size, cut into an engine's blocks and spread over its threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property

import numpy as np

from fastmag.providers import Array, Engine


class Blocks:
    """y and dy/dX of batches (B, ...) of any size. Samples do not depend on each other."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def gradient(self, X: Array) -> tuple[Array, Array]:
        """y (B,) and dy/dX (B, ...), C-contiguous."""
        y, G = np.empty(len(X), np.float32), np.empty(X.shape, np.float32)

        def block(start: int, stop: int) -> None:
            y[start:stop], G[start:stop] = self.engine.gradient(X[start:stop])

        self._each(len(X), block)
        return y, G

    def predict(self, X: Array) -> Array:
        """y (B,), without the work for the gradient."""
        y = np.empty(len(X), np.float32)

        def block(start: int, stop: int) -> None:
            y[start:stop] = self.engine.predict(X[start:stop])

        self._each(len(X), block)
        return y

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.engine.threads, thread_name_prefix="gradient")

    def _each(self, n: int, block: Callable[[int, int], None]) -> None:
        """Call block(start, stop) over n samples, in parallel: engines let go of the interpreter while they work."""
        threads, size = self.engine.threads, self.engine.samples
        if threads > 1 and not self.engine.fixed:
            size = max(1, min(size, -(-n // threads)))
        spans = [(start, min(start + size, n)) for start in range(0, n, size)]
        if threads == 1 or len(spans) == 1:
            for span in spans:
                block(*span)
        else:
            list(self._pool.map(lambda span: block(*span), spans))
