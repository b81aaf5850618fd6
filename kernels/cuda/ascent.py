"""One step of gradient ascent on the GPU (Eq. 1-3): a block for each sample, G read from memory once."""

from __future__ import annotations

import numpy as np
from numba import cuda, float64
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import scalars
from fastmag.kernels.cpu.ascent import RULES
from fastmag.kernels.cuda import _device as device
from fastmag.kernels.cuda._door import door, reading, same, writing
from fastmag.kernels.cuda._jit import MOST_THREADS, kernel, scalar

_step_along = scalar(scalars.step_along)
_step_magnitude = scalar(scalars.step_magnitude)
_step_away = scalar(scalars.step_away)


@kernel("void(float32[:,::1], float32[:,::1], float32[::1], float64, int64)", doubles=True)
def _ascend(X, G, weight, step_size, rule):
    sums = cuda.shared.array(MOST_THREADS, float64)
    lane, lanes, n = cuda.threadIdx.x, cuda.blockDim.x, X.shape[1]
    for b in range(cuda.blockIdx.x, X.shape[0], cuda.gridDim.x):
        partial = scalars.ZERO
        for i in range(lane, n, lanes):
            partial += abs(G[b, i])
        sums[lane] = partial
        cuda.syncthreads()
        left = lanes
        while left > 1:
            half = (left + 1) // 2
            if lane < left - half:
                sums[lane] += sums[lane + half]
            cuda.syncthreads()
            left = half
        mean = sums[0] / n
        scale = step_size * np.float64(weight[b])
        if rule != 0:
            scale = scale / mean if mean > 0.0 else 0.0
        step = np.float32(scale)
        for i in range(lane, n, lanes):
            if rule <= 1:
                X[b, i] = _step_along(X[b, i], G[b, i], step)
            elif rule == 2:
                X[b, i] = _step_away(X[b, i], G[b, i], step)
            else:
                X[b, i] = _step_magnitude(X[b, i], G[b, i], step)
        cuda.syncthreads()


@door(updates=("X",), batch=("X", "G", "weight"))
def ascend_step(X: NDArray, G: NDArray, step_size: float, rule: str, weight: NDArray | None = None) -> NDArray:
    """As `fastmag.kernels.reference.ascend_step`; nothing of it waits for the device."""
    if rule not in RULES:
        raise InputError(f"rule must be one of {', '.join(RULES)}; got {rule!r}: choose one of them")
    G = reading(G)
    same("G", G, X.shape)
    writing(X, G.shape)
    count = len(G)
    if weight is None or rule == "sign":
        weight = device.full((count,), 1, np.float32)
    if G.size:
        flat = X.reshape(count, -1), G.reshape(count, -1)
        _ascend.blocks(count, *flat, reading(weight), float(step_size), RULES.index(rule))
    return X
