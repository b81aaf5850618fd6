"""Second-order sections along time, forward, backward and both (scipy.signal.sosfilt and sosfiltfilt)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastmag.kernels import plans
from fastmag.kernels.reference._out import into


def _run(X: NDArray, sos: NDArray, state: NDArray) -> NDArray:
    Y = np.empty(X.shape)
    for t, value in enumerate(X.astype(np.float64)):
        for (b0, b1, b2, _, a1, a2), z in zip(sos, state, strict=True):
            result = b0 * value + z[0]
            z[0] = b1 * value - a1 * result + z[1]
            z[1] = b2 * value - a2 * result
            value = result
        Y[t] = value
    return Y


def bandpass_forward(X: NDArray, sos: NDArray, state: NDArray, out: NDArray | None = None) -> NDArray:
    """Filter along time from the first row to the last; chunks in turn give the same as the whole.

    X (T, P); sos (n, 6) as scipy.signal designs them (a0 = 1); state (n, 2, P) float64, updated in place.
    Returns (T, P).
    """
    return into(out, _run(X, sos, state))


def bandpass_backward(X: NDArray, sos: NDArray, state: NDArray, out: NDArray | None = None) -> NDArray:
    """As bandpass_forward, from the last row to the first: give the last chunk first."""
    return into(out, _run(X[::-1], sos, state)[::-1])


def bandpass(X: NDArray, sos: NDArray, out: NDArray | None = None) -> NDArray:
    """Zero-phase filter along time: scipy.signal.sosfiltfilt(sos, X, axis=0) with its default odd padding.

    X (T, ...), T >= 1: where T is too short for that padding, T - 1 samples are used. sos (n, 6). Returns (T, ...).
    """
    series = X.astype(np.float64).reshape(len(X), -1)
    pad = plans.padding(sos, len(series))
    head = 2.0 * series[0] - series[pad:0:-1]
    tail = 2.0 * series[-1] - series[-2 : -pad - 2 : -1]
    rows = np.concatenate([head, series, tail])
    rest = plans.settled(sos)[:, :, None]
    rows = _run(rows, sos, rest * rows[0])[::-1]
    rows = _run(rows, sos, rest * rows[0])[::-1]
    return into(out, rows[pad : pad + len(series)].reshape(X.shape))
