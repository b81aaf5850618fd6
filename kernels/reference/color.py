"""The normalised frame difference and its inverse (Eq. 15 and 17)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastmag.kernels.reference._out import into


def normalized_difference(C: NDArray, delta: float = 0.0, out: NDArray | None = None) -> NDArray:
    """(C' - C) / (C' + C + 2 delta) of consecutive frames, 0 where the denominator is not positive (Eq. 15).

    C (T, ...) in levels, T >= 2; delta in levels keeps the ratio finite near black. Returns (T - 1, ...).
    """
    C = C.astype(np.float64)
    total = C[1:] + C[:-1] + 2.0 * delta
    positive = total > 0
    return into(out, np.where(positive, (C[1:] - C[:-1]) / np.where(positive, total, 1.0), 0.0))


def undo_normalized_difference(
    first: NDArray, X: NDArray, delta: float = 0.0, limit: float = 0.999, out: NDArray | None = None
) -> NDArray:
    """The frames whose first is `first` and whose normalised differences are X (Eq. 17, on C + delta).

    first (...) in levels, X (T - 1, ...), clipped to +-limit < 1. Returns (T, ...) in levels.
    """
    X = np.clip(X.astype(np.float64), -limit, limit)
    frames = np.empty((len(X) + 1, *first.shape))
    frames[0] = first + np.float64(delta)
    for t, x in enumerate(X):
        frames[t + 1] = frames[t] * (1.0 + x) / (1.0 - x)
    frames -= delta
    frames[0] = first
    return into(out, frames)
