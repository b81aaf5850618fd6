"""Smoothing of maps over time and over space on the GPU."""

from __future__ import annotations

import numpy as np
from numba import cuda, float32
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import plans, scalars
from fastmag.kernels.cuda import _device as device
from fastmag.kernels.cuda._door import apart, door, reading, same, writing
from fastmag.kernels.cuda._jit import block, kernel

SPAN = 64  # frames that a thread slides its window over before the sum is made anew
CHUNK = 512  # columns of a row that a block holds in shared memory
ROWS = 8  # rows of a block, at most

_MAPS = "float32[:,:,::1]"


@kernel("void(float32[:,::1], int64, float32[:,::1])", doubles=True)
def _running_mean(x, reach, out):
    left, top = cuda.grid(2)
    across, down = cuda.gridsize(2)
    last, share = x.shape[0] - 1, 1.0 / (2 * reach + 1)
    for span in range(top, (last + SPAN) // SPAN, down):
        for p in range(left, x.shape[1], across):
            total = 0.0
            for t in range(span * SPAN - reach, span * SPAN + reach + 1):
                total += np.float64(x[min(max(t, 0), last), p])
            for t in range(span * SPAN, min(span * SPAN + SPAN, last + 1)):
                out[t, p] = total * share
                total += np.float64(x[min(t + reach + 1, last), p]) - np.float64(x[max(t - reach, 0), p])


@kernel(f"void({_MAPS}, {_MAPS}, int64, int32[::1], int32[::1], float32[::1], {_MAPS})")
def _blur(x, weight, weighted, rows, columns, taps, out):
    """A block makes some rows of a map: sums down the columns into shared memory, then sums along them.

    rows and columns are the mirrored indices, taps the Gaussian's centre and one side. Weighted: G[weight x] over
    G[weight], else G[x], and weight is not looked at.
    """
    line = cuda.shared.array((2, ROWS, CHUNK), float32)
    h, w, reach, row = x.shape[1], x.shape[2], taps.shape[0] - 1, cuda.threadIdx.y
    bands = (h + cuda.blockDim.y - 1) // cuda.blockDim.y
    tile = w if w <= CHUNK else CHUNK - 2 * reach
    for item in range(cuda.blockIdx.x, x.shape[0] * bands, cuda.gridDim.x):
        b, y = item // bands, item % bands * cuda.blockDim.y + row
        for left in range(0, w, tile):
            right = min(left + tile, w)
            low, high = max(left - reach, 0), min(right + reach, w)
            if y < h:
                for i in range(low + cuda.threadIdx.x, high, cuda.blockDim.x):
                    total = heavy = scalars.ZERO
                    for k in range(-reach, reach + 1):
                        near, tap = rows[y + reach + k], taps[abs(k)]
                        if weighted:
                            tap *= weight[b, near, i]
                            heavy += tap
                        total += tap * x[b, near, i]
                    line[0, row, i - low], line[1, row, i - low] = total, heavy
            cuda.syncthreads()
            if y < h:
                for i in range(left + cuda.threadIdx.x, right, cuda.blockDim.x):
                    total = heavy = scalars.ZERO
                    for k in range(-reach, reach + 1):
                        near, tap = columns[i + reach + k] - low, taps[abs(k)]
                        total += tap * line[0, row, near]
                        heavy += tap * line[1, row, near]
                    if weighted:
                        total = total / heavy if heavy > scalars.ZERO else scalars.ZERO
                    out[b, y, i] = total
            cuda.syncthreads()


def blur(x: NDArray, weight: NDArray | None, sigma: float, out: NDArray | None) -> NDArray:
    """Maps (..., h, w) through a Gaussian, weighted where a weight is given."""
    out = writing(out, x.shape)
    h, w = x.shape[-2:]
    (taps,) = device.constants(plans.half_gaussian, float(sigma))
    reach = len(taps) - 1
    if 2 * reach >= CHUNK:
        raise InputError(
            f"sigma must be at most {(CHUNK // 2 - 2) // 4} on the GPU; got {sigma:g}: smooth a coarser map"
        )
    (rows,), (columns,) = (device.constants(plans.mirrored, n, reach) for n in (h, w))
    maps = apart(x, out).reshape(-1, h, w)
    weights = maps if weight is None else apart(weight, out).reshape(-1, h, w)
    count = len(maps) * -(-h // block()[1])
    _blur.tiles(count, maps, weights, int(weight is not None), rows, columns, taps, out.reshape(-1, h, w))
    return out


@door()
def smooth_time(x: NDArray, width: int, out: NDArray | None = None) -> NDArray:
    """As `fastmag.kernels.reference.smooth_time`, float32."""
    x = reading(x)
    if width < 1 or width % 2 == 0:
        raise InputError(f"width must be an odd number of frames; got {width}: take {width + 1}")
    out = writing(out, x.shape)
    flat, result = apart(x, out).reshape(len(x), -1), out.reshape(len(x), -1)
    _running_mean.plane(-(-len(x) // SPAN), flat.shape[1], flat, width // 2, result)
    return out


@door(batch=("x",))
def smooth_space(x: NDArray, sigma: float, out: NDArray | None = None) -> NDArray:
    """As `fastmag.kernels.reference.smooth_space`, float32."""
    return blur(reading(x), None, sigma, out)


@door(batch=("phase", "amplitude"))
def smooth_amplitude_weighted(phase: NDArray, amplitude: NDArray, sigma: float, out: NDArray | None = None) -> NDArray:
    """As `fastmag.kernels.reference.smooth_amplitude_weighted`, float32."""
    same("amplitude", amplitude, phase.shape)
    return blur(reading(phase), reading(amplitude), sigma, out)
