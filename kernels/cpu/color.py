"""The normalised frame difference and its inverse on the CPU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import scalars
from fastmag.kernels.cpu._arrays import reading, writing
from fastmag.kernels.cpu._jit import kernel, scalar
from fastmag.kernels.cpu._threads import spread

_BLOCK = 2048  # pixels per visit: their float64 state stays in cache, and a piece of a row is long enough to prefetch

_difference_ratio = scalar(scalars.difference_ratio)
_growth = scalar(scalars.growth)


@kernel
def _difference(before, after, X, offset):
    for i in range(X.shape[0]):
        X[i] = _difference_ratio(before[i], after[i], offset)


@kernel
def _undo(X, out, state, delta, limit, start, stop):
    """Four frames per visit: more rows on their way from memory at a time, and the state is loaded once for all."""
    whole = X.shape[0] // 4 * 4
    for low in range(start, stop, _BLOCK):
        high = min(low + _BLOCK, stop)
        state_part = state[low:high]
        for t in range(0, whole, 4):
            x0, x1, x2, x3 = X[t, low:high], X[t + 1, low:high], X[t + 2, low:high], X[t + 3, low:high]
            y0, y1, y2, y3 = out[t + 1, low:high], out[t + 2, low:high], out[t + 3, low:high], out[t + 4, low:high]
            for i in range(high - low):
                z = state_part[i]
                z += z * _growth(x0[i], limit)
                y0[i] = z - delta
                z += z * _growth(x1[i], limit)
                y1[i] = z - delta
                z += z * _growth(x2[i], limit)
                y2[i] = z - delta
                z += z * _growth(x3[i], limit)
                y3[i] = z - delta
                state_part[i] = z
        for t in range(whole, X.shape[0]):
            x0, y0 = X[t, low:high], out[t + 1, low:high]
            for i in range(high - low):
                state_part[i] += state_part[i] * _growth(x0[i], limit)
                y0[i] = state_part[i] - delta


def normalized_difference(C: NDArray, delta: float = 0.0, out: NDArray | None = None) -> NDArray:
    """(C' - C) / (C' + C + 2 delta) of consecutive frames, 0 where the denominator is not positive (Eq. 15).

    C (T, ...) in levels, T >= 2; delta in levels keeps the ratio finite near black. Returns (T - 1, ...) float32.
    """
    C = reading(C)
    out = writing(out, (len(C) - 1, *C.shape[1:]))
    flat, X, pixels = C.reshape(-1), out.reshape(-1), C[0].size
    offset = np.float32(2.0 * delta)

    def difference(start: int, stop: int) -> None:
        _difference(flat[start:stop], flat[start + pixels : stop + pixels], X[start:stop], offset)

    spread(difference, X.size, 1 << 14, X.size)
    return out


def undo_normalized_difference(
    first: NDArray, X: NDArray, delta: float = 0.0, limit: float = 0.999, out: NDArray | None = None
) -> NDArray:
    """The frames whose first is `first` and whose normalised differences are X (Eq. 17, on C + delta).

    first (...) in levels, X (T - 1, ...), clipped to +-limit < 1. Returns (T, ...) float32 in levels; the state that
    runs over time is float64.
    """
    first, X = reading(first), reading(X)
    if first.size * len(X) != X.size:
        raise InputError(f"X must be (T - 1, *first.shape); got {X.shape} for {first.shape}: pass one frame as first")
    out = writing(out, (len(X) + 1, *X.shape[1:]))
    out[0] = first.reshape(out.shape[1:])
    state = first.astype(np.float64).reshape(-1) + delta
    steps, frames, limit32 = X.reshape(len(X), -1), out.reshape(len(out), -1), np.float32(limit)
    spread(lambda start, stop: _undo(steps, frames, state, delta, limit32, start, stop), state.size, _BLOCK, X.size)
    return out
