"""Smoothing of maps over time and over space on the CPU."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import plans
from fastmag.kernels.cpu._arrays import aligned, apart, reading, writing
from fastmag.kernels.cpu._jit import kernel
from fastmag.kernels.cpu._threads import spread

_BLOCK = 512  # float64 sums of this many elements stay in the nearest cache


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
def _copy(source, target, n):
    for i in range(n):
        target[i] = source[i]


@kernel
def _stencil(wide, taps, stride, n, result):
    """result[i] = sum of taps[|k|] * wide[i + (reach + k) * stride] over -reach <= k <= reach, for i < n.

    One long loop, whatever the map's width; two pairs of taps per visit to the result.
    """
    reach = taps.shape[0] - 1
    centre = wide[reach * stride :]
    for i in range(n):
        result[i] = taps[0] * centre[i]
    for k in range(1, reach, 2):
        near, far = taps[k], taps[k + 1]
        a, b = wide[(reach - k) * stride :], wide[(reach + k) * stride :]
        c, d = wide[(reach - k - 1) * stride :], wide[(reach + k + 1) * stride :]
        for i in range(n):
            result[i] += near * (a[i] + b[i]) + far * (c[i] + d[i])


@kernel
def _blur(x, out, rows, columns, taps, work, start, stop):
    """Blur the maps start ... stop; rows and columns are the mirrored indices, work is (2, enough for a wide map)."""
    h, w = x.shape[1], x.shape[2]
    line = columns.shape[0]
    reach = taps.shape[0] - 1
    wide, result = work[0], work[1]
    for t in range(start, stop):
        for y in range(rows.shape[0]):
            _copy(x[t, rows[y]], wide[y * w :], w)
        _stencil(wide, taps, w, h * w, result)
        for y in range(h):
            source, target = result[y * w :], wide[y * line :]
            _copy(source, target[reach:], w)
            for i in range(reach):
                target[i] = source[columns[i]]
                target[reach + w + i] = source[columns[reach + w + i]]
        _stencil(wide, taps, 1, h * line, result)
        for y in range(h):
            _copy(result[y * line :], out[t, y], w)


def smooth_time(x: NDArray, width: int, out: NDArray | None = None) -> NDArray:
    """Centred mean over `width` frames (odd), the first and last frame repeated beyond the ends.

    x (T, ...). Returns (T, ...) float32. Equals scipy.ndimage.uniform_filter1d(x, width, axis=0, mode="nearest").
    """
    x = reading(x)
    if width < 1 or width % 2 == 0:
        raise InputError(f"width must be an odd number of frames; got {width}: take {width + 1}")
    out = writing(out, x.shape)
    flat, result = apart(x, out).reshape(len(x), -1), out.reshape(len(x), -1)
    sums = np.zeros(flat.shape[1])
    spread(lambda a, b: _running_mean(flat, result, sums, width // 2, a, b), flat.shape[1], _BLOCK, x.size)
    return out


def smooth_space(x: NDArray, sigma: float, out: NDArray | None = None) -> NDArray:
    """Gaussian of `sigma` cells over the last two axes, edges mirrored, cut at 4 sigma.

    x (T, h, w). Returns (T, h, w) float32. Equals scipy.ndimage.gaussian_filter(x, (0, sigma, sigma)).
    """
    x = reading(x)
    out = writing(out, x.shape)
    h, w = x.shape[1:]
    taps = plans.half_gaussian(float(sigma))
    rows, columns = plans.mirrored(h, len(taps) - 1), plans.mirrored(w, len(taps) - 1)
    room = max(len(rows) * w, h * len(columns) + len(columns))

    def blur(start: int, stop: int) -> None:
        _blur(x, out, rows, columns, taps, aligned((2, room)), start, stop)

    spread(blur, len(x), 1, x.size)
    return out
