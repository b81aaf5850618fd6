"""Levels of Gaussian and Laplacian pyramids on the GPU (Burt and Adelson 1983)."""

from __future__ import annotations

import numpy as np
from numba import cuda
from numpy.typing import NDArray

from fastmag.errors import InputError
from fastmag.kernels import plans
from fastmag.kernels.cuda import _device as device
from fastmag.kernels.cuda import _frames
from fastmag.kernels.cuda._door import door, reading, writing
from fastmag.kernels.cuda._jit import kernel, scalar
from fastmag.kernels.cuda.resample import shrink

_EDGE, _NEAR, _MIDDLE = (np.float32(w) for w in plans.BINOMIAL[:3])
_EIGHTH, _QUARTERS, _HALF = np.float32(0.125), np.float32(0.75), np.float32(0.5)


@scalar
def _blurred(a, b, c, d, e):
    return _EDGE * (a + e) + _NEAR * (b + d) + _MIDDLE * c


@scalar
def _down_column(x, ground, rows, k, j):
    """Column j of the image that begins at row `ground`, blurred downwards; rows[k ...] are its mirrored indices."""
    return _blurred(
        x[ground + rows[k], j], x[ground + rows[k + 1], j], x[ground + rows[k + 2], j], x[ground + rows[k + 3], j],
        x[ground + rows[k + 4], j],
    )  # fmt: skip


@kernel("void(float32[:,::1], int32[::1], int32[::1], int64, int64, float32[:,::1])")
def _shrink(x, rows, columns, height, half, out):
    """Images one above the other, of `height` rows, to images of `half` rows."""
    left, top = cuda.grid(2)
    across, down = cuda.gridsize(2)
    for line in range(top, out.shape[0], down):
        ground, i = line // half * height, line % half * 2
        for j in range(left, out.shape[1], across):
            k = 2 * j
            out[line, j] = _blurred(
                _down_column(x, ground, rows, i, columns[k]), _down_column(x, ground, rows, i, columns[k + 1]),
                _down_column(x, ground, rows, i, columns[k + 2]), _down_column(x, ground, rows, i, columns[k + 3]),
                _down_column(x, ground, rows, i, columns[k + 4]),
            )  # fmt: skip


@scalar
def _enlarged(before, here, after, even):
    """A sample of a line enlarged twice: on a sample of the line where even, else between two."""
    return _EIGHTH * (before + after) + _QUARTERS * here if even else _HALF * (here + after)


@scalar
def _next(k, m, n):
    """The sample after k of m, mirrored as the line of n points is that it is enlarged to."""
    return min(k + 1, m - 1) if k + 1 < m or n % 2 == 0 else max(k - 1, 0)


@scalar
def _up_row(coarse, before, here, after, even, j):
    return _enlarged(coarse[before, j], coarse[here, j], coarse[after, j], even)


@kernel("void(float32[:,::1], float32[:,::1], float32, int64, int64, float32[:,::1])")
def _enlarge(x, coarse, gain, height, half, out):
    """out = gain * x + coarse enlarged, of images one above the other, of `height` and of `half` rows."""
    left, top = cuda.grid(2)
    across, down = cuda.gridsize(2)
    w, n = out.shape[1], coarse.shape[1]
    for line in range(top, out.shape[0], down):
        y, ground = line % height, line // height * half
        k = y // 2
        before, after, even = k - 1 if k > 0 else min(1, half - 1), _next(k, half, height), y % 2 == 0
        before, here, after = ground + before, ground + k, ground + after
        for x_ in range(left, w, across):
            j = x_ // 2
            p = _up_row(coarse, before, here, after, even, j - 1 if j > 0 else min(1, n - 1))
            q = _up_row(coarse, before, here, after, even, j)
            r = _up_row(coarse, before, here, after, even, _next(j, n, w))
            out[line, x_] = gain * x[line, x_] + _enlarged(p, q, r, x_ % 2 == 0)


@door()
def downsample_gaussian(frame: NDArray, levels: tuple[int, int], out: NDArray | None = None) -> NDArray:
    """As `fastmag.kernels.reference.downsample_gaussian`, float32; also of a batch (B, H, W, C)."""
    frame = _frames.levels(frame)
    if min(levels) < 0:
        raise InputError(f"levels must be 0 or more; got {levels}: count halvings from the frame on")
    down, across = (
        device.constants(plans.gaussian_level, n, k) for n, k in zip(_frames.size(frame), levels, strict=True)
    )
    return shrink(frame, down, across, out)


@door(batch=("x",))
def pyramid_down(x: NDArray, out: NDArray | None = None) -> NDArray:
    """As `fastmag.kernels.reference.pyramid_down`, float32; also of a batch (B, h, w)."""
    x = reading(x)
    h, w = x.shape[-2:]
    out = writing(out, (*x.shape[:-2], -(-h // 2), -(-w // 2)))
    (rows,), (columns,) = (device.constants(plans.reflected, n, 2) for n in (h, w))
    images, halves = (y.reshape(-1, y.shape[-1]) for y in (x, out))
    _shrink.plane(*halves.shape, images, rows, columns, h, out.shape[-2], halves)
    return out


@door(batch=("x", "coarse"))
def pyramid_up_add(x: NDArray, coarse: NDArray, gain: float, out: NDArray | None = None) -> NDArray:
    """As `fastmag.kernels.reference.pyramid_up_add`, float32; also of a batch (B, h, w)."""
    x, coarse = reading(x), reading(coarse)
    if coarse.shape != (*x.shape[:-2], -(-x.shape[-2] // 2), -(-x.shape[-1] // 2)):
        raise InputError(f"coarse must be half of x {x.shape}, rounded up; got {coarse.shape}: use pyramid_down")
    out = writing(out, x.shape)
    images, halves, results = (y.reshape(-1, y.shape[-1]) for y in (x, coarse, out))
    _enlarge.plane(*results.shape, images, halves, np.float32(gain), x.shape[-2], coarse.shape[-2], results)
    return out
