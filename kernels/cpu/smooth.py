"""Smoothing of maps over time and over space on the CPU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import plans
from fastmag.kernels.cpu._arrays import reading, writing
from fastmag.kernels.cpu._jit import kernel
from fastmag.kernels.cpu._threads import spread

_BLOCK = 512  # float64 sums of this many elements stay in the nearest cache
_TAPS = 4  # taps of the Gaussian per visit to the result


@kernel
def _running_mean(x, out, sums, reach, start, stop):
    last = x.shape[0] - 1
    share = 1.0 / (2 * reach + 1)
    for low in range(start, stop, _BLOCK):
        n = min(_BLOCK, stop - low)
        total = sums[low : low + n]
        for t in range(-reach, reach + 1):
            row = x[min(max(t, 0), last), low : low + n]
            for i in range(n):
                total[i] += row[i]
        for t in range(last + 1):
            enters = x[min(t + reach + 1, last), low : low + n]
            leaves = x[max(t - reach, 0), low : low + n]
            y = out[t, low : low + n]
            for i in range(n):
                y[i] = total[i] * share
                total[i] += np.float64(enters[i]) - np.float64(leaves[i])


@kernel
def _stencil(wide, taps, stride, n, result):
    """result[i] = sum_k taps[k] * wide[i + k * stride] for i < n: one long loop, whatever the map's width."""
    for i in range(n):
        result[i] = np.float32(0.0)
    for k in range(0, taps.shape[0], _TAPS):
        t0, t1, t2, t3 = taps[k], taps[k + 1], taps[k + 2], taps[k + 3]
        a = wide[k * stride :]
        b = wide[(k + 1) * stride :]
        c = wide[(k + 2) * stride :]
        d = wide[(k + 3) * stride :]
        for i in range(n):
            result[i] += t0 * a[i] + t1 * b[i] + t2 * c[i] + t3 * d[i]


@kernel
def _blur(x, out, rows, columns, taps, work, start, stop):
    """Blur the maps start ... stop; rows and columns are the mirrored indices, work is (2, enough for a wide map)."""
    h, w = x.shape[1], x.shape[2]
    line = columns.shape[0]
    wide, result = work[0], work[1]
    for t in range(start, stop):
        for y in range(rows.shape[0]):
            source = x[t, rows[y]]
            for i in range(w):
                wide[y * w + i] = source[i]
        _stencil(wide, taps, w, h * w, result)
        for y in range(h):
            for i in range(line):
                wide[y * line + i] = result[y * w + columns[i]]
        _stencil(wide, taps, 1, h * line, result)
        for y in range(h):
            for i in range(w):
                out[t, y, i] = result[y * line + i]


def smooth_time(x: NDArray, width: int, out: NDArray | None = None) -> NDArray:
    """Centred mean over `width` frames (odd), the first and last frame repeated beyond the ends.

    x (T, P). Returns (T, P) float32. Equals scipy.ndimage.uniform_filter1d(x, width, axis=0, mode="nearest").
    """
    x = reading(x)
    if width < 1 or width % 2 == 0:
        raise InputError(f"width must be an odd number of frames; got {width}: take {width + 1}")
    out = writing(out, x.shape)
    sums = np.zeros(x.shape[1])
    spread(lambda start, stop: _running_mean(x, out, sums, width // 2, start, stop), x.shape[1], _BLOCK, x.size)
    return out


def smooth_space(x: NDArray, sigma: float, out: NDArray | None = None) -> NDArray:
    """Gaussian of `sigma` cells over the last two axes, edges mirrored, cut at 4 sigma.

    x (T, h, w). Returns (T, h, w) float32. Equals scipy.ndimage.gaussian_filter(x, (0, sigma, sigma)).
    """
    x = reading(x)
    out = writing(out, x.shape)
    h, w = x.shape[1:]
    exact = plans.gaussian(float(sigma))
    reach = len(exact) // 2
    rows, columns = plans.mirrored(h, reach), plans.mirrored(w, reach)
    taps = np.zeros(-(-len(exact) // _TAPS) * _TAPS, np.float32)
    taps[: len(exact)] = exact
    room = max(len(rows) * w, h * len(columns)) + (len(taps) - len(exact)) * w + len(taps)

    def blur(start: int, stop: int) -> None:
        _blur(x, out, rows, columns, taps, np.zeros((2, room), np.float32), start, stop)

    spread(blur, len(x), 1, x.size)
    return out
