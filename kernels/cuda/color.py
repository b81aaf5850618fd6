"""The normalised frame difference and its inverse on the GPU."""

from __future__ import annotations

import numpy as np
from numba import cuda
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import scalars
from fastmag.kernels.cuda._door import door, reading, writing
from fastmag.kernels.cuda._jit import kernel, scalar

_difference_ratio = scalar(scalars.difference_ratio)
_growth = scalar(scalars.growth)


@kernel("void(float32[::1], int64, float32, float32[::1])")
def _difference(C, pixels, offset, X):
    for i in range(cuda.grid(1), X.shape[0], cuda.gridsize(1)):
        X[i] = _difference_ratio(C[i], C[i + pixels], offset)


@kernel("void(float32[::1], float32[:,::1], float64, float32, float32[:,::1])", doubles=True)
def _undo(first, X, delta, limit, out):
    """A pixel's whole series on one thread: its state stays in a register."""
    for p in range(cuda.grid(1), X.shape[1], cuda.gridsize(1)):
        z = np.float64(first[p]) + delta
        out[0, p] = first[p]
        for t in range(X.shape[0]):
            z += z * _growth(X[t, p], limit)
            out[t + 1, p] = z - delta


@door()
def normalized_difference(C: NDArray, delta: float = 0.0, out: NDArray | None = None) -> NDArray:
    """As `fastmag.kernels.reference.normalized_difference`, float32."""
    C = reading(C)
    out = writing(out, (len(C) - 1, *C.shape[1:]))
    _difference.over(out.size, C.reshape(-1), C[0].size, np.float32(2.0 * delta), out.reshape(-1))
    return out


@door()
def undo_normalized_difference(
    first: NDArray, X: NDArray, delta: float = 0.0, limit: float = 0.999, out: NDArray | None = None
) -> NDArray:
    """As `fastmag.kernels.reference.undo_normalized_difference`, float32; the state that runs over time is float64."""
    first, X = reading(first), reading(X)
    if first.size * len(X) != X.size:
        raise InputError(f"X must be (T - 1, *first.shape); got {X.shape} for {first.shape}: pass one frame as first")
    out = writing(out, (len(X) + 1, *X.shape[1:]))
    steps = X.reshape(len(X), first.size)
    _undo.over(first.size, first.reshape(-1), steps, float(delta), np.float32(limit), out.reshape(len(out), first.size))
    return out
